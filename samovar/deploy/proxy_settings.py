"""Compares what is asked of a group's machines with the settings of the proxy before their application. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from samovar.agent.role import Value
from samovar.deploy.resources.health_check import HealthCheck
from samovar.project.balancer import Health
from samovar.project.group import Group

PROXY = "samovar-app"
"""The image of which the images of applications are made."""
PAGES = "/-/"
"""The beginning of the paths that the proxy answers itself."""
Fault = tuple[tuple[str], str]
"""The path of a setting that does not fit, and why."""


def proxy_faults(group: Group, settings: Mapping[str, Value]) -> Iterator[Fault]:
    """Yield what of the role's settings does not fit the group."""
    ports, drain = settings["ports"], settings["drain"]
    if isinstance(ports, Sequence):
        yield from ((("ports",), why) for why in _misses(group, ports))
    if isinstance(drain, int) and group.largest_size > 1 and drain <= (seconds := _notices(group)):
        why = f"the balancer takes {seconds} s to notice, `interval` times `unhealthy` of its check"
        yield ("drain",), f"{why}: let this be more, or those less"


def _misses(group: Group, ports: Sequence[Value]) -> Iterator[str]:
    """Yield who would ask where the proxy does not listen, or where nobody is let in."""
    for health in (group.health, group.balancer_health):
        if _is_of_proxy(health) and health.port not in ports:
            yield f"{health.path} is asked at {health.port}: name that port, or another one in `health`"
    http = group.balancer.listeners.get("http") if group.balancer else None
    if http and http.target not in ports:
        yield f"the balancer sends to {http.target}: name that port, or another `target_port` of its listener"
    if group.balancer and group.ports and ports[-1] not in group.ports:
        yield f"other machines of the group ask at {ports[-1]}: open it by the group's `ports`"


def _notices(group: Group) -> int:
    """Return the seconds after which the balancer knows that a page of the proxy fails; -1 where it asks for none."""
    health = group.balancer_health
    if not (group.balancer and _is_of_proxy(health)):
        return -1
    return (health.interval or HealthCheck.interval) * (health.unhealthy or HealthCheck.unhealthy)


def _is_of_proxy(health: Health) -> bool:
    return health.type == "http" and health.path.startswith(PAGES)
