"""A client of instance groups on a simulated host, with all that a group needs."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageMetadata, CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_service_pb2 import ListInstancesRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    AllocationPolicy,
    AutoHealingPolicy,
    DeployPolicy,
    HealthCheckSpec,
    HealthChecksSpec,
    InstanceGroup,
    InstanceTemplate,
    LoadBalancerSpec,
    ManagedInstance,
    ScalePolicy,
    TargetGroupSpec,
)
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2 import CreateServiceAccountMetadata, CreateServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from tests.support.calls import grant
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

ZONE = "ru-central1-a"
ROLES = ("compute.editor", "load-balancer.editor", "vpc.user")
DIGEST = "0123456789abcdef"
PORT = 80


class Groups:
    """A client with all that a group needs: an image, a subnet, an account; `port` is the one that is checked."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud = cloud
        channel, folder_id = cloud.channel(), cloud.endpoint.folder_id
        self.groups = InstanceGroupServiceStub(channel)
        self.instances = InstanceServiceStub(channel)
        self.operations = OperationServiceStub(channel)
        (cloud.home.uploads / f"{DIGEST}.raw").write_bytes(b"\0" * (4 << 20))
        uri = f"https://{cloud.endpoint.rest}/storage/images/{DIGEST}.raw"
        image = ImageServiceStub(channel).Create(CreateImageRequest(folder_id=folder_id, uri=uri))
        network = NetworkServiceStub(channel).Create(CreateNetworkRequest(folder_id=folder_id))
        self.network_id = CreateNetworkMetadata.FromString(network.metadata.value).network_id
        subnet = SubnetServiceStub(channel).Create(
            CreateSubnetRequest(
                folder_id=folder_id, network_id=self.network_id, zone_id=ZONE, v4_cidr_blocks=["10.9.0.0/24"]
            )
        )
        account = ServiceAccountServiceStub(channel).Create(
            CreateServiceAccountRequest(folder_id=folder_id, name="groups")
        )
        self.account_id = CreateServiceAccountMetadata.FromString(account.metadata.value).service_account_id
        self.image_id = CreateImageMetadata.FromString(image.metadata.value).image_id
        self.subnet_id = CreateSubnetMetadata.FromString(subnet.metadata.value).subnet_id
        for role in ROLES:
            grant(cloud, role, self.account_id)
        self.port = PORT

    def template(self, **metadata: str) -> InstanceTemplate:
        template = InstanceTemplate(
            name="m-{instance.index}", hostname="m-{instance.index}", platform_id="standard-v3", metadata=metadata
        )
        template.resources_spec.memory, template.resources_spec.cores = 2 << 30, 2
        disk = template.boot_disk_spec
        disk.mode, disk.disk_spec.type_id, disk.disk_spec.size = disk.READ_WRITE, "network-ssd", 5 << 30
        disk.disk_spec.image_id = self.image_id
        template.network_interface_specs.add(network_id=self.network_id, subnet_ids=[self.subnet_id])
        return template

    def create(
        self, *, size: int = 2, checks: bool = False, max_expansion: int = 1, template: InstanceTemplate | None = None
    ) -> Operation:
        request = self.request(size=size, max_expansion=max_expansion, template=template or self.template())
        if checks:
            request.health_checks_spec.CopyFrom(self.checks())
        return self.groups.Create(request)

    def request(
        self, *, template: InstanceTemplate, size: int = 1, max_expansion: int = 1, name: str = "g"
    ) -> rpc.CreateInstanceGroupRequest:
        return rpc.CreateInstanceGroupRequest(
            folder_id=self.cloud.endpoint.folder_id,
            name=name,
            service_account_id=self.account_id,
            instance_template=template,
            scale_policy=ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=size)),
            deploy_policy=DeployPolicy(minimal_action=DeployPolicy.RECREATE, max_expansion=max_expansion),
            allocation_policy=AllocationPolicy(zones=[AllocationPolicy.Zone(zone_id=ZONE)]),
            auto_healing_policy=AutoHealingPolicy(auto_healing_action=AutoHealingPolicy.RECREATE),
            load_balancer_spec=LoadBalancerSpec(target_group_spec=TargetGroupSpec(name=f"t{name}")),
        )

    def checks(self) -> HealthChecksSpec:
        check = HealthCheckSpec(
            interval=Duration(seconds=1), timeout=Duration(seconds=1), unhealthy_threshold=2, healthy_threshold=2
        )
        check.tcp_options.port = self.port
        return HealthChecksSpec(health_check_specs=[check])

    def update(self, path: str, **fields: Any) -> Operation:
        request = rpc.UpdateInstanceGroupRequest(
            instance_group_id=self.group().id, update_mask=FieldMask(paths=[path]), **fields
        )
        return self.groups.Update(request)

    def change(self, **metadata: str) -> Operation:
        """Another template, and checks at the present port."""
        request = rpc.UpdateInstanceGroupRequest(
            instance_group_id=self.group().id,
            instance_template=self.template(**metadata),
            health_checks_spec=self.checks(),
            update_mask=FieldMask(paths=["instance_template", "health_checks_spec"]),
        )
        return self.groups.Update(request)

    def group(self) -> InstanceGroup:
        folder_id = self.cloud.endpoint.folder_id
        (actual,) = self.groups.List(rpc.ListInstanceGroupsRequest(folder_id=folder_id, view=rpc.FULL)).instance_groups
        return actual

    def members(self) -> list[ManagedInstance]:
        return list(self.groups.ListInstances(_by_id(self)).instances)

    def all_run(self) -> bool:
        return all(member.status == ManagedInstance.RUNNING_ACTUAL for member in self.members())

    def messages(self) -> list[str]:
        return [member.status_message for member in self.members() if member.status_message]

    def machines(self) -> dict[str, str]:
        """Instance ids by name."""
        actual = self.instances.List(ListInstancesRequest(folder_id=self.cloud.endpoint.folder_id)).instances
        return {instance.name: instance.id for instance in actual}

    def log(self) -> list[str]:
        request = rpc.ListInstanceGroupLogRecordsRequest(instance_group_id=self.group().id)
        return [record.message for record in self.groups.ListLogRecords(request).log_records]

    def finished(self, operation: Operation, timeout: float = 60.0) -> Operation:
        ended: Operation = wait_until("the operation", lambda: self._once(operation), timeout=timeout)
        assert not ended.HasField("error"), ended.error
        return ended

    def _once(self, operation: Operation) -> Operation | None:
        actual = self.operations.Get(GetOperationRequest(operation_id=operation.id))
        return actual if actual.done else None


def _by_id(groups: Groups) -> rpc.ListInstanceGroupInstancesRequest:
    return rpc.ListInstanceGroupInstancesRequest(instance_group_id=groups.group().id)
