"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import computed_field

from samovar.core.errors import SamovarError


class State(StrEnum):
    """`unknown` is what the API does not tell us; it is no failure."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """`area` is what it concerns, `remedy` what to do, where there is something to do."""

    area: str
    state: State
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All findings; `healthy` where there is no failure among them."""

    findings: tuple[Finding, ...]

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation has it
    @property
    def healthy(self) -> bool:
        """Whether nothing prevents a rollout."""
        return all(finding.state is not State.FAILURE for finding in self.findings)


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
