"""The command line of the stub."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence

from .config import Config, InvalidConfig, dump, load_config
from .database import Database, DatabaseUnavailable
from .identity import log_folder
from .log import Log
from .server import probe, serve
from .settings import read_settings
from .tables import prepare, tables

VERSION = "bingo 1.0.0 (stub)"
COMPLETION = (
    'complete -W "completion help prepare_db print_current_config print_default_config run_server version" bingo'
)


class StartRefused(Exception):
    """The program does not start; the message says why."""


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        if arguments.command in (None, "help"):
            parser.print_help()
        elif arguments.command == "version":
            _print(VERSION)
        elif arguments.command == "completion":
            _print(COMPLETION)
        else:
            _run_unprivileged(COMMANDS[arguments.command])
    except (StartRefused, InvalidConfig, DatabaseUnavailable, OSError, ValueError) as error:
        print(f"bingo: {error}", file=sys.stderr)  # noqa: T201 - a message to the user
        return 1
    return 0


def _run_unprivileged(command: Callable[[], None]) -> None:
    if os.geteuid() == 0:
        raise StartRefused("Didn't your mom teach you not to run anything incomprehensible from root?")
    command()


def _prepare_db() -> None:
    schema = tables(read_settings(os.environ).scale)
    database = Database(load_config().postgres_cluster)
    database.run(lambda connection: prepare(connection, schema, _print))


def _run_server() -> None:
    config, settings = load_config(), read_settings(os.environ)
    folder = log_folder(config.student_email)
    try:
        log = Log(folder)
    except OSError as error:
        raise StartRefused(f"{folder} must exist and be writable: {error.strerror}") from error
    probe(settings.probe, log)
    asyncio.run(serve(config, settings, log))
    log.write("info", "terminated")
    os._exit(0)  # queries that still run are not waited for


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bingo", description="An online cinema's session API")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("completion", help="print a completion script for bash")
    commands.add_parser("help", help="show this help")
    commands.add_parser("prepare_db", help="create and fill the tables")
    commands.add_parser("print_current_config", help="print the configuration that is read")
    commands.add_parser("print_default_config", help="print the default configuration")
    commands.add_parser("run_server", help="start the server")
    commands.add_parser("version", help="print the version")
    return parser


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the output of the command


COMMANDS: dict[str, Callable[[], None]] = {
    "prepare_db": _prepare_db,
    "print_current_config": lambda: _print(dump(load_config()).rstrip()),
    "print_default_config": lambda: _print(dump(Config()).rstrip()),
    "run_server": _run_server,
}
