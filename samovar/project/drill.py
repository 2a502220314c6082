"""Reads drills: `drills/NAME.yaml` states what is broken, under which load, and what recovery is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator
from pydantic.json_schema import SkipJsonSchema

from samovar.core.yaml_file import load_model
from samovar.project.fields import Strict
from samovar.project.load_profile import MAX_RATE, PLACEHOLDER, Request, Scalar


class FaultKind(StrEnum):
    """The kinds of fault: power cut, shutdown, SIGKILL to a unit, or a request through the service."""

    KILL = "kill"
    STOP = "stop"
    CRASH = "crash"
    REQUEST = "request"


class FaultRequest(Strict):
    """The request that makes a machine fail; it is sent `times` at once, and a client gives up after `timeout` s."""

    request: Request
    body: Mapping[str, Scalar] | None = None
    timeout: PositiveFloat = 10.0
    times: int = Field(default=1, ge=1, le=20)


class DrillLoad(Strict):
    """The load under which the fault happens: a profile of loads/, and its rate if it is not the profile's own."""

    profile: str = "stable"
    rate: float | None = Field(default=None, gt=0, le=MAX_RATE)


class Expectation(Strict):
    """Upper limits of what the drill measures, as in its JSON; seconds count from the fault. Null: no limit."""

    seconds_to_detect: NonNegativeFloat | None = None
    seconds_to_recover: NonNegativeFloat | None = None
    seconds_to_answer: NonNegativeFloat | None = None
    failed: NonNegativeInt | None = None
    failed_after_detection: NonNegativeInt | None = None
    max_seconds: NonNegativeFloat | None = None
    longest_gap_seconds: NonNegativeFloat | None = None


class Drill(Strict):
    """A drill: it breaks `target`, a group's first machine, all its machines (`all_machines`) or one machine.

    `unit` is the systemd unit that is killed, or whose new process shows the recovery. `arguments` name the words that
    follow the drill's name on the command line; `{name}` in `target`, `unit` and the body of the request stands for
    them. `timeout` is the seconds in which the environment must recover.
    """

    name: SkipJsonSchema[str] = ""
    description: str = ""
    arguments: tuple[str, ...] = ()
    fault: FaultKind
    target: str
    all_machines: bool = False
    unit: str = ""
    request: FaultRequest | None = None
    load: DrillLoad = DrillLoad()
    timeout: PositiveFloat = 120.0
    expect: Expectation = Expectation()

    @model_validator(mode="after")
    def _has_what_its_fault_needs(self) -> Self:
        if self.fault is FaultKind.CRASH and not self.unit:
            raise ValueError("the fault crash needs a unit, such as nginx.service")
        if (self.fault is FaultKind.REQUEST) != (self.request is not None):
            raise ValueError("`request` stands with the fault request, and with no other")
        return self

    @model_validator(mode="after")
    def _names_its_placeholders(self) -> Self:
        body = (self.request.body or {}) if self.request else {}
        texts = [self.target, self.unit, *(value for value in body.values() if isinstance(value, str))]
        used = {name for text in texts for name in PLACEHOLDER.findall(text)}
        if unknown := sorted(used - set(self.arguments)):
            raise ValueError(f"nothing fills {{{unknown[0]}}}: add {unknown[0]} to arguments")
        return self

    def with_arguments(self, words: Sequence[str]) -> Drill:
        """Return the drill with those words in place of `{name}`. There is one for each of `arguments`."""
        values = dict(zip(self.arguments, words, strict=True))
        fill = _filler(values)
        changed: dict[str, object] = {"target": fill(self.target), "unit": fill(self.unit)}
        if self.request and self.request.body:
            body = {key: _scalar(value, fill) for key, value in self.request.body.items()}
            changed["request"] = self.request.model_copy(update={"body": body})
        return self.model_copy(update=changed)

    def with_overrides(self, *, unit: str | None = None, times: int | None = None) -> Drill:
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


def load_drill(folder: Path, name: str) -> Drill:
    """Read the drill `name` from `folder`, drills/ of a project. Raises ConfigError that names file, line and key."""
    path = folder / f"{name}.yaml"
    return load_model(path, Drill, complete=lambda value: {**value, "name": name} if isinstance(value, dict) else value)
