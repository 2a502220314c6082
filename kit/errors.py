"""One family of errors: each says what happened, where, and the remedy, and carries the exit code it ends in."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `cli.py`. They are a promise to scripts: a number is never reused for another meaning."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CONFIG = 3
    CLOUD = 4
    TIMEOUT = 5
    PROCESS = 6
    HOST = 7
    UNHEALTHY = 8
    DECLINED = 9
    BUSY = 10
    UNKEPT = 11
    INTERRUPTED = 130


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
