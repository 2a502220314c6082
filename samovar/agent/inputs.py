"""What a machine learns from outside: from its metadata, from the name server, and from Lockbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from .facts import Facts, Machine, Peer, Secret, read_facts
from .lockbox import Api, Lockbox, read_api
from .metadata import Metadata
from .peers import Lookup, find_peers
from .poller import Source
from .role import Role, read_reserved

Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Periods:
    """Seconds between two questions to each source, and between two looks at all of them."""

    look: float = 2.0
    metadata: float = 5.0
    peers: float = 2.0
    secrets: float = 10.0


class Outside:
    """Asks no oftener than `periods` says; `say` hears of what is away while its last answer serves."""

    def __init__(self, metadata: Metadata, lookup: Lookup, periods: Periods, say: Callable[[str], None]) -> None:
        self._token = metadata.token
        self._lookup = lookup
        self._periods = periods
        self._say = say
        self._instance = Source("the metadata service", metadata.instance, periods.metadata, say)
        self._peers: dict[tuple[Machine, Counts], Source[Mapping[str, tuple[Peer, ...]]]] = {}
        self._lockboxes: dict[Api, Lockbox] = {}
        self._secrets: dict[tuple[Api, str, str], Source[Secret]] = {}

    def facts(self, read_role: Callable[[str], Role]) -> Facts:
        """Raises Away while something was never heard of, and Wrong for what cannot be used."""
        facts = read_facts(self._instance.value())
        if facts.role is None:
            return facts
        role = read_role(facts.role)
        return replace(facts, peers=self._peers_of(role, facts), secrets=self._secrets_of(role, facts))

    def _peers_of(self, role: Role, facts: Facts) -> Mapping[str, tuple[Peer, ...]]:
        given = read_reserved(facts.settings, "peers", role.peers)
        counts = tuple((group, given.get(group, 0)) for group in role.peers)
        ask = partial(find_peers, counts, facts.machine, self._lookup)
        source = Source("the name server", ask, self._periods.peers, self._say)
        return self._peers.setdefault((facts.machine, counts), source).value()

    def _secrets_of(self, role: Role, facts: Facts) -> Mapping[str, Secret]:
        ids = read_reserved(facts.settings, "secrets", role.secrets)
        return {name: self._secret(read_api(facts.api), name, secret_id) for name, secret_id in ids.items()}

    def _secret(self, api: Api, name: str, secret_id: str) -> Secret:
        if api not in self._lockboxes:
            self._lockboxes[api] = Lockbox(api, self._token)
        ask = partial(self._lockboxes[api].secret, name, secret_id)
        source = Source(f"secret {name} ({secret_id})", ask, self._periods.secrets, self._say)
        return self._secrets.setdefault((api, name, secret_id), source).value()
