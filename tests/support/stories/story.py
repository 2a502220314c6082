"""A story: a rollout that changes something, faults of drills meanwhile, and the death of the tool's process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import yaml
from hypothesis import strategies as st

from samovar.project.drill import FurtherFault
from samovar.project.environment import Environment
from samovar.project.fault import FaultKind
from tests.support.environments import changed

APP, EDGE, DATA = "bingo", "nginx", "postgres"
OTHER = "api"
NOTHING = "nothing changes"


@dataclass(frozen=True)
class Change:
    """A change of the environment, and the groups whose machines it may replace."""

    groups: frozenset[str]
    of: Callable[[Environment], Environment]


def _group(name: str, **fields: object) -> Change:
    def of(environment: Environment) -> Environment:
        groups = (changed(each, **fields) if each.name == name else each for each in environment.groups)
        return changed(environment, groups=tuple(groups))

    return Change(frozenset({name}), of)


def _memory(name: str) -> Change:
    def of(environment: Environment) -> Environment:
        machine = changed(environment.group(name).machine, memory=4 << 30)
        return _group(name, machine=machine).of(environment)

    return Change(frozenset({name}), of)


def _another(environment: Environment) -> Environment:
    """Return a second group like the application's."""
    return changed(environment, groups=(*environment.groups, changed(environment.group(APP), name=OTHER)))


def _renamed(environment: Environment) -> Environment:
    """The group of the application gets another name, so it is a new group, and the former goes at the end."""
    edge = changed(environment.group(EDGE), upstreams={"app": OTHER})
    app, data = changed(environment.group(APP), name=OTHER), environment.group(DATA)
    return changed(environment, groups=(edge, app, data))


def _domain(environment: Environment) -> Environment:
    return changed(environment, domain="tea.example.org")


CHANGES: Mapping[str, Change] = {
    NOTHING: Change(frozenset(), lambda environment: environment),
    "another domain": Change(frozenset(), _domain),
    f"{APP} grows": _group(APP, size=3),
    f"{APP} shrinks": _group(APP, size=1),
    f"{APP} is made anew": _memory(APP),
    f"{EDGE} is made anew": _memory(EDGE),
    f"{DATA} is made anew": _memory(DATA),
    f"{OTHER} is added": Change(frozenset({APP, OTHER, DATA}), _another),
    f"{APP} is renamed": Change(frozenset({APP, OTHER, EDGE, DATA}), _renamed),
}


@dataclass(frozen=True)
class Story:
    """`dies_at` is the number of the call, of those that change something, at which the rollout is killed.

    If it is `answered`, that call is carried out. `faults` strike so many seconds after the rollout began, and are put
    back `hold` seconds after it began.
    """

    change: str = NOTHING
    dies_at: int | None = None
    answered: bool = False
    faults: tuple[FurtherFault, ...] = ()
    hold: float = 20.0

    @property
    def touched(self) -> frozenset[str]:
        """Return the groups whose machines may be made anew."""
        return CHANGES[self.change].groups | {each.target for each in self.faults}

    def __str__(self) -> str:
        """Return the story in the form of a drill's file, which repeats its faults on real machines."""
        dies = "" if self.dies_at is None else f", killed at call {self.dies_at}{' (answered)' * self.answered}"
        stated = [each.model_dump(mode="json", exclude_defaults=True) for each in self.faults]
        keys = {"also": stated, "hold": self.hold} if stated else {}
        return f"# a rollout: {self.change}{dies}\n" + yaml.safe_dump(keys, sort_keys=False, default_flow_style=None)


def fault(kind: FaultKind, target: str, after: float = 0.0, **keys: object) -> FurtherFault:
    """Return one fault of a story."""
    return FurtherFault.model_validate({"fault": kind, "target": target, "after": after, **keys})


MACHINES = st.sampled_from([APP, EDGE, DATA])
OF_ANY_GROUP = [
    *(FaultKind.KILL, FaultKind.STOP, FaultKind.FREEZE, FaultKind.NO_START),
    *(FaultKind.UPDATE, FaultKind.TEMPLATE),
]
METHODS = st.sampled_from(
    ["InstanceGroupService/*", "*/Get", "*/List*", "*/Update", "*/Create", "OperationService/Get", "*/Delete"]
)
MOMENTS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 14.0])


def _of(kinds: list[FaultKind], targets: st.SearchStrategy[str], **keys: object) -> st.SearchStrategy[FurtherFault]:
    return st.builds(partial(fault, **keys), st.sampled_from(kinds), targets, MOMENTS)  # type: ignore[arg-type]


faults = st.one_of(
    _of(OF_ANY_GROUP, MACHINES),
    _of([FaultKind.DRAIN], st.sampled_from([APP, EDGE])),
    _of([FaultKind.RULES], st.just(APP), port=8080),
    _of([FaultKind.DAEMON], st.just(EDGE)),
    METHODS.flatmap(lambda method: _of([FaultKind.CALLS], st.just(EDGE), method=method)),
)
stories = st.builds(
    Story,
    change=st.sampled_from(list(CHANGES)),
    dies_at=st.none() | st.integers(1, 25),
    answered=st.booleans(),
    faults=st.lists(faults, max_size=2).map(tuple),
    hold=st.sampled_from([15.0, 20.0, 30.0]),
)
