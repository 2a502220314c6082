"""Kills the tool in the middle of a rollout, and lets the next rollout finish."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from subprocess import Popen

from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError
from samovar.core.process import run
from samovar.core.spawn import module_command, module_environment, started
from samovar.core.waiting import Pending, wait_for
from samovar.drills.api_actions import change_template
from samovar.drills.journal import Breakage

LAST = 50
"""The latest calls among which the one is looked for that ends the rollout; a rollout makes fewer between two looks."""
TIMEOUT = 120.0
"""Seconds in which a rollout makes the call after which it is killed."""
ROLLOUT_TIMEOUT = 600.0


def begin_and_kill(session: Session, breakage: Breakage) -> None:
    """Let the group differ from its file, begin a rollout, and kill the tool after its first call like `method`.

    Raises CloudError if the rollout ends without such a call.
    """
    change_template(session, breakage)
    before = {request_id for request_id, _ in _calls(session)}
    pattern = f"*{str(breakage.parameters['method']).replace('/', '.')}"

    def probe(rollout: Popen[bytes]) -> bool | Pending:
        ended = rollout.poll() is not None
        if any(fnmatchcase(method, pattern) for request_id, method in _calls(session) if request_id not in before):
            return True
        return False if ended else Pending("not called yet")

    with started(_command(breakage), module_environment()) as rollout:
        what = "the call after which the rollout is killed"
        called = wait_for(what, lambda: probe(rollout), timeout=TIMEOUT, interval=0.05, ceiling=0.05)
    if not called:
        raise CloudError(f"the rollout ended without a call like {breakage.parameters['method']}")


def finish_rollout(_: Session, breakage: Breakage) -> None:
    """Roll the environment out once more, as an operator does whose tool was killed."""
    run(_command(breakage), env=module_environment(), timeout=ROLLOUT_TIMEOUT)


def _command(breakage: Breakage) -> list[str | Path]:
    values = breakage.parameters
    places = [f"--{name}={values[name]}" for name in ("home", "project", "envs")]
    return module_command("samovar", *places, "rollout", str(values["environment"]), "--yes")


def _calls(session: Session) -> Iterator[tuple[str, str]]:
    """Yield the latest calls that changed something, by the ids of their requests; methods are full names."""
    if session.host is None:
        raise ConfigError("this cloud does not show the calls that it gets")
    for event in session.host.events(last=LAST, follow=False):
        yield event["request_id"], event["method"]
