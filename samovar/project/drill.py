"""Reads drills: `drills/NAME.yaml` states what is broken, under which load, and what recovery is expected.

The drills of the library are there in every project that has none of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator
from pydantic.json_schema import SkipJsonSchema

from samovar.core.constants import MAX_RATE
from samovar.core.paths import LIBRARY
from samovar.project.fault import BY_THE_API, ENDS_BY_ITSELF, MEANINGS, NEEDS, FaultKind
from samovar.project.fields import Strict
from samovar.project.load_profile import PLACEHOLDER, Request, Scalar
from samovar.project.named_file import file_names, load_named

LIBRARY_DRILLS = LIBRARY / "drills"
SERVICES = frozenset({"dns", "metadata", "everything"})
"""The peers that are no groups."""
MAX_HOLD = 300.0
"""Seconds for which a fault may last that a drill puts back."""


class FaultRequest(Strict):
    """The request that makes a machine fail; it is sent `times` at once, and a client gives up after `timeout` s."""

    request: Request
    body: Mapping[str, Scalar] | None = Field(default=None, description="the fields of a body of JSON")
    timeout: PositiveFloat = Field(default=10.0, description="seconds after which a client gives up")
    times: int = Field(default=1, ge=1, le=20, description="how many times it is sent at once")


class DrillLoad(Strict):
    """The load under which the fault happens: a profile of loads/, and its rate if it is not the profile's own."""

    profile: str = Field(default="stable", description="a file of loads/, or a profile of the library")
    rate: float | None = Field(default=None, gt=0, le=MAX_RATE, description="requests a second")


class Expectation(Strict):
    """Upper limits of what the drill measures, as in its JSON; seconds count from the fault. Null: no limit."""

    seconds_to_detect: NonNegativeFloat | None = Field(default=None, description="until the cloud noticed")
    seconds_to_recover: NonNegativeFloat | None = Field(default=None, description="until the environment was healthy")
    seconds_to_answer: NonNegativeFloat | None = Field(
        default=None, description="until no request failed any more, or took over a second"
    )
    failed: NonNegativeInt | None = Field(default=None, description="requests that failed")
    failed_after_detection: NonNegativeInt | None = Field(
        default=None, description="those of them that were sent after the cloud had noticed"
    )
    max_seconds: NonNegativeFloat | None = Field(default=None, description="seconds of the slowest answer")
    longest_gap_seconds: NonNegativeFloat | None = Field(
        default=None, description="the longest time in which no request was answered"
    )


class Cause(Strict):
    """A cause says what is broken, and how.

    `{name}` in `target`, `unit`, `method` and the body of the request stands for an argument of the drill.
    """

    fault: FaultKind = Field(description="; ".join(f"`{kind}` {meaning}" for kind, meaning in MEANINGS.items()))
    target: str = Field(
        description="a group, whose first machine is broken, or with `:last` behind it the last; a machine; "
        "`role:front` (the group behind the external balancer), `role:inner` (behind an internal one), `role:data` "
        "(with a data disk), or `kind:KIND`"
    )
    all_machines: bool = Field(default=False, description="`true` breaks all machines of the group at once")
    unit: str = Field(
        default="", description="the systemd unit that is broken, or whose new process shows the recovery"
    )
    request: FaultRequest | None = Field(default=None, description="the request that makes a machine fail")
    peers: tuple[str, ...] = Field(
        default=(),
        description="groups, machines or roles as in `target`; or one of `dns`, `metadata` and `everything`",
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="the share of packets that are lost in each direction"
    )
    delay: NonNegativeFloat = Field(default=0.0, description="seconds by which packets are delayed")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=0, description="a port")
    path: str = Field(default="", pattern=r"^(/[\w./-]*)?$", description="a folder in the file system that is filled")
    method: str = Field(default="", description="a pattern over methods, such as `PayloadService/Get`")

    @model_validator(mode="after")
    def _has_what_its_fault_needs(self) -> Self:
        needed = NEEDS.get(self.fault)
        if needed and not getattr(self, needed):
            raise ValueError(f"the fault {self.fault} needs `{needed}`")
        for key in sorted({*NEEDS.values()} - {"unit", needed}):
            if getattr(self, key):
                kinds = " and ".join(kind for kind, need in NEEDS.items() if need == key)
                raise ValueError(f"`{key}` stands with the fault {kinds}, and with no other")
        return self

    @model_validator(mode="after")
    def _has_peers_of_a_kind(self) -> Self:
        if (service := next(iter(SERVICES & {*self.peers}), None)) and len(self.peers) > 1:
            raise ValueError(f"the peer {service} stands alone")
        return self

    def texts(self) -> Iterator[str]:
        """Yield what may hold placeholders."""
        body = (self.request.body or {}) if self.request else {}
        yield from (self.target, self.unit, self.method, *(value for value in body.values() if isinstance(value, str)))

    def filled(self, fill: Callable[[str], str]) -> Self:
        """Return the same with `fill` of each text."""
        texts = {"target": self.target, "unit": self.unit, "method": self.method}
        changed: dict[str, object] = {key: fill(text) for key, text in texts.items()}
        if self.request and self.request.body:
            body = {key: _scalar(value, fill) for key, value in self.request.body.items()}
            changed["request"] = self.request.model_copy(update={"body": body})
        return self.model_copy(update=changed)


class FurtherFault(Cause):
    """One more fault of a drill, `after` seconds after the first; it is put back together with that one."""

    after: NonNegativeFloat = Field(default=0.0, description="seconds after the first fault")


class Drill(Cause):
    """A drill: its fault and those in `also`, the load meanwhile, and the recovery that is expected."""

    name: SkipJsonSchema[str] = ""
    description: str = Field(default="", description="what it does, in a sentence without a subject")
    expectation: str = Field(default="", description="what should happen, and why: a sentence for docs/drills.md")
    arguments: tuple[str, ...] = Field(
        default=(), description="the words that follow the drill's name on the command line"
    )
    also: tuple[FurtherFault, ...] = Field(default=(), description="further faults, at the same time or later")
    hold: Annotated[float, Field(gt=0, le=MAX_HOLD)] = Field(
        default=10.0, description="seconds after the last fault at which the drill puts back what it broke"
    )
    load: DrillLoad = Field(default=DrillLoad(), description="the load meanwhile")
    timeout: PositiveFloat = Field(default=120.0, description="seconds in which the environment must recover")
    expect: Expectation = Field(default=Expectation(), description="the bounds by which the verdict is found")
    alerts: tuple[str, ...] | None = Field(
        default=None,
        description="the alerts that must begin to fire, by their names in docs/metrics.md, and no other may; judged "
        "where a group monitors the environment. Without the key any may fire",
    )
    possible_alerts: tuple[str, ...] = Field(
        default=(), description="further alerts that may fire: whether they do depends on how long the recovery takes"
    )

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Return all faults, the first one first."""
        return (self, *self.also)

    @property
    def local_only(self) -> bool:
        """Return whether the local cloud alone allows one of the faults."""
        return any(each.fault not in BY_THE_API for each in self.causes)

    @property
    def restores(self) -> bool:
        """Return whether the drill has to put back what one of the faults broke."""
        return any(each.fault not in ENDS_BY_ITSELF for each in self.causes)

    @model_validator(mode="after")
    def _names_its_placeholders(self) -> Self:
        used = {name for cause in self.causes for text in cause.texts() for name in PLACEHOLDER.findall(text)}
        if unknown := sorted(used - set(self.arguments)):
            raise ValueError(f"nothing fills {{{unknown[0]}}}: add {unknown[0]} to arguments")
        return self

    @model_validator(mode="after")
    def _sends_its_request_first(self) -> Self:
        if any(each.request for each in self.also):
            raise ValueError("the fault `request` must be the first of a drill, not one of `also`")
        return self

    def with_arguments(self, words: Sequence[str]) -> Drill:
        """Return the drill with those words in place of `{name}`. There is one for each of `arguments`."""
        fill = _filler(dict(zip(self.arguments, words, strict=True)))
        return self.filled(fill).model_copy(update={"also": tuple(each.filled(fill) for each in self.also)})

    def with_overrides(self, *, unit: str | None, times: int | None) -> Drill:
        """Return the drill with another unit, or with its request sent as often as `times` says."""
        request = self.request.model_copy(update={"times": times}) if self.request and times else self.request
        return self.model_copy(update={"unit": self.unit if unit is None else unit, "request": request})


def _filler(values: Mapping[str, str]) -> Callable[[str], str]:
    return lambda text: PLACEHOLDER.sub(lambda match: values[match[1]], text)


def _scalar(value: Scalar, fill: Callable[[str], str]) -> Scalar:
    """Return a value of the body; a placeholder that stands alone and is given as digits becomes a number."""
    if not isinstance(value, str):
        return value
    text = fill(value)
    return int(text) if text.isdecimal() and PLACEHOLDER.fullmatch(value) else text


def drill_names(folder: Path) -> list[str]:
    """Return the names of the drills in `folder`, drills/ of a project, and of those in the library."""
    return file_names(folder, LIBRARY_DRILLS)


def load_drill(folder: Path, name: str) -> Drill:
    """Read a drill from `folder`, else from the library. Raises ConfigError that names file, line and key."""
    return load_named(Drill, "drill", name, folder, LIBRARY_DRILLS)
