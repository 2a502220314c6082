"""Commands of the tool in the test's own process, with the exit codes that a shell would see."""

from __future__ import annotations

from dataclasses import dataclass

from click.testing import CliRunner

from samovar.cli.main import main


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code, and what it printed, apart and as a terminal shows it."""

    exit_code: int
    stdout: str
    stderr: str
    output: str


def command(*arguments: str) -> Ended:
    """Run a command by `main`: click's own runner has 0 for every error that becomes a message."""
    with CliRunner().isolation() as streams:
        code = main([*arguments])
        stdout, stderr, output = (stream.getvalue().decode() for stream in streams)
    return Ended(code, stdout, stderr, output)
