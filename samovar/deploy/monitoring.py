"""The monitoring of an environment: what machines are told of it, and the rules by which its traffic passes. Pure.

A group that `monitors` asks all other groups for metrics and takes their journals. In an environment without one
no exporter starts, and no port is open for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from samovar.deploy.resources.resource import group_resource_name
from samovar.deploy.resources.security_group import Rule
from samovar.project.environment import Environment
from samovar.project.group import Group
from samovar.project.load_profile import PLACEHOLDER, Endpoint, load_profile

NODE, NODE_PORT = "node", 9100
"""The exporter that every machine has: prometheus-node-exporter."""
JOURNAL_PORT = 19532
"""The port of systemd-journal-remote."""


def exporters(group: Group) -> Mapping[str, int]:
    """Return the ports at which the machines of a group show metrics, by the name of the exporter."""
    return {NODE: NODE_PORT, **group.exporters}


def monitoring_metadata(
    environment: Environment, group: Group, machines: Callable[[Group], dict[str, object]]
) -> dict[str, object]:
    """Return what the machines of a group are told; `machines` says how many a group can have. Raises ConfigError."""
    monitoring = environment.monitoring
    if monitoring is None:
        return {}
    collector: dict[str, object] = {"collector": monitoring.name}
    if group is not monitoring:
        return collector
    zones = len(environment.zones)
    targets = [
        {**machines(each), "size": each.smallest_size(zones), "exporters": dict(exporters(each))}
        for each in environment.groups
    ]
    return {**collector, "targets": targets, **_objectives(environment, monitoring)}


def monitoring_rules(environment: Environment, group: Group, ranges: Sequence[str]) -> Iterator[Rule]:
    """Yield the rules of a group's security group that let metrics and journals pass.

    The group that monitors names the `ranges` of all machines and no other group, for all others name it.
    """
    monitoring = environment.monitoring
    if monitoring is None:
        return
    if group is monitoring:
        yield from (Rule(inbound=True, port=JOURNAL_PORT, peer=peer) for peer in ranges)
        ports = {port for each in environment.groups for port in exporters(each).values()}
        yield from (Rule(inbound=False, port=port, peer=peer) for port in ports for peer in ranges)
        return
    yield from (Rule(inbound=False, port=JOURNAL_PORT, peer=peer) for peer in ranges)
    peer = group_resource_name(environment.name, monitoring.name)
    yield from (Rule(inbound=True, port=port, peer=peer) for port in exporters(group).values())


def _objectives(environment: Environment, monitoring: Group) -> dict[str, object]:
    """Return the bounds of the load profile that the group names, by the names that routes have at an edge."""
    if monitoring.objectives is None:
        return {}
    profile = load_profile(environment.project.loads, monitoring.objectives)
    return {"objectives": [_objective(endpoint) for endpoint in profile.endpoints]}


def _objective(endpoint: Endpoint) -> dict[str, object]:
    bounds = endpoint.slo.model_dump(exclude_none=True)
    return {"method": endpoint.method, "route": PLACEHOLDER.sub(r":\1", endpoint.path), **bounds}
