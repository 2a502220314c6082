"""The calls of the programme that a cloud has to refuse. What it answers instead is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_service_pb2 import GetInstanceRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2 import GetSecretRequest
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.certify.environment import DATA, DATA_DISK, LABELS, NAME
from samovar.cloud.session import Session
from samovar.core.errors import CloudError
from samovar.deploy.observe import observe
from samovar.deploy.resources.disk import disk_name
from samovar.deploy.resources.network import Subnet
from samovar.deploy.resources.resource import Kind, Ref

UNUSED_ID = "fhm" + "0" * 17
"""An id of the right form that nothing has."""
Call = Callable[[], object]


def refused_calls(session: Session) -> int:
    """Make each of the calls, and return how many were refused."""
    return sum(_is_refused(session, call) for call in _calls(session))


def _is_refused(session: Session, call: Call) -> bool:
    """Say whether a call is refused. A resource that it creates carries the labels, and is removed with all else."""
    with suppress(CloudError):
        answer = call()
        if isinstance(answer, Operation):
            session.finish(answer, what=answer.description or "a call to be refused")
        return False
    return True


def _calls(session: Session) -> Iterator[Call]:
    observed = observe(session, NAME)
    ids, folder = observed.ids(), session.folder_id
    network, disk = ids[Ref(Kind.NETWORK, NAME)], ids[Ref(Kind.DISK, disk_name(NAME, DATA, DATA_DISK))]
    subnet = next(each.spec for each in observed.resources if isinstance(each.spec, Subnet))
    vpc, storage = session.client(NetworkServiceStub), session.client(DiskServiceStub)
    taken = networks.CreateNetworkRequest(folder_id=folder, name=NAME, labels=LABELS)
    used = networks.DeleteNetworkRequest(network_id=network)
    overlapping = subnets.CreateSubnetRequest(
        folder_id=folder, name=f"{NAME}-overlapping", labels=LABELS, network_id=network, zone_id=subnet.zone
    )
    overlapping.v4_cidr_blocks.append(subnet.cidr)
    tiny = disks.CreateDiskRequest(
        folder_id=folder, name=f"{NAME}-tiny", labels=LABELS, zone_id=subnet.zone, type_id="network-hdd", size=1
    )
    yield lambda: vpc.Create(taken)
    yield lambda: vpc.Delete(used)
    yield lambda: session.client(SubnetServiceStub).Create(overlapping)
    yield lambda: storage.Create(tiny)
    yield lambda: storage.Delete(disks.DeleteDiskRequest(disk_id=disk))
    yield lambda: session.client(InstanceServiceStub).Get(GetInstanceRequest(instance_id=UNUSED_ID))
    yield lambda: session.client(SecretServiceStub).Get(GetSecretRequest(secret_id=UNUSED_ID))
