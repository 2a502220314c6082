"""Collects the inputs of a machine's configuration: its metadata, its peers from DNS, its secrets from Lockbox.

Each is polled with a period of its own. While one is unavailable, its last answer is used.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, TypeVar

from .clients import Api, Lockbox, Lookup, Metadata, Secret, Unavailable, read_api
from .metrics import Answered
from .monitoring import read_monitoring
from .report import ANSWERS, LAST_ANSWER, WAITS
from .role import GroupNames, Role, UpstreamSettings, Value, mapping_of, read_peers, read_secrets, read_upstreams

T = TypeVar("T")

MAX_PERIOD = 60.0
"""Seconds at most between two requests to a server that is unavailable."""
JITTER = 0.1
SILENT_SECONDS = 1.0
"""Seconds for which a wait is not reported: at boot the network needs some."""
MIN_PAUSE, MAX_PAUSE = 0.03, 10.0


@dataclass(frozen=True)
class Machine:
    """The machine as templates see it; `hostname` is fully qualified, `address` the first internal one.

    `public` is the machine's own public address, empty if it has none.
    """

    id: str
    name: str
    hostname: str
    address: str
    zone: str
    public: str = ""


@dataclass(frozen=True)
class Peer:
    """A machine of a group as templates see it; `name` is its host name without the domain."""

    name: str
    address: str


@dataclass(frozen=True)
class Upstream:
    """A service that the machine asks, as templates see it.

    `address` is `host:port` of its balancer, or of a server outside of the environment; empty where there is neither.
    `machines` are those of the `group` behind it, as far as DNS knows them; a server outside has no group.
    """

    address: str = ""
    machines: tuple[Peer, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Scraped:
    """A group whose metrics are collected, as templates see it: its machines, and its exporters' ports by name.

    It has `size` machines at the least, 0 where nobody says so.
    """

    group: str
    size: int
    machines: tuple[Peer, ...]
    exporters: Mapping[str, int]


@dataclass(frozen=True)
class Monitoring:
    """The monitoring as templates see it. Without a `collector` nobody monitors this machine.

    `targets` and `objectives` are the collector's own.
    """

    collector: str = ""
    targets: tuple[Scraped, ...] = ()
    objectives: tuple[Mapping[str, Value], ...] = ()


@dataclass(frozen=True)
class Facts:
    """The inputs of one configuration. Without a `role` the machine is bare. `settings` and `api` are YAML.

    `peers` are the machines of the machine's own group, itself among them. `upstreams` has each of the role's,
    an empty one where the environment has none, and all that are given to a role that takes any; `secrets` those of
    the role's secrets that the environment has.
    """

    machine: Machine
    role: str | None
    settings: str
    api: str = ""
    peers: tuple[Peer, ...] = ()
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    monitoring: Monitoring = Monitoring()


def read_facts(instance: Mapping[str, Value]) -> Facts:
    """Return the facts in the recursive answer for `instance/` in Google's form, whose keys are in camel case."""
    attributes = mapping_of(instance.get("attributes"))
    interface = _first(instance.get("networkInterfaces"))
    access = _first(interface.get("accessConfigs"))
    machine = Machine(
        id=str(instance.get("id", "")),
        name=str(instance.get("name", "")),
        hostname=str(instance.get("hostname", "")),
        address=str(interface.get("ip", "")),
        zone=str(instance.get("zone", "")).rpartition("/")[2],
        public=str(access.get("externalIp", "")),
    )
    return Facts(
        machine=machine,
        role=str(attributes.get("samovar-role") or "") or None,
        settings=str(attributes.get("samovar-settings", "")),
        api=str(attributes.get("samovar-api", "")),
    )


def _first(items: Value) -> Mapping[str, Value]:
    return mapping_of(items[0]) if isinstance(items, list) and items else {}


def find_machines(group: GroupNames | None, machine: Machine, lookup: Lookup) -> tuple[Peer, ...]:
    """Return the machines of a group that DNS knows, in this machine's domain. The machine itself is not looked up.

    Raises Unavailable.
    """
    return tuple(_machines(group, machine, lookup)) if group else ()


def _machines(group: GroupNames, machine: Machine, lookup: Lookup) -> Iterator[Peer]:
    domain = machine.hostname.partition(".")[2]
    for index in range(1, group.machines + 1):
        name = f"{group.group}-{index}"
        fqdn = f"{name}.{domain}" if domain else name
        address = machine.address if fqdn == machine.hostname else lookup(fqdn)
        if address:
            yield Peer(name, address)


def monitoring_of(facts: Facts, machines: Callable[[GroupNames], tuple[Peer, ...]]) -> Monitoring:
    """Return the monitoring that the settings state; `machines` finds those of a group. Raises InvalidConfig."""
    given = read_monitoring(facts.settings)
    targets = (Scraped(each.group.group, each.size, machines(each.group), each.exporters) for each in given.targets)
    return Monitoring(given.collector, tuple(targets), given.objectives)


class Poller(Generic[T]):
    """Polls a server every `period` seconds or so, less and less often while it is unavailable; `report` is told.

    Periods differ by up to `JITTER` of them, so that machines that began together do not ask together.
    """

    def __init__(self, name: str, request: Callable[[], T], period: float, report: Callable[[str], None]) -> None:
        self._name = name
        self._request = request
        self._period = period
        self._report = report
        self._last: tuple[T] | None = None
        self._due = 0.0
        self._pause = 0.0
        self.answered = 0.0
        """When it answered last, in seconds since 1970."""

    def value(self) -> T:
        """Return the current or the last answer. Raises Unavailable if there never was one."""
        if self._last and time.monotonic() < self._due:
            return self._last[0]
        try:
            answer = self._request()
        except Unavailable as error:
            return self._last_answer(error)
        if self._pause:
            self._report(f"{self._name}: {ANSWERS}")
        self._last, self._pause, self.answered = (answer,), 0.0, time.time()
        self._due = time.monotonic() + random.uniform(1 - JITTER, 1 + JITTER) * self._period  # noqa: S311 - no secret
        return answer

    def _last_answer(self, error: Unavailable) -> T:
        if not self._last:
            raise error
        self._pause = min(max(2 * self._pause, self._period, 1.0), MAX_PERIOD)
        self._due = time.monotonic() + self._pause
        self._report(f"{LAST_ANSWER}, {WAITS} {error}")
        return self._last[0]


def retry_until_available(
    request: Callable[[], T], report: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> T:
    """Call `request` until it does not raise Unavailable: often at first, then less and less, with a report each time.

    There is no deadline: a machine that does not know what it is has nothing else to do.
    """
    began = time.monotonic()
    pause = MIN_PAUSE
    while True:
        try:
            return request()
        except Unavailable as error:
            waited = time.monotonic() - began
            if waited >= SILENT_SECONDS:
                report(f"{WAITS} {error} (for {waited:.0f} s)")
                pause = min(max(1.5 * pause, 0.5), MAX_PAUSE)
        sleep(pause)


@dataclass(frozen=True)
class Periods:
    """The seconds between two requests to each server, between two checks for changes, and between two of the files.

    Lockbox bills each request of a payload, and a secret hardly ever changes.
    """

    check: float = 2.0
    metadata: float = 5.0
    peers: float = 2.0
    secrets: float = 300.0
    files: float = 30.0


class Inputs:
    """Polls all servers, no more often than `periods`. `report` gets a line when one is unavailable."""

    def __init__(self, metadata: Metadata, lookup: Lookup, periods: Periods, report: Callable[[str], None]) -> None:
        self._token = metadata.token
        self._lookup = lookup
        self._periods = periods
        self._report = report
        self._instance = Poller("the metadata service", metadata.instance, periods.metadata, report)
        self._machines: dict[tuple[Machine, GroupNames], Poller[tuple[Peer, ...]]] = {}
        self._lockboxes: dict[Api, Lockbox] = {}
        self._secrets: dict[tuple[Api, str, str], Poller[Secret]] = {}

    def facts(self, read_role: Callable[[str], Role]) -> Facts:
        """Return the facts. Raises Unavailable if a server never answered, InvalidConfig for unusable metadata."""
        facts = read_facts(self._instance.value())
        if facts.role is None:
            return facts
        role = read_role(facts.role)
        return replace(
            facts,
            peers=self._machines_of(facts.machine, read_peers(facts.settings) if role.peers else None),
            upstreams=self._upstreams_of(role, facts),
            secrets=self._secrets_of(role, facts),
            monitoring=monitoring_of(facts, partial(self._machines_of, facts.machine)),
        )

    def answered(self) -> Iterator[Answered]:
        """Yield when each server that is asked answered last."""
        yield Answered("metadata", "", self._instance.answered)
        yield from (Answered("dns", group.group, each.answered) for (_, group), each in self._machines.items())
        for (api, name, _), poller in self._secrets.items():
            yield Answered("lockbox", name, poller.answered, self._lockboxes[api].versions.get(name, ""))

    def _upstreams_of(self, role: Role, facts: Facts) -> Mapping[str, Upstream]:
        given = read_upstreams(facts.settings, role.upstreams)
        return {name: self._upstream(facts.machine, given.get(name)) for name in role.upstream_names(given)}

    def _upstream(self, machine: Machine, given: UpstreamSettings | None) -> Upstream:
        if given is None:
            return Upstream()
        return Upstream(given.address, self._machines_of(machine, given.group), given.group_name)

    def _machines_of(self, machine: Machine, group: GroupNames | None) -> tuple[Peer, ...]:
        if group is None:
            return ()
        request = partial(find_machines, group, machine, self._lookup)
        poller = Poller(f"the name server, for {group.group}", request, self._periods.peers, self._report)
        return self._machines.setdefault((machine, group), poller).value()

    def _secrets_of(self, role: Role, facts: Facts) -> Mapping[str, Secret]:
        ids = read_secrets(facts.settings, role.secrets)
        return {name: self._secret(read_api(facts.api), name, secret_id) for name, secret_id in ids.items()}

    def _secret(self, api: Api, name: str, secret_id: str) -> Secret:
        if api not in self._lockboxes:
            self._lockboxes[api] = Lockbox(api, self._token)
        request = partial(self._lockboxes[api].secret, name, secret_id)
        poller = Poller(f"secret {name} ({secret_id})", request, self._periods.secrets, self._report)
        return self._secrets.setdefault((api, name, secret_id), poller).value()
