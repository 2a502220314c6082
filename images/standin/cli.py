"""The command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence

from .config import Config, ConfigFault, dump, load_config
from .database import Database, DatabaseAway
from .identity import log_folder
from .log import Log
from .server import probe, serve
from .tables import prepare, tables
from .tuning import read_tuning

VERSION = "bingo 1.0.0 (stand-in)"
COMPLETION = (
    'complete -W "completion help prepare_db print_current_config print_default_config run_server version" bingo'
)


class Refused(Exception):
    """It does not start; the message says why."""


def main(argv: Sequence[str]) -> int:
    """Returns the exit code."""
    parser = _parser()
    asked = parser.parse_args(argv)
    try:
        if asked.command in (None, "help"):
            parser.print_help()
        elif asked.command == "version":
            _say(VERSION)
        elif asked.command == "completion":
            _say(COMPLETION)
        else:
            _as_a_user(COMMANDS[asked.command])
    except (Refused, ConfigFault, DatabaseAway, OSError, ValueError) as error:
        print(f"bingo: {error}", file=sys.stderr)  # noqa: T201 - for whoever started it
        return 1
    return 0


def _as_a_user(command: Callable[[], None]) -> None:
    if os.geteuid() == 0:
        raise Refused("Didn't your mom teach you not to run anything incomprehensible from root?")
    command()


def _prepare_db() -> None:
    wanted = tables(read_tuning(os.environ).scale)
    database = Database(load_config().postgres_cluster)
    database.run(lambda connection: prepare(connection, wanted, _say))


def _run_server() -> None:
    config, tuning = load_config(), read_tuning(os.environ)
    folder = log_folder(config.student_email)
    try:
        log = Log(folder)
    except OSError as error:
        raise Refused(f"{folder} must exist and be writable: {error.strerror}") from error
    probe(tuning.probe, log)
    asyncio.run(serve(config, tuning, log))
    log.write("info", "told to end")
    os._exit(0)  # without waiting for queries that still run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bingo", description="An online cinema's session API")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("completion", help="print a completion script for bash")
    commands.add_parser("help", help="show this help")
    commands.add_parser("prepare_db", help="make the tables, and fill them")
    commands.add_parser("print_current_config", help="print the configuration that is read")
    commands.add_parser("print_default_config", help="print what it would be without a file")
    commands.add_parser("run_server", help="serve")
    commands.add_parser("version", help="print the version")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - its output


COMMANDS: dict[str, Callable[[], None]] = {
    "prepare_db": _prepare_db,
    "print_current_config": lambda: _say(dump(load_config()).rstrip()),
    "print_default_config": lambda: _say(dump(Config()).rstrip()),
    "run_server": _run_server,
}
