"""A fabric without a kernel: a network is the value that was last applied, and machines answer by their state."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from ipaddress import IPv4Address

from samovar.localcloud.network.health_checks import Result, Target
from samovar.localcloud.network.model import Network
from samovar.localcloud.simulated.machines import Answer

Answers = Callable[[str | None, int], Answer]
"""`SimulatedDriver.answer`."""


class SimulatedFabric:
    """A fabric that answers health checks alone: nothing is routed or connected."""

    def __init__(self, answers: Answers) -> None:
        self.networks: dict[str, Network] = {}
        self._answers = answers
        self._machines: dict[str, dict[IPv4Address, str]] = {}

    async def apply(self, network: Network) -> None:
        before = self.networks.get(network.id)
        self.networks[network.id] = network
        if before is None or before.nics != network.nics:
            self._machines.pop(network.id, None)

    async def remove(self, network_id: str) -> None:
        self.networks.pop(network_id, None)
        self._machines.pop(network_id, None)

    async def unplug(self, network_id: str, machine_id: str) -> None:
        """Do nothing: a machine without power is silent by its state."""

    async def forget_flows(self, network_id: str, target: IPv4Address) -> None:
        """Do nothing: there are none."""

    def netns_of(self, machine_id: str) -> str:
        return machine_id

    def socket_in(self, _: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        sock = _Loopback(family, kind)
        sock.settimeout(0)
        return sock

    async def routed(self) -> None:
        """Return None: nothing is routed to a simulated machine."""

    async def probe(self, target: Target) -> Result:
        check = target.check
        answer = self._answers(self._machine_at(target), check.port)
        if answer is Answer.SILENCE:
            await asyncio.sleep(check.timeout)
            return Result.timed_out(check)
        if answer is Answer.REFUSAL:
            return Result.unreachable(check, errno.ECONNREFUSED)
        if check.path is None:
            return Result.connected(check)
        return Result.of_status_line(b"HTTP/1.1 200" if answer is Answer.SUCCESS else b"HTTP/1.1 503")

    def _machine_at(self, target: Target) -> str | None:
        """Return the machine at an address; which are whose is looked up once for all probes of a network's state."""
        if target.network_id not in self._machines:
            network = self.networks.get(target.network_id)
            self._machines[target.network_id] = {nic.address: nic.machine_id for nic in network.nics} if network else {}
        return self._machines[target.network_id].get(target.address)

    async def close(self) -> None:
        self.networks.clear()
        self._machines.clear()


class _Loopback(socket.socket):
    """A socket that binds to a free port of 127.0.0.1 alone: there a server inside a network can be asked."""

    def bind(self, _: object, /) -> None:
        super().bind(("127.0.0.1", 0))
