"""The checks that an image passes before it may be used.

`python -m samovar.images.checks TREE EXPECTED_JSON` says all that is wrong with the tree, a line each, and ends with 1
if anything is. testinfra asks, by chroot; the same checks can be put to a machine over ssh.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samovar.images.expectations import Expected, from_json
from samovar.images.hygiene import hygiene


def inspect(host: Any, expected: Expected) -> Iterator[str]:
    """One line for each fault. Hygiene comes first: what the commands leave behind is not the image's fault."""
    yield from hygiene(host)
    yield from (f"package {name}: not installed" for name in expected.packages if not host.package(name).is_installed)
    yield from (f"service {name}: not enabled" for name in expected.services if not host.service(name).is_enabled)
    for file in expected.files:
        yield from _file(host.file(file.path), f"{file.mode:04o} {file.owner}")
    yield from (f"{path}: must not be there" for path in expected.absent if host.file(path).exists)
    for command in expected.commands:
        yield from _command(host, shlex.join(command))


def _file(found: Any, wanted: str) -> Iterator[str]:
    if not found.exists:
        yield f"{found.path}: not there"
        return
    actual = f"{found.mode:04o} {found.user}:{found.group}"
    if actual != wanted:
        yield f"{found.path}: is {actual}, must be {wanted}"


def _command(host: Any, command: str) -> Iterator[str]:
    done = host.run(command)
    if done.rc:
        said = " | ".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        yield f"`{command}` ended with {done.rc}: {said}"


def main(tree: str, expected: str) -> int:
    """Prints each fault; returns the exit code."""
    import testinfra  # type: ignore[import-untyped]  # noqa: PLC0415 - the pure part needs none of it

    wanted = from_json(Path(expected).read_text())
    faults = list(inspect(testinfra.get_host(tree, connection="chroot"), wanted))
    for fault in faults:
        print(fault, flush=True)  # noqa: T201 - `bake.sh` listens
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
