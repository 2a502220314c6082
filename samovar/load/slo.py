"""What the service promises its users, in numbers: how often each endpoint is asked, and what its answers have to keep.

How real users spread their requests is not known: the five endpoints whose latency is bound uncached are asked evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

OK, GONE = 200, 404
OPERATION = 1
"""The number that POST /operation gets: some of them make bingo fail, and which is known of the stand-in alone."""


@dataclass(frozen=True)
class Bound:
    """`errors` is the share of requests that may fail; `quantile` of all (0.9: nine in ten) take `seconds` at most."""

    errors: float = 0.01
    quantile: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Endpoint:
    """`name` is method and path.

    `timeout`: seconds after which a client gives up; `least`: what an answer takes that is no cache's; `age`: how old
    one may be, 0 where none may come from a cache.
    """

    name: str
    bound: Bound
    timeout: float = 10.0
    least: float = 0.0
    age: float = 0.0

    @property
    def prompt(self) -> bool:
        """Whether its users wait for each answer, which no cache gives."""
        return self.bound == UNCACHED

    @property
    def method(self) -> str:
        return self.name.split()[0]

    @property
    def path(self) -> str:
        return self.name.split()[1]


@dataclass(frozen=True)
class Step:
    """One request of a flow, and the status that it has to be answered with."""

    endpoint: Endpoint
    status: int = OK


@dataclass(frozen=True)
class Flow:
    """Requests that follow each other, each sent when the former is answered; `share` of all requests are theirs."""

    steps: tuple[Step, ...]
    share: float


@dataclass(frozen=True)
class Profile:
    """`rate` in requests a second. `lists` are asked in turn, one at a time, and come on top."""

    name: str
    rate: float
    flows: tuple[Flow, ...]
    lists: tuple[Endpoint, ...] = ()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Each once, in the order of the terms."""
        asked = [step.endpoint for flow in self.flows for step in flow.steps]
        return tuple(dict.fromkeys((*asked, *self.lists)))


UNCACHED = Bound(quantile=0.9, seconds=0.4)
LIST_TIMEOUT = 20.0
LISTS_EVERY = 4.0
"""Seconds from one list to the next, or longer where that is not answered yet."""

OPERATE = Endpoint("POST /operation", UNCACHED)
DATABASE = Endpoint("GET /db_dummy", UNCACHED, least=0.1)  # for so long the database sleeps
MOVIE = Endpoint("GET /api/movie/{id}", UNCACHED)
CUSTOMER = Endpoint("GET /api/customer/{id}", UNCACHED)
SESSION = Endpoint("GET /api/session/{id}", UNCACHED)
CREATE = Endpoint("POST /api/session", Bound())
DELETE = Endpoint("DELETE /api/session/{id}", Bound())
CACHED = Endpoint("GET /long_dummy", Bound(quantile=0.75, seconds=1.0), timeout=60.0, age=60.0)
MOVIES = Endpoint("GET /api/movie", Bound(), timeout=LIST_TIMEOUT)
CUSTOMERS = Endpoint("GET /api/customer", Bound(), timeout=LIST_TIMEOUT)
SESSIONS = Endpoint("GET /api/session", Bound(errors=0.05), timeout=LIST_TIMEOUT)

LIFE = (Step(CREATE), Step(SESSION), Step(DELETE), Step(SESSION, GONE))
"""A session that comes and goes; the last answer shows that none of these came from a cache."""
PEAK, STABLE = 120.0, 60.0

TERMS = Profile(
    "terms",
    PEAK,
    (
        Flow((Step(OPERATE),), 0.18),
        Flow((Step(DATABASE),), 0.18),
        Flow((Step(MOVIE),), 0.18),
        Flow((Step(CUSTOMER),), 0.18),
        Flow((Step(SESSION),), 0.16),
        Flow((Step(CACHED),), 0.06),
        Flow(LIFE, 0.06),
    ),
    (MOVIES, CUSTOMERS, SESSIONS),
)


def plain(name: str, rate: float, path: str = "/") -> Profile:
    """One page, whoever serves it."""
    page = Endpoint(f"GET {path}", UNCACHED, timeout=5.0, age=float("inf"))
    return Profile(name, rate, (Flow((Step(page),), 1.0),))


def profile(name: str, path: str = "/") -> Profile:
    """By its name: `terms`, or `peak` and `stable`, which ask `path` alone."""
    return TERMS if name == TERMS.name else plain(name, {"peak": PEAK, "stable": STABLE}[name], path)


PROFILES = ("peak", "stable", "terms")
