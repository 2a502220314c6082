"""What came of a load: its requests one by one, and the figures of each endpoint held against its bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from typing_extensions import TypedDict

from samovar.load.slo import Endpoint

QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request; times in seconds.

    `due` is when it had to leave, from the start of the load; `late` how much later it left; `seconds` what it took
    from when it was due; `failure` why it failed, if it did.
    """

    endpoint: str
    due: float
    late: float
    seconds: float
    failure: str = ""

    @property
    def end(self) -> float:
        return self.due + self.seconds


@dataclass(frozen=True)
class Figures:
    """Of one endpoint. `quantiles` in seconds, None where that many did not succeed; `worst` of all, failed or not."""

    endpoint: Endpoint
    sent: int
    errors: Mapping[str, int]
    quantiles: Mapping[float, float | None]
    bounded: float | None
    worst: float

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def share(self) -> float:
        """Of the requests that failed."""
        return self.failed / self.sent if self.sent else 0.0

    def holds(self, spare: float = 1.0) -> bool:
        """Whether the bound is kept, or with 0.5 half of it; where nothing was asked nothing was shown."""
        bound = self.endpoint.bound
        swift = bound.seconds is None or (self.bounded is not None and self.bounded <= bound.seconds * spare)
        return self.sent > 0 and swift and self.share <= bound.errors * spare

    def to_json(self) -> EndpointJson:
        at, bound = self.quantiles, self.endpoint.bound
        return {
            "endpoint": self.endpoint.name,
            "sent": self.sent,
            "ok": self.sent - self.failed,
            "errors": dict(self.errors),
            "p50_seconds": _rounded(at[0.5]),
            "p90_seconds": _rounded(at[0.9]),
            "p99_seconds": _rounded(at[0.99]),
            "worst_seconds": round(self.worst, 4),
            "bound": {
                "errors": bound.errors,
                "quantile": bound.quantile,
                "seconds": bound.seconds,
                "measured_seconds": _rounded(self.bounded),
            },
            "holds": self.holds(),
        }


class BoundJson(TypedDict):
    """The share of `errors` and, where latency is bound, the `seconds` that `quantile` of all requests keep."""

    errors: float
    quantile: float | None
    seconds: float | None
    measured_seconds: float | None


class EndpointJson(TypedDict):
    """Of one endpoint; a quantile is null where so many requests did not succeed. `errors` counts by kind."""

    endpoint: str
    sent: int
    ok: int
    errors: dict[str, int]
    p50_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None
    worst_seconds: float
    bound: BoundJson
    holds: bool


def quantile(succeeded: Sequence[float], failed: int, share: float) -> float | None:
    """The least latency that `share` of all requests kept. `succeeded` is sorted.

    A failed request is slower than any answered one: None where the quantile falls among them, or there are none.
    """
    place = max(1, ceil(round(share * (len(succeeded) + failed), 9)))
    return succeeded[place - 1] if place <= len(succeeded) else None


def figures(endpoint: Endpoint, outcomes: Iterable[Outcome]) -> Figures:
    """Of those outcomes that are the endpoint's."""
    own = [outcome for outcome in outcomes if outcome.endpoint == endpoint.name]
    errors = Counter(outcome.failure for outcome in own if outcome.failure)
    swift = sorted(outcome.seconds for outcome in own if not outcome.failure)
    at = endpoint.bound.quantile
    return Figures(
        endpoint,
        len(own),
        errors,
        {share: quantile(swift, errors.total(), share) for share in QUANTILES},
        None if at is None else quantile(swift, errors.total(), at),
        max((outcome.seconds for outcome in own), default=0.0),
    )


def lateness(outcomes: Iterable[Outcome]) -> float:
    """What the generator itself added to 99 of 100 latencies at most, in seconds."""
    return quantile(sorted(outcome.late for outcome in outcomes), 0, 0.99) or 0.0


def longest_gap(outcomes: Iterable[Outcome], end: float) -> float:
    """The longest time in seconds, from the start to `end`, in which no request was answered well."""
    moments = sorted(outcome.end for outcome in outcomes if not outcome.failure)
    return max(
        after - before for before, after in zip([0.0, *moments], [*moments, max(end, *moments, 0.0)], strict=True)
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
