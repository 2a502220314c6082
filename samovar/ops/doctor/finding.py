"""The findings of the doctor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import computed_field

from samovar.core.errors import SamovarError


class State(StrEnum):
    """The state of a finding. `unknown` is what the API does not show; it is no failure."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """A finding in an area such as `quotas`; `remedy` is what to do, where there is something to do."""

    area: str
    state: State
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All findings of the doctor. They are `healthy` where there is no failure among them."""

    findings: tuple[Finding, ...]

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation has it
    @property
    def healthy(self) -> bool:
        """True where no finding is a failure."""
        return all(finding.state is not State.FAILURE for finding in self.findings)


def ok(area: str, message: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(area, State.OK, message)


def failed(area: str, error: SamovarError, state: State = State.FAILURE) -> Finding:
    """Return the finding of an error with which a command would have ended."""
    return Finding(area, state, error.message, error.remedy)


def run_check(area: str, check: Callable[[], Iterable[Finding]], state: State = State.FAILURE) -> tuple[Finding, ...]:
    """Return the findings of a check. Where it fails with an error, that is the finding."""
    try:
        return tuple(check())
    except SamovarError as error:
        return (failed(area, error, state),)
