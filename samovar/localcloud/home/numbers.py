"""The registry of numbers: which home has which one on this host. It outlives reboots and `cloud down`.

A home keeps its number for life, because its store holds addresses of 127.66.<number>.0/24. A home that was deleted
frees its number; one that was moved keeps it; a copy beside its original has to go. A home whose store holds no public
address may get another number.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.files import write_private
from samovar.core.program import command_line
from samovar.core.waiting import Pending, wait_for

REGISTRY = Path("/var/lib/samovar/numbers")
NUMBERS = range(1, 200)
LOCK_TIMEOUT = 10.0


def choose(home: Path, holders: Mapping[int, Path], preferred: tuple[int, ...], addressed: frozenset[int]) -> int:
    """The home's number. `holders` are all homes that have one, `preferred` the numbers that this one had.

    `addressed` are the numbers whose addresses the home's store holds: there it is one of these, or HostError.
    """
    if addressed:
        number: int = next((number for number in preferred if number in addressed), min(addressed))
        if holders.get(number, home) != home:
            raise _held(home, number, holders[number])
        return number
    for number in (*preferred, *NUMBERS):
        if holders.get(number, home) == home:
            return number
    raise HostError(
        f"all {len(NUMBERS)} numbers of local clouds are taken (files in {REGISTRY})",
        remedy=f"end a cloud and delete its home: {command_line('--home DIR cloud down')}; rm -r DIR",
    )


@contextmanager
def registry(folder: Path = REGISTRY) -> Iterator[dict[int, Path]]:
    """The homes by their numbers, without those that were deleted. What the caller changes in there is written."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        (folder / "lock").touch()
    except OSError as error:
        raise HostError(
            f"the numbers of local clouds are kept in {folder}, which cannot be written: {error.strerror}",
            remedy=f"make it writable, or mount something there that lasts: {folder.parent}",
        ) from error
    with _locked(folder / "lock"):
        before = {int(file.name): file.read_text() for file in folder.iterdir() if file.name.isdecimal()}
        homes = {number: Path(text) for number, text in before.items() if is_home(text)}
        yield homes
        for number in before.keys() - homes.keys():
            (folder / str(number)).unlink()
        for number, home in homes.items():
            if before.get(number) != str(home):
                write_private(folder / str(number), str(home))


def is_home(text: str) -> bool:
    """Whether that names a home that is still there."""
    return text.startswith("/") and Path(text).is_dir()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with its holder."""
    with path.open("w") as file:

        def take() -> bool | Pending:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Pending("another local cloud is starting")
            return True

        wait_for(
            f"the lock {path}", take, timeout=LOCK_TIMEOUT, interval=0.01, remedy=f"see who holds it: fuser {path}"
        )
        yield


def _held(home: Path, number: int, holder: Path) -> HostError:
    return HostError(
        f"{home} has addresses of 127.66.{number}.0/24, and number {number} of this host is held by {holder}",
        remedy=f"one of the two has to go: {command_line(f'--home {holder} cloud down')}; rm -r {holder}",
    )


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
