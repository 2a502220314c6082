"""A cloud like Yandex Cloud, at its true pace, on simulated machines and a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from google.rpc.code_pb2 import Code
from yandex.cloud.access.access_pb2 import AccessBindingAction, AccessBindingDelta, UpdateAccessBindingsRequest
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import AllocationPolicy, InstanceGroup
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets

from samovar.localcloud import clock
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.fault_injection.profile import PROFILES, YANDEX, Profile, ProfileChoice
from samovar.localcloud.home.home import Home
from samovar.localcloud.load_balancer.target_groups.model import target_of
from samovar.localcloud.network.model import Nic
from samovar.localcloud.simulated.event_loop import run
from tests.support.calls import binding
from tests.support.in_process import GROUPS, ZONE, InProcess, Service, in_process, service, template, until

SEED = 11
OTHER_ZONE = "ru-central1-b"
KIND = replace(YANDEX, failed_operations=0.0, no_capacity=0.0)
"""The profile without failures by chance."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def play(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a scenario in a cloud of a profile."""

    def played(scenario: Callable[[InProcess], Awaitable[None]], profile: Profile = KIND) -> None:
        monkeypatch.setitem(PROFILES, "yandex", profile)
        run(_played(home, scenario))

    return played


async def _played(home: Home, scenario: Callable[[InProcess], Awaitable[None]]) -> None:
    async with in_process(home, profile=ProfileChoice("yandex", 1.0, SEED)) as world:
        await scenario(world)


@asynccontextmanager
async def refused(code: int) -> AsyncIterator[None]:
    with pytest.raises(Refused) as caught:
        yield
    assert Code.Name(caught.value.code) == Code.Name(code), caught.value.message


def network(world: InProcess, name: str = "") -> networks.CreateNetworkRequest:
    return networks.CreateNetworkRequest(folder_id=world.folder_id, name=name)


async def seconds(work: Awaitable[object]) -> float:
    """Return how long it takes, by the cloud's clock."""
    began = clock.now()
    await work
    return clock.now() - began


def test_a_service_comes_up_heals_and_rolls_in_minutes(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        web = await service(world, size=3)
        before = {member.instance_id for member in web.members()}
        await world.cloud.cut_power(web.members()[0].instance_id)
        healed = await seconds(until("healed", lambda: web.is_healthy(3) and _ids(web) != before))
        assert 45 < healed < 180
        rolled = await seconds(web.roll("second"))
        assert 45 < rolled < 600  # three machines, two of them at a time
        assert not _ids(web) & before

    play(scenario)


def _ids(web: Service) -> set[str]:
    return {member.instance_id for member in web.members()}


def test_a_machine_runs_after_a_minute_or_so(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        web = await service(world, size=2)
        instances = world.cloud.store.all(Instance)
        created = min(each.created_at.ToNanoseconds() for each in instances) / 1e9
        assert len(web.members()) == 2
        assert clock.now() - created >= 45

    play(scenario)


def test_an_operation_is_done_seconds_after_its_call(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        operation: Operation = await world.serve("vpc.v1.NetworkService/Create", network(world, "net"))
        assert not operation.done
        assert operation.WhichOneof("result") is None
        request = GetOperationRequest(operation_id=operation.id)
        began = clock.now()
        ended = await until("done", lambda: _done(world.call("operation.OperationService/Get", request)))
        assert 0.5 <= clock.now() - began <= 5
        assert networks.CreateNetworkMetadata.FromString(ended.metadata.value).network_id
        assert ended.response.TypeName() == "yandex.cloud.vpc.v1.Network"

    play(scenario)


def _done(operation: Operation) -> Operation | None:
    return operation if operation.done else None


def test_an_operation_that_was_under_way_is_done_by_the_next_daemon(home: Home) -> None:
    async def begin() -> str:
        async with in_process(home, profile=ProfileChoice("yandex", 1.0, SEED)) as world:
            return str((await world.serve("vpc.v1.NetworkService/Create", network(world))).id)

    async def end(operation_id: str) -> None:
        async with in_process(home) as world:
            request = GetOperationRequest(operation_id=operation_id)
            await until("done", lambda: _done(world.call("operation.OperationService/Get", request)))

    run(end(run(begin())))


def test_two_changes_of_one_resource_at_a_time_conflict(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        net = await world.create(
            "vpc.v1.NetworkService/Create", network(world), networks.CreateNetworkMetadata, "network_id"
        )
        update = networks.UpdateNetworkRequest(network_id=net, description="one")
        update.update_mask.paths.append("description")
        await world.serve("vpc.v1.NetworkService/Update", update)
        async with refused(Code.FAILED_PRECONDITION):
            await world.serve("vpc.v1.NetworkService/Update", update)
        bind = _binding(world, "viewer", "aje1")
        await world.serve("resourcemanager.v1.FolderService/UpdateAccessBindings", bind)
        async with refused(Code.ABORTED):
            await world.serve("resourcemanager.v1.FolderService/UpdateAccessBindings", bind)
        await asyncio.sleep(5)
        await world.serve("resourcemanager.v1.FolderService/UpdateAccessBindings", bind)

    play(scenario)


def test_a_change_whose_answer_was_lost_gets_its_own_operation_again(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        net = await world.create(
            "vpc.v1.NetworkService/Create", network(world), networks.CreateNetworkMetadata, "network_id"
        )
        update = networks.UpdateNetworkRequest(network_id=net, description="one")
        first = await world.serve("vpc.v1.NetworkService/Update", update, key="sent twice")
        again = await world.serve("vpc.v1.NetworkService/Update", update, key="sent twice")
        assert (again.id, again.done) == (first.id, False)
        async with refused(Code.FAILED_PRECONDITION):
            await world.serve("vpc.v1.NetworkService/Update", update, key="another one")

    play(scenario)


def _binding(world: InProcess, role: str, account: str) -> UpdateAccessBindingsRequest:
    delta = AccessBindingDelta(action=AccessBindingAction.ADD, access_binding=binding(role, account))
    return UpdateAccessBindingsRequest(resource_id=world.folder_id, access_binding_deltas=[delta])


def test_calls_are_throttled_by_their_rate(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        request = networks.ListNetworksRequest(folder_id=world.folder_id)
        for _ in range(int(YANDEX.reads_per_second * 2)):
            await world.serve("vpc.v1.NetworkService/List", request)
        async with refused(Code.RESOURCE_EXHAUSTED):
            await world.serve("vpc.v1.NetworkService/List", request)
        await asyncio.sleep(1)
        await world.serve("vpc.v1.NetworkService/List", request)

    play(scenario)


def test_compute_takes_so_many_operations_at_a_time(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        request = disks.CreateDiskRequest(
            folder_id=world.folder_id, zone_id="ru-central1-a", size=1 << 30, type_id="network-hdd"
        )
        for _ in range(YANDEX.active_operations):
            await world.serve("compute.v1.DiskService/Create", request)
        with pytest.raises(Refused, match="The limit on maximum number of active operations has exceeded"):
            await world.serve("compute.v1.DiskService/Create", request)
        await world.serve("vpc.v1.NetworkService/Create", network(world))

    play(scenario, replace(KIND, changes_per_second=1000.0))


def test_resources_of_a_deleted_machine_are_in_use_for_a_while(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        await service(world, size=1)
        instance = world.cloud.store.all(Instance)[0]
        web_subnet = instance.network_interfaces[0].subnet_id
        world.cloud.store.delete(Instance, instance.id)
        async with refused(Code.FAILED_PRECONDITION):
            await world.serve("vpc.v1.SubnetService/Delete", subnets.DeleteSubnetRequest(subnet_id=web_subnet))

    play(scenario)


def test_a_new_binding_counts_seconds_later(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        web = await service(world, size=1)
        account = web.ids["account"]
        token = world.cloud.api._tokens.issue(account).text
        await world.serve(
            "resourcemanager.v1.FolderService/UpdateAccessBindings", _binding(world, "vpc.viewer", account)
        )
        request = networks.ListNetworksRequest(folder_id=world.folder_id)
        async with refused(Code.PERMISSION_DENIED):
            await world.serve("vpc.v1.NetworkService/List", request, token=token)
        await asyncio.sleep(YANDEX.access_binding.longest)
        await world.serve("vpc.v1.NetworkService/List", request, token=token)

    play(scenario)


def test_operations_fail_by_chance_and_then_did_nothing(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        operation = await world.serve("vpc.v1.NetworkService/Create", network(world, "net"))
        request = GetOperationRequest(operation_id=operation.id)
        ended = await until("done", lambda: _done(world.call("operation.OperationService/Get", request)))
        assert ended.error.code == Code.INTERNAL
        listed = world.call("vpc.v1.NetworkService/List", networks.ListNetworksRequest(folder_id=world.folder_id))
        assert not listed.networks

    play(scenario, replace(KIND, failed_operations=1.0))


def test_a_group_gets_its_target_group_late(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        task = asyncio.create_task(service(world, size=1))
        await until("a group is there", lambda: world.cloud.store.ids(InstanceGroup))
        assert world.cloud.store.all(TargetGroup) == []
        await until("a target group is there", lambda: world.cloud.store.all(TargetGroup))
        await task

    play(scenario)


def test_a_new_machine_has_its_name_late(play: Callable[..., None]) -> None:
    """It may run by then; what is made of its interface is there at once."""

    async def scenario(world: InProcess) -> None:
        task = asyncio.create_task(service(world, size=1))
        await until("an interface is there", lambda: _interfaces(world))
        (nic,) = _interfaces(world)
        assert not nic.named
        waited = await seconds(until("it has a name", lambda: _interfaces(world)[0].named))
        assert 55 < waited < 180
        assert _interfaces(world) == [replace(nic, named=True)]
        await task

    play(scenario)


def _interfaces(world: InProcess) -> list[Nic]:
    return [nic for network in world.cloud.networks.up() for nic in network.nics]


def test_a_serial_log_keeps_its_end(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        assert world.cloud._read_console("fhm1") == b"machine\n"

    play(scenario, replace(KIND, console=8))


def test_a_balancer_acts_seconds_after_a_change_of_health(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        web = await service(world, size=2)
        lost = web.members()[0].instance_id
        balancer = web.ids["balancer"]
        target = target_of(world.cloud.store.must(Instance, lost))
        assert not world.cloud.balancers.serves(balancer, target)
        await until("sent to", lambda: world.cloud.balancers.serves(balancer, target))
        pause = groups.PauseInstanceGroupProcessesRequest(instance_group_id=web.ids["group"])
        await world.done(f"{GROUPS}/PauseProcesses", pause)  # it would take the target out of its group at once
        world.driver.failing.add(lost)
        await until("seen", lambda: not web.is_healthy(2))
        assert world.cloud.balancers.serves(balancer, target)
        elapsed = await seconds(until("left", lambda: not world.cloud.balancers.serves(balancer, target)))
        assert 4 <= elapsed <= 11

    play(scenario)


def test_traffic_leaves_a_zone_that_lost_its_last_target_after_a_minute_or_two(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        web = await _service_of_two_zones(world)
        lost = world.cloud.store.must(Instance, web.members()[0].instance_id)
        balancers, balancer, target = world.cloud.balancers, web.ids["balancer"], target_of(lost)
        await until("sent to", lambda: balancers.serves(balancer, target))
        pause = groups.PauseInstanceGroupProcessesRequest(instance_group_id=web.ids["group"])
        await world.done(f"{GROUPS}/PauseProcesses", pause)  # it would take the target out of its group at once
        world.driver.failing.add(lost.id)
        await until("seen", lambda: not web.is_healthy(2))
        elapsed = await seconds(until("left", lambda: not balancers.serves(balancer, target)))
        assert 59 <= elapsed <= 121

    play(scenario)


async def _service_of_two_zones(world: InProcess) -> Service:
    """A machine in each."""
    web = await service(world, size=2)
    request = subnets.CreateSubnetRequest(
        folder_id=world.folder_id, network_id=web.ids["network"], zone_id=OTHER_ZONE, v4_cidr_blocks=["10.10.0.0/20"]
    )
    subnet = await world.create("vpc.v1.SubnetService/Create", request, subnets.CreateSubnetMetadata, "subnet_id")
    machines = template(web.ids, "both")
    machines.network_interface_specs[0].subnet_ids.append(subnet)
    zones = [AllocationPolicy.Zone(zone_id=zone) for zone in (ZONE, OTHER_ZONE)]
    await web.update(instance_template=machines, allocation_policy=AllocationPolicy(zones=zones))
    await until("healthy", lambda: web.is_healthy(2))
    assert {each.zone_id for each in web.members()} == {ZONE, OTHER_ZONE}
    return web


def test_a_machine_that_finds_no_capacity_does_not_start(play: Callable[..., None]) -> None:
    async def scenario(world: InProcess) -> None:
        making = asyncio.create_task(service(world, size=1))
        (group,) = await until("a group is there", lambda: world.cloud.store.ids(InstanceGroup))
        web = Service(world, {"group": group})
        reason = "Not enough resources in zone ru-central1-a to start the instance"
        await until("the reason is shown", lambda: any(reason in each.status_message for each in web.members()))
        assert not any(each.status == Instance.RUNNING for each in world.cloud.store.all(Instance))
        making.cancel()

    play(scenario, replace(KIND, no_capacity=1.0))
