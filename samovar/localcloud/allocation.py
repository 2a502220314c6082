"""The claim of a cloud that runs: which of this host's numbers is whose. It says what the host holds; a reboot ends it.

Names and addresses of a cloud are made of its number, which its home keeps for life (numbers.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samovar.core.files import write_private
from samovar.localcloud.numbers import NUMBERS, REGISTRY, choose, is_home, registry

CLAIMS = Path("/run/samovar")
FRESH = "fresh:"


@dataclass(frozen=True)
class Places:
    """Where claims and numbers are kept."""

    claims: Path = CLAIMS
    registry: Path = REGISTRY


@dataclass(frozen=True)
class Claim:
    """A number held for one home. `fresh` says that this host holds nothing of that home's yet, or is being cleared."""

    number: int
    home: Path
    fresh: bool
    places: Places = Places()

    def mark(self, *, fresh: bool) -> None:
        """A daemon that is killed while it clears the host, or before it is set up, leaves that to the next one."""
        write_private(self.places.claims / str(self.number), f"{FRESH if fresh else ''}{self.home}")

    def release(self, *, keep_number: bool) -> None:
        """Nothing of the cloud is on the host any more; its number is free too where no address was made of it."""
        (self.places.claims / str(self.number)).unlink(missing_ok=True)
        if not keep_number:
            with registry(self.places.registry) as homes:
                homes.pop(self.number, None)


def claim(home: Path, addressed: frozenset[int] = frozenset(), places: Places | None = None) -> Claim:
    """Claims the home's number, which it gets at its first start; HostError where another home has it.

    `addressed` are the numbers whose addresses the home's store holds.
    """
    places = places or Places()
    places.claims.mkdir(mode=0o755, exist_ok=True)
    with registry(places.registry) as homes:
        claims = _claims(places.claims)
        holders = homes | {number: Path(holder) for number, (holder, _) in claims.items() if is_home(holder)}
        running, former = _held_by(home, claims), tuple(n for n, holder in homes.items() if holder == home)
        preferred = (*running, *_remembered(home), *former)
        number = choose(home, holders, preferred, frozenset() if running else addressed)
        for other in former:
            del homes[other]
        homes[number] = home
        write_private(home / "number", str(number))
        holder, fresh = claims.get(number, ("", True))
        found = Claim(number, home, fresh=fresh or holder != str(home), places=places)
        found.mark(fresh=found.fresh)
    return found


def claimed(home: Path, places: Path = CLAIMS) -> int | None:
    """The number under which the host holds something of that home's."""
    return next(iter(_held_by(home, _claims(places))), None)


def _claims(folder: Path) -> dict[int, tuple[str, bool]]:
    """Of each claimed number the home, and whether nothing of it stands yet."""
    texts = {int(file.name): file.read_text() for file in folder.glob("[0-9]*")}
    return {number: (text.removeprefix(FRESH), text.startswith(FRESH)) for number, text in texts.items()}


def _held_by(home: Path, claims: dict[int, tuple[str, bool]]) -> tuple[int, ...]:
    return tuple(number for number, (holder, _) in claims.items() if holder == str(home))


def _remembered(home: Path) -> tuple[int, ...]:
    """A file that a full disk left empty is as good as none."""
    file = home / "number"
    text = file.read_text().strip() if file.exists() else ""
    return (int(text),) if text.isdecimal() and int(text) in NUMBERS else ()
