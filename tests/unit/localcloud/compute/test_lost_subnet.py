"""A group whose template names a subnet that was deleted since."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import AllocationPolicy, ScalePolicy
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest, DeleteSubnetRequest

from samovar.localcloud.home.home import Home
from samovar.localcloud.simulated.event_loop import run
from tests.support.in_process import ZONE, InProcess, Service, in_process, service, template, until

OTHER_ZONE = "ru-central1-b"


def test_the_missing_subnet_is_named_and_other_machines_heal(tmp_path: Path) -> None:
    run(_scenario(Home(tmp_path / "home")))


async def _scenario(home: Home) -> None:
    async with in_process(home) as world:
        web = await service(world, size=1)
        subnet_id = await _spread(world, web)
        world.call("vpc.v1.SubnetService/Delete", DeleteSubnetRequest(subnet_id=subnet_id))
        world.cloud.set_load(web.ids["group"], 250)
        await until("the subnet is named", partial(_names, web, f"Subnet {subnet_id} not found"))
        before = next(member.instance_id for member in web.members() if member.zone_id == ZONE)
        world.driver.crash(before)
        await until("another machine serves", partial(_serves_another, web, before))


async def _spread(world: InProcess, web: Service) -> str:
    """Let the group scale over two zones; return its subnet in the second, where it has no machine yet."""
    request = CreateSubnetRequest(
        folder_id=world.folder_id, network_id=web.ids["network"], zone_id=OTHER_ZONE, v4_cidr_blocks=["10.8.0.0/24"]
    )
    subnet_id = await world.create("vpc.v1.SubnetService/Create", request, CreateSubnetMetadata, "subnet_id")
    both = template(web.ids, "first")
    both.network_interface_specs[0].subnet_ids.append(subnet_id)
    rule = ScalePolicy.CpuUtilizationRule(utilization_target=50)
    scale = ScalePolicy.AutoScale(
        auto_scale_type=ScalePolicy.AutoScale.REGIONAL,
        initial_size=1,
        max_size=2,
        measurement_duration=Duration(seconds=60),
        cpu_utilization_rule=rule,
    )
    zones = [AllocationPolicy.Zone(zone_id=zone) for zone in (ZONE, OTHER_ZONE)]
    await web.update(
        instance_template=both,
        allocation_policy=AllocationPolicy(zones=zones),
        scale_policy=ScalePolicy(auto_scale=scale),
    )
    return subnet_id


def _names(web: Service, message: str) -> bool:
    return message in [member.status_message for member in web.members()]


def _serves_another(web: Service, before: str) -> bool:
    return any(member.zone_id == ZONE and member.instance_id not in {"", before} for member in web.members())
