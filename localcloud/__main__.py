"""`python -m localcloud --home DIR`: the daemon in the foreground. It ends on SIGTERM; its machines outlive it.

With `--show` it prints what runs, and with `--take-down` it takes off the host what a daemon left there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--show", action="store_true", help="print what runs on this host, as JSON, and end")
    instead.add_argument("--take-down", action="store_true", help="take everything off this host, and end")
    arguments = parser.parse_args()
    home = Home(arguments.home.resolve())
    try:
        _check_root()
        home.make()
        _act(home, arguments)
    except SamovarError as error:
        sys.stderr.write(f"localcloud: {error}\n")
        return error.code
    return ExitCode.OK


def _act(home: Home, arguments: argparse.Namespace) -> None:
    from localcloud import daemon, offline  # noqa: PLC0415 - what they import takes longer than to refuse

    if arguments.show:
        sys.stdout.write(json.dumps({"machines": offline.running_machines(home)}))
    elif arguments.take_down:
        asyncio.run(daemon.take_down(home))
    else:
        asyncio.run(daemon.run(home, arguments.quotas))


def _check_root() -> None:
    if os.geteuid():
        raise HostError(
            "the local cloud makes network namespaces, mounts and control groups, and this user is not root",
            remedy="run it as root (sudo); with cloud: yandex no root is needed",
        )


if __name__ == "__main__":
    sys.exit(main())
