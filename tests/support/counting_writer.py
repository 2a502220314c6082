"""Counts in two places of /mnt/counters, and syncs each: the second is never ahead, nor more than one behind.

Usage: counting_writer.py BYTES, which lie between the two places.
"""

from __future__ import annotations

import os
import sys
from itertools import count


def main(size: int) -> None:
    """Count until it is killed; `ready` on stdout says that it has begun."""
    file = os.open("/mnt/counters", os.O_RDWR | os.O_CREAT)
    os.write(file, b"0" * 9 + os.urandom(size) + b"0" * 9)
    os.fsync(file)
    print("ready", flush=True)  # noqa: T201
    for number in count(1):
        for place in (0, size + 9):
            os.pwrite(file, b"%09d" % number, place)
            os.fdatasync(file)


if __name__ == "__main__":
    main(int(sys.argv[1]))
