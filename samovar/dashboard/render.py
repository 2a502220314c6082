"""Turns a reading into what the page shows: the picture, the table of machines, and a line that says how things are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment as Templates

from samovar.core.templates import load_pages
from samovar.dashboard.picture import CELL, CELLS, HEAD, ROW, ROWS, lay_out
from samovar.dashboard.topology import Kind, Node, request_graph
from samovar.deploy.status import HEALTHY, LEAVING, OUTDATED, RUNNING, GroupStatus, MachineStatus
from samovar.ops.events import Reading
from samovar.project.environment import Environment

PAGE = Path(__file__).parent / "page"
OK, CHANGING, FAILED, NONE = "ok", "changing", "failed", "none"
MARKS = {OK: "✓", CHANGING: "…", FAILED: "✕", NONE: "-"}
LISTED = 50
"""The most machines that the table lists; of more machines it lists those alone that are not healthy."""
STATES = {RUNNING: "running", OUTDATED: "running, outdated", "CREATING_INSTANCE": "creating"}


@dataclass(frozen=True)
class View:
    """The parts of the page, as HTML and SVG."""

    summary: str
    picture: str
    machines: str


def render(environment: Environment, reading: Reading, *, tall: bool) -> View:
    """Return the parts of the page. The picture is laid out for a wide window, or a tall one."""
    groups = {group.name: group for group in reading.status.groups}
    picture = lay_out(
        request_graph(environment), {name: len(group.machines) for name, group in groups.items()}, tall=tall
    )
    shared = {"environment": environment, "reading": reading, "groups": groups, "picture": picture}
    return View(
        summary=templates().get_template("summary.html.j2").render(shared),
        picture=templates().get_template("picture.svg.j2").render(shared),
        machines=templates().get_template("machines.html.j2").render(shared, machines=list(_listed(reading))),
    )


@cache
def templates() -> Templates:
    """Return the templates of the page, with the functions that they use."""
    loaded = load_pages(PAGE)
    loaded.globals |= {
        "CELL": CELL,
        "CELLS": CELLS,
        "HEAD": HEAD,
        "ROW": ROW,
        "ROWS": ROWS,
        "MARKS": MARKS,
        "condition": condition,
        "group_view": group_view,
        "balancer_view": balancer_view,
        "flow": flow,
        "progress": progress,
        "short_image": short_image,
        "since": since,
        "state": state,
    }
    return loaded


def condition(machine: MachineStatus) -> str:
    """Return whether a machine is well, on its way, or fails."""
    if machine.healthy:
        return OK
    return FAILED if machine.status in LEAVING or machine.balancer == "UNHEALTHY" else CHANGING


def group_view(machine: MachineStatus) -> str:
    """Return what the group thinks of a machine."""
    if machine.status.startswith("RUNNING"):
        return OK
    return FAILED if machine.status in LEAVING else CHANGING


def balancer_view(machine: MachineStatus) -> str:
    """Return what the balancer thinks of a machine."""
    return {HEALTHY: OK, "UNHEALTHY": FAILED, "INITIAL": CHANGING}.get(machine.balancer or "", NONE)


def state(machine: MachineStatus) -> str:
    """Return the state of a machine in small letters."""
    return STATES.get(machine.status) or machine.status.removesuffix("_INSTANCE").replace("_", " ").lower()


def flow(node: Node, groups: Mapping[str, GroupStatus]) -> str:
    """Return whether requests to a node are served: by all of a group's machines, by some, or by none."""
    group = groups.get(node.name)
    if node.kind in (Kind.REQUESTS, Kind.SERVER) or group is None:
        return NONE
    if group.healthy:
        return OK
    return CHANGING if any(machine.healthy for machine in group.machines) else FAILED


def progress(group: GroupStatus) -> str:
    """Return how far a group is with its image, where some of its machines have another one."""
    new = sum(machine.image == group.image for machine in group.machines)
    return f"{new} of {len(group.machines)} have the new image" if new < len(group.machines) else ""


def short_image(image: str | None) -> str:
    """Return the name of an image without what is common to all, and with the beginning of its digest."""
    return re.sub(r"-([0-9a-f]{6})[0-9a-f]{6}$", r" \1", (image or "").removeprefix("samovar-"))


def since(machine: MachineStatus) -> float:
    """Return when a machine was created, in seconds since 1970; 0 where that is not known."""
    return datetime.fromisoformat(machine.created_at).timestamp() if machine.created_at else 0


def _listed(reading: Reading) -> Iterator[tuple[GroupStatus, MachineStatus]]:
    machines = [(group, machine) for group in reading.status.groups for machine in group.machines]
    few = len(machines) <= LISTED
    ill = [each for each in machines if few or not each[1].healthy]
    yield from ill[:LISTED]
