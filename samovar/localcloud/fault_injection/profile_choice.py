"""The choice of a profile, which a home keeps over restarts of its daemon."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass

from samovar.core.errors import ConfigError
from samovar.core.files import write_private
from samovar.core.program import command_line
from samovar.localcloud.fault_injection.profile import PROFILES, Draws, Profile, paced
from samovar.localcloud.home.home import Home

NONE = "none"
SEEDS = 100_000


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
    """Returns the choice of a home; None where calls meet nothing."""
    try:
        return ProfileChoice(**json.loads(home.profile.read_text()))
    except FileNotFoundError:
        return None


def choose_profile(home: Home, name: str | None, pace: float | None, seed: int | None) -> ProfileChoice | None:
    """Keeps a choice in the home, and returns what holds; what is None stays as it was.

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
