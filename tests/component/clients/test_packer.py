"""An unmodified Packer with its yandex plugin cannot tell the local cloud from the real one: real machines, by ssh."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import pytest
from yandex.cloud.access.access_pb2 import AccessBindingAction, AccessBindingDelta, UpdateAccessBindingsRequest
from yandex.cloud.compute.v1.disk_service_pb2 import ListDisksRequest
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2 import GetImageLatestByFamilyRequest, GetImageRequest, ListImagesRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_service_pb2 import AttachedDiskSpec as InstanceDisk
from yandex.cloud.compute.v1.instance_service_pb2 import (
    CreateInstanceMetadata,
    CreateInstanceRequest,
    DeleteInstanceRequest,
    GetInstanceSerialPortOutputRequest,
    ListInstancesRequest,
)
from yandex.cloud.compute.v1.instance_service_pb2 import NetworkInterfaceSpec as InstanceInterface
from yandex.cloud.compute.v1.instance_service_pb2 import PrimaryAddressSpec as InstanceAddress
from yandex.cloud.compute.v1.instance_service_pb2 import ResourcesSpec as InstanceResources
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    AllocationPolicy,
    AttachedDiskSpec,
    DeployPolicy,
    InstanceTemplate,
    NetworkInterfaceSpec,
    PrimaryAddressSpec,
    ResourcesSpec,
    ScalePolicy,
)
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2 import (
    CreateInstanceGroupMetadata,
    CreateInstanceGroupRequest,
    ListInstanceGroupInstancesRequest,
)
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2 import CreateServiceAccountMetadata, CreateServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest, ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest, ListSubnetsRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.local_daemon import Daemon, find_or_start
from samovar.cloud.session import Session
from samovar.core.waiting import Pending, wait_for
from samovar.images.builders.packer.toolchain import Toolchain
from tests.support.calls import binding
from tests.support.packer import Build, Packer, toolchain_or_skip
from tests.support.tool import Cli

GB = 1024**3
FAMILY, OWNER = "debian-13", "standard-images"
TIMEOUT = 900.0
DECLARATION = """\
spec:
  containers:
    - name: shop
      image: 'registry.example/shop:7'
"""


@dataclass(frozen=True)
class Place:
    """A local cloud with a subnet of ours, and what Packer needs to be let loose on it."""

    daemon: Daemon
    session: Session
    clients: Toolchain
    folder: Path
    subnet_id: str

    def packer(self, name: str, auth: str = "iam") -> Packer:
        token = {"iam": self.daemon.access.token, "oauth": self.daemon.oauth_token, "key": ""}[auth]
        return Packer(self.clients, replace(self.daemon.access, token=token), self.folder / name)

    def contents(self) -> dict[str, set[str]]:
        """Everything that Packer could have left."""
        folder, client, listed = self.session.folder_id, self.session.client, self.session.list
        instances = {
            "disks": listed(client(DiskServiceStub).List, ListDisksRequest(folder_id=folder), attrgetter("disks")),
            "images": listed(
                client(ImageServiceStub).List, ListImagesRequest(folder_id=folder), lambda page: page.images
            ),
            "instances": listed(
                client(InstanceServiceStub).List, ListInstancesRequest(folder_id=folder), lambda page: page.instances
            ),
            "networks": listed(
                client(NetworkServiceStub).List, ListNetworksRequest(folder_id=folder), lambda page: page.networks
            ),
            "subnets": listed(
                client(SubnetServiceStub).List, ListSubnetsRequest(folder_id=folder), lambda page: page.subnets
            ),
        }
        return {kind: {item.id for item in items} for kind, items in instances.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    clients, folder = toolchain_or_skip(), tmp_path_factory.mktemp("packer")
    tool = Cli(folder / "home", folder / "envs")
    try:
        daemon = find_or_start(tool.home)
        session = Session(daemon.access)
        folder_id = session.folder_id
        network = session.client(NetworkServiceStub).Create(CreateNetworkRequest(folder_id=folder_id, name="own"))
        network_id = CreateNetworkMetadata.FromString(network.metadata.value).network_id
        request = CreateSubnetRequest(
            folder_id=folder_id, network_id=network_id, zone_id="ru-central1-a", v4_cidr_blocks=["10.77.0.0/24"]
        )
        subnet = session.client(SubnetServiceStub).Create(request)
        subnet_id = CreateSubnetMetadata.FromString(subnet.metadata.value).subnet_id
        yield Place(daemon, session, clients, folder, subnet_id)
    finally:
        tool.run("cloud", "down", check=False)


@pytest.fixture(scope="module")
def web(place: Place) -> Build:
    """A whole bake: a published family, a network of Packer's own, user-data, scp, packages; then the image."""
    before = place.contents()
    build = place.packer("web").build("web")
    assert build.code == 0, build.output
    after = place.contents()
    assert after.pop("images") - before.pop("images") == {build.image_id}
    assert after == before
    return build


def family(place: Place, name: str, folder_id: str) -> Image:
    request = GetImageLatestByFamilyRequest(folder_id=folder_id, family=name)
    return place.session.client(ImageServiceStub).GetLatestByFamily(request)


def done(place: Place, operation: Operation) -> Operation:
    return place.session.finish(operation, what="test", timeout=TIMEOUT)


def test_a_template_bakes_an_image_and_leaves_nothing_else(place: Place, web: Build) -> None:
    image = place.session.client(ImageServiceStub).Get(GetImageRequest(image_id=web.image_id))
    assert (image.name, image.family, image.status) == ("web-1", "web", Image.READY)
    assert (image.labels["purpose"], image.min_disk_size) == ("contract", 10 * GB)
    assert image.storage_size > 100 * 1024**2
    assert family(place, "web", place.session.folder_id).id == web.image_id
    assert re.search(r"Detected instance IP: 127\.66\.", web.output)
    assert "cloud-init" in (web.folder / "serial.log").read_text()


def test_an_image_without_debian_is_an_error(place: Place) -> None:
    assert family(place, "debian-13", OWNER).description == "Debian 13"
    assert family(place, "ubuntu-2204-lts", OWNER).description.startswith("Debian 13 in the place of Ubuntu 22.04")


def test_the_image_boots_in_a_group(place: Place, web: Build) -> None:
    console = boot(place, web.image_id)
    assert dict(re.findall(r"look: (\S+) ?(.*)", console.replace("\r", ""))) == {
        "guarded": "640 root:www-data 2 kept",
        "note": "noted",
        "link": "secret",
        "motd.d": "ours motd No such file",
        "nginx": "active",
        "copy": "/mnt/srv/secret",
        "blank": "has nothing",
        "done": "",
    }


def test_a_container_machine_prints_the_image_that_it_could_not_pull(place: Place) -> None:
    nic = InstanceInterface(subnet_id=place.subnet_id, primary_v4_address_spec=InstanceAddress())
    boot_disk = InstanceDisk.DiskSpec(size=10 * GB, image_id=family(place, "container-optimized-image", OWNER).id)
    request = CreateInstanceRequest(
        folder_id=place.session.folder_id,
        zone_id="ru-central1-a",
        platform_id="standard-v3",
        resources_spec=InstanceResources(memory=2 * GB, cores=2),
        boot_disk_spec=InstanceDisk(auto_delete=True, disk_spec=boot_disk),
        network_interface_specs=[nic],
        metadata={"docker-container-declaration": DECLARATION},
    )
    operation = done(place, place.session.client(InstanceServiceStub).Create(request))
    created = CreateInstanceMetadata.FromString(operation.metadata.value)
    assert "container image registry.example/shop:7 was not pulled" in console_of(place, created.instance_id, "pulled")
    done(
        place, place.session.client(InstanceServiceStub).Delete(DeleteInstanceRequest(instance_id=created.instance_id))
    )


def boot(place: Place, image_id: str) -> str:
    """Return the console of a machine of a new group, with a copy of the image and a blank disk beside."""
    client, folder_id = place.session.client, place.session.folder_id
    account = client(ServiceAccountServiceStub).Create(CreateServiceAccountRequest(folder_id=folder_id, name="group"))
    account_id = CreateServiceAccountMetadata.FromString(account.metadata.value).service_account_id
    delta = AccessBindingDelta(action=AccessBindingAction.ADD, access_binding=binding("editor", account_id))
    grant = UpdateAccessBindingsRequest(resource_id=folder_id, access_binding_deltas=[delta])
    client(FolderServiceStub).UpdateAccessBindings(grant)
    nic = NetworkInterfaceSpec(subnet_ids=[place.subnet_id], primary_v4_address_spec=PrimaryAddressSpec())
    template = InstanceTemplate(
        platform_id="standard-v3",
        resources_spec=ResourcesSpec(memory=2 * GB, cores=2),
        boot_disk_spec=disk("boot", 10, image_id),
        secondary_disk_specs=[disk("copy", 11, image_id), disk("blank", 1)],
        network_interface_specs=[nic],
        metadata={"user-data": "#cloud-config\nruncmd:\n  - [/usr/local/bin/look]\n"},
    )
    request = CreateInstanceGroupRequest(
        folder_id=folder_id,
        name="web",
        instance_template=template,
        scale_policy=ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=1)),
        deploy_policy=DeployPolicy(max_unavailable=1),
        allocation_policy=AllocationPolicy(zones=[AllocationPolicy.Zone(zone_id="ru-central1-a")]),
        service_account_id=account_id,
    )
    operation = done(place, client(InstanceGroupServiceStub).Create(request))
    group_id = CreateInstanceGroupMetadata.FromString(operation.metadata.value).instance_group_id
    members = client(InstanceGroupServiceStub).ListInstances(
        ListInstanceGroupInstancesRequest(instance_group_id=group_id)
    )
    return console_of(place, members.instances[0].instance_id)


def disk(name: str, gigabytes: int, image_id: str = "") -> AttachedDiskSpec:
    spec = AttachedDiskSpec.DiskSpec(size=gigabytes * GB, type_id="network-hdd", image_id=image_id)
    return AttachedDiskSpec(mode=AttachedDiskSpec.READ_WRITE, device_name=name, disk_spec=spec)


def console_of(place: Place, instance_id: str, last: str = "look: done") -> str:
    request, stub = (
        GetInstanceSerialPortOutputRequest(instance_id=instance_id),
        place.session.client(InstanceServiceStub),
    )

    def finished() -> str | Pending:
        console: str = stub.GetSerialPortOutput(request).contents
        return console if last in console else Pending(console)

    return wait_for(f"the console of {instance_id}", finished, timeout=TIMEOUT, ceiling=0.5)


def test_a_key_an_image_by_its_id_a_subnet_of_ours_and_no_image(place: Place) -> None:
    """The public image lets nobody in as root: who bakes as root, as our own builder does, has to see to it."""
    before = place.contents()
    image_id = family(place, FAMILY, OWNER).id
    effective = "sudo sshd -T | grep -x 'permitrootlogin no'"
    build = place.packer("key", "key").build("plain", image_id=image_id, subnet_id=place.subnet_id, command=effective)
    assert f"Use provided subnet id {place.subnet_id}" in build.output
    assert "Connected to SSH!" in build.output
    assert "permitrootlogin no" in build.output
    assert "Skipping image creation" in build.output
    assert "Failed to find 'image' in state. Bug?" in build.output  # the plugin's: it misses what it was to skip
    assert place.contents() == before


def test_an_oauth_token_and_a_provisioner_that_fails_leave_nothing(place: Place) -> None:
    before = place.contents()
    build = place.packer("oauth", "oauth").build("plain", family=FAMILY, image_name="never", command="echo no; exit 7")
    assert build.code != 0
    assert "Script exited with non-zero exit status: 7" in build.output
    assert place.contents() == before


def test_an_internal_address_is_not_reached_from_the_host(place: Place) -> None:
    """Packer gives up and cleans up, as in Yandex Cloud from outside of the network."""
    before = place.contents()
    packer = place.packer("internal")
    build = packer.build("plain", family=FAMILY, subnet_id=place.subnet_id, internal="true", ssh_timeout="5s")
    assert build.code != 0
    assert "Detected instance IP: 10.77.0." in build.output
    assert "Timeout waiting for SSH" in build.output
    assert place.contents() == before


def test_a_wrong_token_is_rejected(place: Place) -> None:
    packer = place.packer("wrong", "oauth")
    packer = replace(packer, access=replace(packer.access, token="t1.not.ours"))
    build = packer.build("plain", family=FAMILY)
    assert build.code != 0
    assert "Unauthenticated" in build.output
