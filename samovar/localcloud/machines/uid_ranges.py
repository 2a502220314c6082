"""Each machine with a user namespace has a range of 65,536 uids, no other machine's while its disk exists.

A range is taken for a boot disk by a link to that disk, in a folder that all clouds of the host share. It is free again
once the disk is gone. Nothing on the disk depends on it: there uids begin at 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.files import exclusive

REGISTRY = Path("/var/lib/samovar/uids")
SIZE = 0x10000
RANGES = range(0x7801_0000, 0x8000_0000, SIZE)
"""Above what systemd gives to containers (to 0x7000_0000) and what sssd maps to (to 2,000,200,000), and no negative
number to a program that takes a uid for a signed one."""
LOCK_TIMEOUT = 30.0
DELEGATED = (Path("/etc/subuid"), Path("/etc/subgid"))


def first_uid(boot_disk: Path, registry: Path = REGISTRY) -> int:
    """Return the first uid of the machine that boots from this disk, the same at each call. Raises HostError."""
    with exclusive(registry / "lock", timeout=LOCK_TIMEOUT):
        links = (entry for entry in registry.iterdir() if entry.is_symlink() and entry.name.isdigit())
        held = {int(link.name): link.readlink() for link in links}
        for first, disk in held.items():
            if disk == boot_disk:
                return first
            if not disk.exists():
                (registry / str(first)).unlink()
        first = _free(held)
        (registry / str(first)).symlink_to(boot_disk)
        return first


def _free(held: dict[int, Path]) -> int:
    """Return a free range, one that was never taken before one whose disk was deleted."""
    delegated = [span for file in DELEGATED for span in _spans(file)]
    for first in sorted(RANGES, key=held.__contains__):
        taken = first in held and held[first].exists()
        if not taken and not any(first < end and begin < first + SIZE for begin, end in delegated):
            return first
    raise HostError(
        f"no range of user ids is left for one more machine: {len(held)} are taken",
        remedy=f"the links in {REGISTRY} name the disks: delete what is not needed",
    )


def _spans(file: Path) -> Iterator[tuple[int, int]]:
    """Yield the first and the end of each range that subuid(5) gives to a user of the host."""
    lines = file.read_text().splitlines() if file.exists() else []
    for line in lines:
        _, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if first.isdigit() and count.isdigit():
            yield int(first), int(first) + int(count)
