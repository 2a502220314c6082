"""The faults of machines on the real thing: each is caused, felt from outside or inside, and ended again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from samovar.core.errors import HostError, ProcessFailed
from samovar.core.process import run
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.machines.machine_faults import MachineFault
from samovar.localcloud.machines.model import Machine
from tests.support.machine_lab import MachineLab, machine_lab

UNIT = """\
[Service]
ExecStart=/usr/bin/python3 -m http.server 80
Restart=always
RestartSec=0.1
"""
HERE, THERE = "10.9.0.1", "10.9.0.2"
ASK = ("curl", "--silent", "--show-error", "--output", "/dev/null", "--max-time", "1", f"http://{THERE}/")
TIMEOUT = 60.0


@dataclass(frozen=True)
class Web:
    """A machine with a web server, which is asked from the other end of its cable."""

    lab: MachineLab
    machine: Machine

    async def break_by(self, fault: MachineFault) -> None:
        await self.lab.driver.cause(self.machine.id, fault)

    async def repair(self, fault: MachineFault) -> None:
        """End the fault twice, as a drill does that was killed in between."""
        await self.lab.driver.end(self.machine.id, fault)
        await self.lab.driver.end(self.machine.id, fault)
        await self.answers()

    async def answers(self) -> None:
        def answer() -> bool | Pending:
            reason = self.silence()
            return Pending(reason) if reason else True

        await wait_for_async("an answer", answer, timeout=TIMEOUT, interval=0.1, ceiling=0.2)

    def silence(self) -> str:
        """Return why there is no answer; empty if there is one."""
        far = f"{self.lab.prefix}-{self.machine.id}-port"
        try:
            run(["ip", "netns", "exec", far, *ASK])
        except ProcessFailed as error:
            return error.output
        return ""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(tmp_path_factory: pytest.TempPathFactory, quiet_image: Path) -> AsyncIterator[Web]:
    async with machine_lab(tmp_path_factory.mktemp("faults"), quiet_image) as lab:
        machine = lab.machine("a")
        pid = await lab.boot(machine)
        run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "address", "add", f"{THERE}/24", "dev", "eth0"])
        far = f"{lab.prefix}-{machine.id}-port"
        run(["ip", "-n", far, "address", "add", f"{HERE}/24", "dev", "port0"])
        run(["ip", "-n", far, "link", "set", "port0", "up"])
        lab.inside(machine, f"cat >/etc/systemd/system/web.service <<'EOF'\n{UNIT}EOF\nsystemctl start web.service")
        lab.inside(machine, "nft 'add table inet own; add set inet own ports { type inet_service; }'")
        machine_with_web = Web(lab, machine)
        await machine_with_web.answers()
        yield machine_with_web


SILENT = {
    "hang": MachineFault("hang", unit="web.service"),
    "freeze": MachineFault("freeze"),
    "cut": MachineFault("cut", addresses=(f"{HERE}/32",)),
    "cut-all": MachineFault("cut", addresses=("0.0.0.0/0",)),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", SILENT)
async def test_a_hung_machine_does_not_answer_until_it_goes_on(web: Web, name: str) -> None:
    await web.break_by(SILENT[name])
    assert "timed out" in web.silence()
    await web.repair(SILENT[name])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("fault", [MachineFault("mask", unit="web.service"), MachineFault("port", port=80)])
async def test_a_port_that_is_closed_refuses_until_it_is_open(web: Web, fault: MachineFault) -> None:
    await web.break_by(fault)
    await asyncio.sleep(0.5)  # systemd would have started it again
    assert "refused" in web.silence() or "Failed to connect" in web.silence()
    await web.repair(fault)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_share_of_the_packets_is_lost(web: Web) -> None:
    """A third in each direction: a handshake and an answer in a second are luck, and a few of them are certain."""
    lossy = MachineFault("cut", addresses=(HERE,), share=0.33)
    await web.break_by(lossy)
    reasons = [web.silence() for _ in range(12)]
    assert "" in reasons
    assert any("timed out" in reason for reason in reasons)
    await web.repair(lossy)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_file_system_is_full_until_it_is_emptied(web: Web) -> None:
    full = MachineFault("fill", path="/var")
    await web.break_by(full)
    with pytest.raises(ProcessFailed, match="No space left"):
        web.lab.inside(web.machine, "head -c 1M /dev/zero >/var/more")
    await web.repair(full)
    web.lab.inside(web.machine, "head -c 1M /dev/zero >/var/more && rm /var/more")


@pytest.mark.asyncio(loop_scope="module")
async def test_packets_are_delayed_where_the_kernel_can_do_that(web: Web) -> None:
    late = MachineFault("delay", delay=3.0)
    reason = ""
    try:
        await web.break_by(late)
    except HostError as error:
        reason = error.message
    assert "sch_netem" in reason or "timed out" in web.silence()
    await web.repair(late)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_machine_that_does_not_run_cannot_be_broken(web: Web) -> None:
    with pytest.raises(HostError, match="machine b does not run"):
        await web.lab.driver.cause("b", MachineFault("freeze"))


@pytest.mark.asyncio(loop_scope="module")
async def test_a_frozen_machine_loses_its_power_at_once(web: Web) -> None:
    """The last test: the machine does not come back."""
    await web.break_by(MachineFault("freeze"))
    await web.lab.driver.kill(web.machine.id)
    assert not web.lab.driver.observe()[web.machine.id].running
