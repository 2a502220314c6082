"""The registry of numbers: which home has which one on this host. It outlives reboots and `cloud down`.

A home keeps its number for life, because its store holds addresses of 127.66.<number>.0/24. A home that was deleted
frees its number; one that was moved keeps it; a copy beside its original has to go. A home whose store holds no public
address may get another number.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.files import write_private
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
        remedy="end a cloud that is not needed, and delete its home: ./cli.py --home DIR cloud down; rm -r DIR",
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
        remedy=f"one of the two has to go: ./cli.py --home {holder} cloud down; rm -r {holder}",
    )
