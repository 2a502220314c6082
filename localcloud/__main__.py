"""`python -m localcloud --home DIR`: the daemon in the foreground. It ends on SIGTERM; its machines outlive it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from kit.errors import ExitCode, HostError, SamovarError
from localcloud.home import Home, QuotaSet


def main() -> int:
    """Returns the exit code; what went wrong is said on stderr in one message."""
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the folder that keeps everything of this cloud")
    parser.add_argument("--quotas", type=QuotaSet, choices=list(QuotaSet), help="kept in the home (at first: raised)")
    arguments = parser.parse_args()
    home = Home(arguments.home.resolve())
    try:
        _check_root()
        home.make()
        from localcloud.daemon import run  # noqa: PLC0415 - what it imports takes longer than to refuse

        asyncio.run(run(home, arguments.quotas))
    except SamovarError as error:
        sys.stderr.write(f"localcloud: {error}\n")
        return error.code
    return ExitCode.OK


def _check_root() -> None:
    if os.geteuid():
        raise HostError(
            "the local cloud makes network namespaces, mounts and control groups, and this user is not root",
            remedy="run it as root (sudo); with cloud: yandex no root is needed",
        )


if __name__ == "__main__":
    sys.exit(main())
