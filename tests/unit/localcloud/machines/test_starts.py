"""Machines start a few at a time, each turn as long as the machine uses processor time for its boot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from samovar.core.errors import HostError
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.machines import starts
from samovar.localcloud.machines.starts import LEAST_TURNS, Starts


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "LOOK", 0.01)
    monkeypatch.setattr(starts, "LONGEST_BOOT", 0.1)


def write(unit: Path, seconds: float) -> None:
    unit.mkdir(exist_ok=True)
    (unit / "cpu.stat").write_text(f"usage_usec {seconds * 1e6:.0f}\nuser_usec 0\n")


def wait(unit: Path, seconds: float) -> None:
    (unit / "cpu.pressure").write_text(f"some avg10=9.00 avg60=0.00 avg300=0.00 total={seconds * 1e6:.0f}\n")


async def take_turn(turns: Starts, unit: Path) -> None:
    async with turns.turn(unit):
        pass


async def at_rest(turns: Starts) -> None:
    def nothing_boots() -> bool | Pending:
        return Pending(f"{turns.under_way} boot") if turns.under_way else True

    await wait_for_async("the end of all boots", nothing_boots, timeout=10, interval=0.01)


async def test_no_more_machines_boot_at_once_than_there_are_turns(tmp_path: Path) -> None:
    turns, most = Starts(processors=1), 0

    async def start(unit: Path) -> None:
        nonlocal most
        async with turns.turn(unit):
            most = max(most, turns.under_way)

    await asyncio.gather(*(start(tmp_path / str(number)) for number in range(20)))
    await at_rest(turns)
    assert most == LEAST_TURNS


@pytest.mark.parametrize("waits", [False, True])
async def test_a_turn_lasts_until_the_machine_is_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    monkeypatch.setattr(starts, "LONGEST_BOOT", 1000)
    turns, used = Starts(processors=1), 0.0
    write(tmp_path / "busy", used)
    await take_turn(turns, tmp_path / "busy")
    for _ in range(50):
        used += 1
        write(tmp_path / "busy", 0 if waits else used)
        wait(tmp_path / "busy", used if waits else 0)
        await asyncio.sleep(0.004)
    assert turns.under_way == 1
    await asyncio.sleep(0.1)
    assert not turns.under_way


async def test_a_machine_that_never_gets_idle_loses_its_turn_after_a_while(tmp_path: Path) -> None:
    turns = Starts(processors=1)
    await take_turn(turns, tmp_path)
    await at_rest(turns)


async def test_a_start_that_fails_gives_its_turn_back_at_once(tmp_path: Path) -> None:
    turns = Starts(processors=1)
    with pytest.raises(HostError):
        async with turns.turn(tmp_path):
            raise HostError("no")
    assert not turns.under_way


async def test_starts_that_wait_are_cancelled_when_the_cloud_goes_down(tmp_path: Path) -> None:
    turns = Starts(processors=1)
    for number in range(LEAST_TURNS):
        await take_turn(turns, tmp_path / str(number))
    waiting = [asyncio.ensure_future(take_turn(turns, tmp_path / "late")) for _ in range(3)]
    await asyncio.sleep(0)
    turns.end()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert not turns.under_way
