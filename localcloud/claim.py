"""The cloud's number on this host: 127.66.<number>.0/24 and all names are made of it. A claim ends with a reboot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kit.errors import HostError

CLAIMS = Path("/run/samovar")
NUMBERS = range(1, 200)
FRESH = "fresh:"


@dataclass(frozen=True)
class Claim:
    """A number held for one home. `fresh` says that this host holds nothing of that home's yet, or is being cleared."""

    number: int
    home: Path
    fresh: bool

    def mark(self, *, fresh: bool) -> None:
        """A daemon that is killed while it clears the host, or before it is set up, leaves that to the next one."""
        partial = CLAIMS / f".{self.number}.{self.home.name}.new"
        partial.write_text(f"{FRESH if fresh else ''}{self.home}")
        partial.replace(_file(self.number))

    def release(self) -> None:
        _file(self.number).unlink(missing_ok=True)


def claim(home: Path) -> Claim:
    """Finds the number that the home holds, or takes its last one, or the lowest free one."""
    CLAIMS.mkdir(mode=0o755, exist_ok=True)
    remembered = home / "number"
    for number in NUMBERS:
        holder, fresh = _holder(number)
        if holder == str(home):
            return Claim(number, home, fresh=fresh)
    preferred = [int(remembered.read_text())] if remembered.exists() else []
    for number in [*preferred, *NUMBERS]:
        if _take(number, home):
            remembered.write_text(str(number))
            return Claim(number, home, fresh=True)
    raise HostError(
        f"all {len(NUMBERS)} numbers of local clouds are taken (files in {CLAIMS})",
        remedy="end one that is not needed: ./cli.py --home DIR cloud down",
    )


def _take(number: int, home: Path) -> bool:
    """The link is the lock: it appears whole or not at all."""
    partial = CLAIMS / f".{number}.{home.name}.new"
    partial.write_text(f"{FRESH}{home}")
    try:
        _file(number).hardlink_to(partial)
    except FileExistsError:
        if Path(_holder(number)[0]).is_dir():
            return False
        _file(number).unlink(missing_ok=True)
        return _take(number, home)
    finally:
        partial.unlink(missing_ok=True)
    return True


def _holder(number: int) -> tuple[str, bool]:
    """The home that has the number, and whether nothing of it stands yet; an empty name for nobody."""
    try:
        text = _file(number).read_text()
    except FileNotFoundError:
        return "", False
    return text.removeprefix(FRESH), text.startswith(FRESH)


def _file(number: int) -> Path:
    return CLAIMS / str(number)
