"""Lists the drills of a project and the library, and says which of them an environment allows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from samovar.drills.targets import NoTarget, group_name
from samovar.project.drill import SERVICES, Drill, drill_names, load_drill
from samovar.project.environment import Environment

MEMBER = re.compile(r"(?P<group>.+)-(?P<number>[1-9][0-9]*)")


@dataclass(frozen=True)
class Entry:
    """A drill of the catalogue. `not_here` says why it cannot be run in this environment; null if it can."""

    drill: str
    arguments: tuple[str, ...]
    description: str
    local_only: bool
    not_here: str | None


@dataclass(frozen=True)
class Catalogue:
    """The drills of a project and the library, in the order of their names."""

    environment: str
    drills: tuple[Entry, ...]


def catalogue(environment: Environment, *, local: bool) -> Catalogue:
    """Return every drill. `local` says whether the environment is one of the local cloud, which can break machines."""
    folder = environment.project.drills
    drills = [load_drill(folder, name) for name in drill_names(folder)]
    entries = (
        Entry(
            drill.name, drill.arguments, drill.description, drill.local_only, why_not(drill, environment, local=local)
        )
        for drill in drills
    )
    return Catalogue(environment.name, tuple(entries))


def runnable(environment: Environment, *, local: bool) -> tuple[Drill, ...]:
    """Return the drills that need no arguments, and that the environment allows."""
    names = [
        entry.drill
        for entry in catalogue(environment, local=local).drills
        if not entry.arguments and not entry.not_here
    ]
    return tuple(load_drill(environment.project.drills, name) for name in names)


def why_not(drill: Drill, environment: Environment, *, local: bool) -> str | None:
    """Return why the environment does not allow the drill; None if it does."""
    if drill.local_only and not local:
        return "only on the local cloud"
    if drill.arguments:
        return None
    try:
        named = [name for cause in drill.causes for name in (cause.target, *cause.peers)]
        missing = next(_missing(named, environment), None)
    except NoTarget as error:
        return error.message
    return missing and f"{environment.name} has no group or machine {missing}"


def _missing(targets: Sequence[str], environment: Environment) -> Iterator[str]:
    sizes = {group.name: group.size for group in environment.groups}
    for target in targets:
        member = MEMBER.fullmatch(target.removeprefix(f"{environment.name}-"))
        is_machine = member is not None and int(member["number"]) <= sizes.get(member["group"], 0)
        if target not in SERVICES and group_name(environment, target) not in sizes and not is_machine:
            yield target
