"""The errors that an operator reads: each names what happened, where, and the remedy, and has an exit code.

A remedy names a command as the operator types it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Self

PROGRAM_VARIABLE = "SAMOVAR_PROGRAM"
"""Gives a process that the tool starts, such as the local cloud's daemon, the name of the tool."""


class ExitCode(IntEnum):
    """The exit codes of the program. They are a promise to scripts: a number is never reused for another meaning."""

    meaning: str

    OK = 0, "the command succeeded"
    FAILURE = 1, "an unexpected error; run again with --debug and report it"
    USAGE = 2, "the command line is wrong"
    CONFIG = 3, "a file of yours is wrong (an environment, an image, credentials), or nothing has a name that you gave"
    CLOUD = 4, "the cloud refused or failed a call, or an operation ended with an error"
    TIMEOUT = 5, "a deadline passed; the message names the last state"
    PROCESS = 6, "a process failed, such as a step of a bake; the message holds its last lines and the log's path"
    HOST = 7, "this host lacks something: a permission, a package, disk space, a free port"
    UNHEALTHY = 8, "`status --exit-code` found something that is not healthy, or a check of `doctor` failed"
    DECLINED = 9, "you answered no; nothing was changed"
    LOCKED = (
        10,
        "another rollout of the environment, or another daemon of the home, runs; the message names it",
    )
    SLO_VIOLATED = 11, "a load test or a drill found that the service violated an SLO"
    REFUSED = (
        12,
        "it cannot be undone and was not confirmed, or `deletion_protection` forbids it; nothing was changed",
    )
    DIFFERENT = 13, "`certify` found a difference from the local cloud, or its programme did not come to its end"
    INTERRUPTED = 130, "Ctrl-C; run the command again, and it goes on from there"

    def __new__(cls, value: int, meaning: str) -> Self:
        """A number with its meaning."""
        code = int.__new__(cls, value)
        code._value_, code.meaning = value, meaning
        return code


class SamovarError(Exception):
    """An error that an operator reads: `message` says what and where, `remedy` what to do next."""

    code = ExitCode.FAILURE

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  remedy: {self.remedy}" if self.remedy else self.message


class ConfigError(SamovarError):
    """A file that the operator wrote does not hold what it must."""

    code = ExitCode.CONFIG


class HostError(SamovarError):
    """The host lacks something: a right, a package, a free port, disk space."""

    code = ExitCode.HOST


class CloudError(SamovarError):
    """The cloud refused or failed a call."""

    code = ExitCode.CLOUD


class RequestRefused(CloudError):
    """A server answered that a request is wrong; the message is what it said."""


class WaitTimeout(SamovarError):
    """A deadline passed; the message says what was waited for and what was last seen."""

    code = ExitCode.TIMEOUT


class ProcessFailed(SamovarError):
    """A process ended with an error; the message holds the command as one can paste it, and its last lines."""

    code = ExitCode.PROCESS

    def __init__(self, message: str, *, returncode: int, output: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.returncode = returncode
        self.output = output


def shown_lines(lines: Iterable[str]) -> str:
    """Return lines of another text as a message has them below its own, each behind a bar."""
    return "".join(f"\n  | {line}" for line in lines)


def program(folder: Path | None = None) -> str:
    """Return how the tool is called in `folder` (the working directory): `samovar`, or by the path of its cli.py."""
    if given := os.environ.get(PROGRAM_VARIABLE):
        return given
    script = Path(sys.argv[0]).absolute()
    if script.name != "cli.py":
        return "samovar"
    return "./cli.py" if script.parent == (folder or Path.cwd()).absolute() else str(script)


def command_line(arguments: str, folder: Path | None = None) -> str:
    """Return the command that an operator types in `folder`, such as `samovar cloud up`."""
    return f"{program(folder)} {arguments}"
