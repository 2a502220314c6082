"""Compares what a group asks its machines with the settings of the proxy before their application. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from samovar.agent.role import Value
from samovar.deploy.resources.health_check import HealthCheck
from samovar.project.group import Group

PROXY = "samovar-app"
"""The image of which the images of applications are made."""
PAGES = "/-/"
"""The beginning of the paths that the proxy answers itself."""


def proxy_faults(group: Group, settings: Mapping[str, Value]) -> Iterator[tuple[Sequence[str | int], str]]:
    """Yield the path of each setting of the role that does not fit the checks of the group, and what is wrong."""
    ports, drain = settings["ports"], settings["drain"]
    for health in (group.health, group.balancer_health):
        asked = health.type == "http" and health.path.startswith(PAGES)
        if asked and isinstance(ports, Sequence) and health.port not in ports:
            yield ("ports",), f"{health.path} is asked at {health.port}: name that port, or another one in `health`"
    seconds = noticed_after(group)
    if group.balancer and group.largest_size > 1 and isinstance(drain, int) and drain <= seconds:
        why = f"the balancer takes {seconds} s to notice, `interval` times `unhealthy` of its check"
        yield ("drain",), f"{why}: let this be more, or those less"


def noticed_after(group: Group) -> int:
    """Return the seconds after which the balancer sends nothing more to a machine whose page fails."""
    health = group.balancer_health
    return (health.interval or HealthCheck.interval) * (health.unhealthy or HealthCheck.unhealthy)
