"""Failures on the host are reported to the caller, retried with backoff, and logged once."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import ManagedInstance
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.core.errors import HostError
from samovar.localcloud.reconcile import Loop, Workers
from tests.support.group_client import ZONE, Groups
from tests.support.wait import wait_until


def _make_machine(groups: Groups) -> Operation:
    request = rpc.CreateInstanceRequest(
        folder_id=groups.cloud.endpoint.folder_id,
        name="alone",
        zone_id=ZONE,
        platform_id="standard-v3",
        resources_spec=rpc.ResourcesSpec(memory=2 << 30, cores=2),
    )
    request.boot_disk_spec.disk_spec.image_id = groups.image_id
    request.boot_disk_spec.disk_spec.size = 5 << 30
    request.network_interface_specs.add(subnet_id=groups.subnet_id).primary_v4_address_spec.SetInParent()
    return groups.instances.Create(request)


def _ended(groups: Groups, operation: Operation) -> Operation:
    actual: Operation = wait_until("the operation", lambda: groups._once(operation))
    return actual


def _image(groups: Groups) -> Path:
    return groups.cloud.home.image(groups.image_id)


def test_a_machine_with_a_lost_image_file_fails_with_a_remedy(groups: Groups) -> None:
    _image(groups).unlink()
    error = _ended(groups, _make_machine(groups)).error
    assert "the file of the image" in error.message
    assert "bake" in error.message
    assert "--force" in error.message


def test_a_group_without_its_image_reports_logs_once_and_heals(groups: Groups) -> None:
    aside = _image(groups).rename(_image(groups).with_suffix(".aside"))
    with capture_logs() as logged:
        created = groups.create(size=1)
        wait_until("the reason", lambda: "the file of the image" in groups.members()[0].status_message)
        time.sleep(5)
        assert "the file of the image" in groups.members()[0].status_message, "it says so while it tries again"
        aside.rename(_image(groups))
        groups.finished(created, timeout=40)
    assert groups.members()[0].status_message == ""
    events = [line["event"] for line in logged if line["log_level"] == "error"]
    assert events == ["a file could not be made", "machine failed"]
    assert len([line for line in groups.log() if "the file of the image" in line]) == 1


def test_an_unexpected_error_reaches_the_caller(groups: Groups) -> None:
    async def break_down(_: object) -> None:
        raise ZeroDivisionError("a defect")

    groups.cloud.driver.start = break_down  # type: ignore[assignment]
    error = _ended(groups, _make_machine(groups)).error
    assert "ZeroDivisionError: a defect" in error.message


def test_a_failed_deletion_is_retried_with_backoff(groups: Groups) -> None:
    groups.finished(groups.create(size=1))
    remove, attempts = groups.cloud.driver.remove, list[float]()

    async def refuse(_: str) -> None:
        attempts.append(time.monotonic())
        raise HostError("its disk is busy", remedy="free it")

    groups.cloud.driver.remove = refuse  # type: ignore[method-assign,assignment]
    before = groups.machines()["m-1"]
    with capture_logs() as logged:
        groups.cloud.driver.crash(before)
        wait_until("four attempts", lambda: len(attempts) == 4)
        assert "its disk is busy; remedy: free it" in groups.members()[0].status_message
        groups.cloud.driver.remove = remove  # type: ignore[method-assign]
        wait_until("another machine m-1", lambda: groups.machines().get("m-1") not in {None, before})
    wait_until("the member runs", lambda: groups.members()[0].status == ManagedInstance.RUNNING_ACTUAL)
    assert groups.members()[0].status_message == ""
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert [round(pause) for pause in pauses] == [1, 2, 4]
    assert len([line for line in logged if line["log_level"] == "error"]) == 1


async def test_work_that_pauses_after_a_failure_does_not_hold_up_the_end() -> None:
    workers = Workers(lambda: None)

    async def fail() -> None:
        raise ZeroDivisionError

    workers.start("key", fail)
    await asyncio.sleep(0.1)
    assert workers.busy("key")
    began = time.monotonic()
    await workers.settle()
    assert time.monotonic() - began < 0.5


async def test_a_step_that_fails_again_and_again_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samovar.localcloud.reconcile.RETRY", 0.01)
    steps: list[int] = []
    enough = asyncio.Event()

    async def step() -> None:
        steps.append(1)
        if len(steps) == 40:
            enough.set()
        raise ExceptionGroup("of the steps in turn", [ZeroDivisionError("a" if len(steps) < 20 else "b")])

    with capture_logs() as logged:
        running = asyncio.create_task(Loop("test", step, period=0.01).run())
        await asyncio.wait_for(enough.wait(), 20)
        running.cancel()
    assert [line["event"] for line in logged] == ["step failed", "step failed"]
