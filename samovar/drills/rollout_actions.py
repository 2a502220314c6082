"""Kills the tool in the middle of a rollout, and lets the next rollout finish."""

from __future__ import annotations

import os
import subprocess
import time
from fnmatch import fnmatchcase
from pathlib import Path

from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError
from samovar.core.process import module_command, module_environment, run
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
    began = time.time()
    variables = {**os.environ, **module_environment()}
    rollout = subprocess.Popen(  # noqa: S603 - this program
        _command(breakage), env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def probe() -> bool | Pending:
        return _has_called(session, str(breakage.parameters["method"]), began) or (
            Pending("not called yet") if rollout.poll() is None else False
        )

    try:
        called = wait_for(
            "the call after which the rollout is killed", probe, timeout=TIMEOUT, interval=0.05, ceiling=0.05
        )
    finally:
        rollout.kill()
        rollout.wait()
    if not called:
        raise CloudError(f"the rollout ended without a call like {breakage.parameters['method']}")


def finish_rollout(_: Session, breakage: Breakage) -> None:
    """Roll the environment out once more, as an operator does whose tool was killed."""
    run(_command(breakage), env=module_environment(), timeout=ROLLOUT_TIMEOUT)


def _command(breakage: Breakage) -> list[str | Path]:
    values = breakage.parameters
    places = [f"--{name}={values[name]}" for name in ("home", "project", "envs")]
    return module_command("samovar", *places, "rollout", str(values["environment"]), "--yes")


def _has_called(session: Session, pattern: str, since: float) -> bool:
    if session.host is None:
        raise ConfigError("this cloud does not show the calls that it gets")
    like = f"*{pattern.replace('/', '.')}"
    events = session.host.events(last=LAST, follow=False)
    return any(event["time"] >= since and fnmatchcase(event["method"], like) for event in events)
