"""Numbers tell the local clouds of a host apart: names and addresses of a cloud are made of its number.

The registry says which home has which number; it outlives reboots and `cloud down`. A claim says what a running cloud
holds of the host; a reboot ends it.

A home keeps its number for life, because its store holds addresses of 127.66.<number>.0/24. A home that was deleted
frees its number; one that was moved keeps it; a copy beside its original has to go. A home whose store holds no public
address may get another number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samovar.core.errors import HostError, command_line
from samovar.core.files import exclusive, write_private
from samovar.core.local_clouds import CLAIMS, FRESH, read_claims

REGISTRY = Path("/var/lib/samovar/numbers")
NUMBERS = range(1, 200)
LOCK_TIMEOUT = 10.0


def choose(home: Path, holders: Mapping[int, Path], preferred: tuple[int, ...], addressed: frozenset[int]) -> int:
    """Choose the home's number. `holders` are all homes that have one, `preferred` the numbers that this one had.

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
    """Yield the homes by their numbers, without those that were deleted, and write what the caller changes."""
    _check_writable(folder)
    with exclusive(folder / "lock", timeout=LOCK_TIMEOUT):
        before = {int(file.name): file.read_text() for file in folder.iterdir() if file.name.isdecimal()}
        homes = {number: Path(text) for number, text in before.items() if is_home(text)}
        yield homes
        for number in before.keys() - homes.keys():
            (folder / str(number)).unlink()
        for number, home in homes.items():
            if before.get(number) != str(home):
                write_private(folder / str(number), str(home))


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        (folder / "lock").touch()
    except OSError as error:
        raise HostError(
            f"the numbers of local clouds are kept in {folder}, which cannot be written: {error.strerror}",
            remedy=f"make it writable, or mount something there that lasts: {folder.parent}",
        ) from error


def is_home(text: str) -> bool:
    """Return whether the text is the path of a home that exists."""
    return text.startswith("/") and Path(text).is_dir()


@dataclass(frozen=True)
class Folders:
    """The folders of claims and of numbers."""

    claims: Path = CLAIMS
    registry: Path = REGISTRY


@dataclass(frozen=True)
class Claim:
    """A number held for one home. `fresh` says that this host holds nothing of that home's yet, or is being cleared."""

    number: int
    home: Path
    fresh: bool
    folders: Folders = Folders()

    def mark(self, *, fresh: bool) -> None:
        """Write the claim: a daemon that is killed while it clears the host leaves that to the next one."""
        write_private(self.folders.claims / str(self.number), f"{FRESH if fresh else ''}{self.home}")

    def release(self, *, keep_number: bool) -> None:
        """End the claim of a cloud that is off the host, and free its number where no address was made of it."""
        (self.folders.claims / str(self.number)).unlink(missing_ok=True)
        if not keep_number:
            with registry(self.folders.registry) as homes:
                homes.pop(self.number, None)


def claim(home: Path, addressed: frozenset[int] = frozenset(), folders: Folders | None = None) -> Claim:
    """Claim the home's number, which it gets at its first start; HostError where another home has it.

    `addressed` are the numbers whose addresses the home's store holds.
    """
    folders = folders or Folders()
    folders.claims.mkdir(mode=0o755, exist_ok=True)
    with registry(folders.registry) as homes:
        claims = read_claims(folders.claims)
        holders = homes | {number: Path(holder) for number, (holder, _) in claims.items() if is_home(holder)}
        running, former = _held_by(home, claims), tuple(n for n, holder in homes.items() if holder == home)
        preferred = (*running, *_remembered(home), *former)
        number = choose(home, holders, preferred, frozenset() if running else addressed)
        for other in former:
            del homes[other]
        homes[number] = home
        write_private(home / "number", str(number))
        holder, fresh = claims.get(number, ("", True))
        held = Claim(number, home, fresh=fresh or holder != str(home), folders=folders)
        held.mark(fresh=held.fresh)
    return held


def claimed(home: Path, folders: Path = CLAIMS) -> int | None:
    """Return the number under which the host holds something of that home's."""
    return next(iter(_held_by(home, read_claims(folders))), None)


def _held_by(home: Path, claims: dict[int, tuple[str, bool]]) -> tuple[int, ...]:
    return tuple(number for number, (holder, _) in claims.items() if holder == str(home))


def _remembered(home: Path) -> tuple[int, ...]:
    """Return the number in the home's own file; one that a full disk left empty counts as none."""
    file = home / "number"
    text = file.read_text().strip() if file.exists() else ""
    return (int(text),) if text.isdecimal() and int(text) in NUMBERS else ()


def _held(home: Path, number: int, holder: Path) -> HostError:
    return HostError(
        f"{home} has addresses of 127.66.{number}.0/24, and number {number} of this host is held by {holder}",
        remedy=f"one of the two has to go: {command_line(f'--home {holder} cloud down')}; rm -r {holder}",
    )
