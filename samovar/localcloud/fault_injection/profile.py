"""Profiles: the times, bounds and failures of a large cloud, each with its source; and the one that a home keeps."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, get_type_hints

from samovar.core.constants import MIB
from samovar.core.errors import ConfigError, command_line
from samovar.core.files import write_private
from samovar.localcloud.home.home import Home

ASSUMED = "assumed"
NONE = "none"
SEEDS = 100_000


@dataclass(frozen=True)
class Span:
    """A span of seconds, from which each wait is drawn."""

    shortest: float
    longest: float

    def at(self, draw: float) -> float:
        """Return the seconds at a random number from 0 up to 1."""
        return self.shortest + (self.longest - self.shortest) * draw

    def paced(self, pace: float) -> Span:
        return Span(self.shortest * pace, self.longest * pace)

    def __str__(self) -> str:
        return f"{self.shortest:g}-{self.longest:g} s"


@dataclass(frozen=True)
class Parameter:
    """The meaning of a field of `Profile`, and where its value is from, for the table in docs/local-cloud.md."""

    meaning: str
    source: str = ASSUMED


@dataclass(frozen=True)
class Profile:
    """The conditions of a cloud: waits as spans of seconds, rates a second and caller, failures as a share."""

    boot: Annotated[
        Span,
        Parameter(
            "A machine starts, until it is RUNNING: a host is chosen, the image is copied to the disk.",
            "operators of the cloud: 40-90 s",
        ),
    ] = Span(45, 90)
    operation: Annotated[Span, Parameter("An operation that needs no work here is done.")] = Span(1, 4)
    access_binding: Annotated[
        Span,
        Parameter("A new access binding counts.", "IAM documentation, concepts/access-control: usually 5 s or less"),
    ] = Span(1, 5)
    target_group: Annotated[
        Span, Parameter("A new instance group gets its target group; the answer to its creation has none yet.")
    ] = Span(3, 8)
    routing: Annotated[
        Span,
        Parameter(
            "A balancer sends to a target that became healthy, or stops after it became unhealthy.",
            "NLB documentation, concepts/health-check, names a delay; its length is assumed",
        ),
    ] = Span(5, 10)
    zonal_shift: Annotated[
        Span,
        Parameter(
            "Traffic leaves a zone that lost its last target while others have some, or comes back to it.",
            "NLB documentation, concepts/specifics: up to 2 minutes",
        ),
    ] = Span(60, 120)
    name: Annotated[
        Span,
        Parameter("DNS has the name of a machine, from its creation on: until then it answers that there is none."),
    ] = Span(60, 180)
    release: Annotated[
        Span,
        Parameter("What a deleted machine, group or balancer used is in use: its deletion is FAILED_PRECONDITION."),
    ] = Span(2, 5)
    active_operations: Annotated[
        int,
        Parameter(
            "Operations of Compute Cloud at a time; above that a call that starts one is RESOURCE_EXHAUSTED.",
            "Compute Cloud documentation, concepts/limits; the message is the real one",
        ),
    ] = 15
    reads_per_second: Annotated[
        float, Parameter("Calls of one caller that read, in the mean of 2 s; above that they are RESOURCE_EXHAUSTED.")
    ] = 20.0
    changes_per_second: Annotated[float, Parameter("Calls of one caller that change something, likewise.")] = 10.0
    failed_operations: Annotated[
        float, Parameter("Share of the operations that end with INTERNAL, and did nothing.")
    ] = 1 / 300
    no_capacity: Annotated[
        float, Parameter("Share of the starts of machines that find no capacity in their zone: RESOURCE_EXHAUSTED.")
    ] = 1 / 200
    console: Annotated[int, Parameter("Bytes of a serial log that are kept: its end.")] = MIB


YANDEX = Profile()
PROFILES: Mapping[str, Profile] = {"yandex": YANDEX}


def paced(profile: Profile, pace: float) -> Profile:
    """Return a profile whose waits are `pace` times as long, and whose rates are higher by the same factor."""
    return replace(
        profile,
        boot=profile.boot.paced(pace),
        operation=profile.operation.paced(pace),
        access_binding=profile.access_binding.paced(pace),
        target_group=profile.target_group.paced(pace),
        routing=profile.routing.paced(pace),
        zonal_shift=profile.zonal_shift.paced(pace),
        name=profile.name.paced(pace),
        release=profile.release.paced(pace),
        reads_per_second=profile.reads_per_second / pace,
        changes_per_second=profile.changes_per_second / pace,
    )


def parameters(profile: Profile) -> Iterator[tuple[str, str, Parameter]]:
    """Yield the name and the value of each parameter, with what it is."""
    for name, hint in get_type_hints(Profile, include_extras=True).items():
        (parameter,) = hint.__metadata__
        value = getattr(profile, name)
        yield name, _shown(value), parameter


def _shown(value: Span | float) -> str:
    """Return a share as one in so many."""
    if isinstance(value, Span) or value >= 1:
        return str(value)
    return f"1 in {1 / value:.0f}"


class Draws:
    """Random numbers from 0 up to 1 that follow from a seed, what is decided, and how often that was decided before.

    So a run with the same seed and the same calls of each method meets the same conditions.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counts: Counter[str] = Counter()

    def next(self, what: str) -> float:
        """Return the next number for a decision."""
        self._counts[what] += 1
        return self.of(f"{what}/{self._counts[what]}")

    def of(self, what: str) -> float:
        """Return the one number of a name, the same each time."""
        digest = hashlib.blake2b(f"{self._seed}/{what}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


@dataclass(frozen=True)
class ProfileChoice:
    """A profile by its name, the pace that shortens its waits, and the seed of its random choices."""

    name: str
    pace: float
    seed: int

    @property
    def profile(self) -> Profile:
        return paced(PROFILES[self.name], self.pace)

    @property
    def draws(self) -> Draws:
        return Draws(self.seed)


def choice_of(home: Home) -> ProfileChoice | None:
    """Return the choice of a home; None where calls meet nothing."""
    try:
        return ProfileChoice(**json.loads(home.profile.read_text()))
    except FileNotFoundError:
        return None


def choose_profile(home: Home, name: str | None, pace: float | None, seed: int | None) -> ProfileChoice | None:
    """Keep a choice in the home, and return what holds; what is None stays as it was.

    A new profile has a pace of 1 and a random seed. Raises ConfigError for a pace or a seed without a profile.
    """
    before = choice_of(home)
    if name == NONE:
        home.profile.unlink(missing_ok=True)
        return None
    chosen = name or (before.name if before else "")
    if not chosen:
        if pace is not None or seed is not None:
            raise ConfigError(
                "--pace and --seed are for a profile", remedy=command_line("cloud up --like yandex --pace 0.1")
            )
        return None
    base = before if before and before.name == chosen else ProfileChoice(chosen, 1.0, secrets.randbelow(SEEDS))
    kept = ProfileChoice(chosen, base.pace if pace is None else pace, base.seed if seed is None else seed)
    if kept != before:
        write_private(home.profile, json.dumps(asdict(kept)))
    return kept
