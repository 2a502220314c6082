"""What a load showed: the value, its documented JSON, and whether the terms hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict

from samovar.load.generator import Load, Run
from samovar.load.results import EndpointJson, Figures, Outcome, figures, lateness

LATE = 0.05
"""Seconds; a generator that is later than this measures itself."""


@dataclass(frozen=True)
class Report:
    """Of one load; `seconds` is how long it was sent, `left` are the rows that it could not delete again."""

    environment: str
    load: Load
    seconds: float
    outcomes: tuple[Outcome, ...]
    left: tuple[int, ...] = ()

    @property
    def figures(self) -> tuple[Figures, ...]:
        """Of each endpoint, in the order of the terms."""
        return tuple(figures(endpoint, self.outcomes) for endpoint in self.load.profile.endpoints)

    @property
    def holds(self) -> bool:
        return all(found.holds() for found in self.figures)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures worth less."""
        late = lateness(self.outcomes)
        slow = f"the generator itself was up to {late:.3f} s late: its own delay is in the latencies"
        left = f"sessions that could not be deleted again: {', '.join(map(str, self.left))}"
        return (*((slow,) if late > LATE else ()), *((left,) if self.left else ()))

    def to_json(self) -> LoadJson:
        return {
            "environment": self.environment,
            "profile": self.load.profile.name,
            "addresses": [target.url for target in self.load.targets],
            "protocol": "HTTP/2" if self.load.http2 else "HTTP/1.1",
            "rate": self.load.rate,
            "arrivals": "even" if self.load.seed is None else "poisson",
            "new_connections": self.load.fresh,
            "seconds": round(self.seconds, 2),
            "requests": len(self.outcomes),
            "failed": sum(found.failed for found in self.figures),
            "generator_late_seconds": round(lateness(self.outcomes), 4),
            "left_behind": list(self.left),
            "endpoints": [found.to_json() for found in self.figures],
            "holds": self.holds,
        }


class LoadJson(TypedDict):
    """What a load showed; `holds` where all bounds do.

    `generator_late_seconds` is what the generator itself added to 99 of 100 latencies at most; `left_behind` are the
    sessions that it could not delete again.
    """

    environment: str
    profile: str
    addresses: list[str]
    protocol: Literal["HTTP/1.1", "HTTP/2"]
    rate: float
    arrivals: Literal["even", "poisson"]
    new_connections: float
    seconds: float
    requests: int
    failed: int
    generator_late_seconds: float
    left_behind: list[int]
    endpoints: list[EndpointJson]
    holds: bool


def report(environment: str, load: Load, run: Run) -> Report:
    """Of a load that has ended."""
    return Report(environment, load, run.ended, tuple(run.outcomes), tuple(sorted(run.left)))
