"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import TypedDict

from samovar.core.errors import SamovarError


class State(StrEnum):
    """`unknown` is what the API does not tell us; it is no failure."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAILURE = "failure"


class FindingJson(TypedDict):
    """A finding; `state` is one of ok, unknown, warning and failure."""

    area: str
    state: str
    what: str
    remedy: str


class DoctorJson(TypedDict):
    """`healthy` is whether there is no failure among the findings."""

    healthy: bool
    findings: list[FindingJson]


@dataclass(frozen=True)
class Finding:
    """`area` is what it concerns, `remedy` what to do, where there is something to do."""

    area: str
    state: State
    what: str
    remedy: str = ""

    def to_json(self) -> FindingJson:
        """All four, as text."""
        return {"area": self.area, "state": self.state.value, "what": self.what, "remedy": self.remedy}


def ok(area: str, what: str) -> Finding:
    """All is well."""
    return Finding(area, State.OK, what)


def failed(area: str, error: SamovarError, state: State = State.FAILURE) -> Finding:
    """An error that a command would have ended with."""
    return Finding(area, state, error.message, error.remedy)


def looked(area: str, look: Callable[[], Iterable[Finding]], state: State = State.FAILURE) -> tuple[Finding, ...]:
    """What a look finds; where it cannot look, that is the finding."""
    try:
        return tuple(look())
    except SamovarError as error:
        return (failed(area, error, state),)
