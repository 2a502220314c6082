"""Breaks things and puts them back: one pair of functions for each kind of fault."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import grpc

from samovar.cloud.local_admin import Host
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import ConfigError, SamovarError
from samovar.core.json_types import JsonObject
from samovar.core.process import run
from samovar.core.spawn import module_command, module_environment
from samovar.drills.api_actions import (
    drain,
    expire_certificate,
    lose_rules,
    restore_certificate,
    restore_rules,
    restore_template,
    spoil_template,
    undrain,
    update_and_cut_power,
)
from samovar.drills.journal import Breakage, Journal
from samovar.drills.rollout_actions import begin_and_kill, finish_rollout
from samovar.project.fault import FaultKind

Act = Callable[[Session, Breakage], None]
ENDED_FIRST = {FaultKind.DAEMON: 0, FaultKind.CALLS: 1}
"""The faults without whose end the API cannot put back the others."""
MARK = "on request of a drill"
"""The message of errors that a drill lets calls and starts meet, by which its faults are found again."""


@dataclass(frozen=True)
class Action:
    """The way to break something, and to put it back: None for what heals by itself. `restore` may be repeated."""

    cause: Act
    restore: Act | None = None


def cause_all(session: Session, breakages: Sequence[Breakage]) -> None:
    """Break everything, each so many seconds from now as it says."""
    run_concurrently(*(partial(_cause, session, each) for each in breakages))


def _cause(session: Session, breakage: Breakage) -> None:
    time.sleep(breakage.after)
    ACTIONS[breakage.fault].cause(session, breakage)


def restore_all(session: Session, journal: Journal) -> tuple[Breakage, ...]:
    """Put back what the journal says is broken, and return it; what cannot be put back stays in the journal.

    What is gone, such as a group that was deleted meanwhile, has nothing to put back. Raises the first error once
    everything was tried.
    """
    broken, failed = journal.read(), list[tuple[Breakage, SamovarError]]()
    for breakage in sorted(broken, key=lambda each: ENDED_FIRST.get(each.fault, len(ENDED_FIRST))):
        restore = ACTIONS[breakage.fault].restore
        try:
            if restore:
                restore(session, breakage)
        except SamovarError as error:
            if getattr(error, "status", None) is not grpc.StatusCode.NOT_FOUND:
                failed.append((breakage, error))
    journal.write([breakage for breakage, _ in failed])
    if failed:
        raise failed[0][1]
    return broken


def local_host(session: Session) -> Host:
    """Return the local cloud's admin API. Raises ConfigError in any other cloud."""
    if session.host is None:
        raise ConfigError(
            "this cloud cannot inject faults into machines",
            remedy="`drill ENV --list` shows which drills every cloud allows; or make the service fail by itself: "
            "a drill with the fault `request`",
        )
    return session.host


def _cut_power(session: Session, breakage: Breakage) -> None:
    session.cut_power(breakage.subject)


def _stop(session: Session, breakage: Breakage) -> None:
    session.stop(breakage.subject)


def _crash(session: Session, breakage: Breakage) -> None:
    local_host(session).crash(breakage.subject, str(breakage.parameters["unit"]))


def _cause_in_machine(session: Session, breakage: Breakage) -> None:
    local_host(session).cause(breakage.subject, _machine_fault(breakage))


def _end_in_machine(session: Session, breakage: Breakage) -> None:
    local_host(session).end(breakage.subject, _machine_fault(breakage))


def _machine_fault(breakage: Breakage) -> JsonObject:
    return {"fault": breakage.fault.value, **breakage.parameters}


def _fail_calls(session: Session, breakage: Breakage) -> None:
    local_host(session).add_fault(method=breakage.name, code="UNAVAILABLE", message=MARK)


def _fail_starts(session: Session, breakage: Breakage) -> None:
    host = local_host(session)
    if not any(fault.effect == "start" and fault.message == MARK for fault in host.faults()):
        host.add_fault(effect="start", message=MARK)
    host.kill(breakage.subject)


def _clear_faults(session: Session, _: Breakage) -> None:
    host = local_host(session)
    for fault in host.faults():
        if fault.message == MARK:
            host.clear_faults(fault.id)


def _kill_daemon(session: Session, _: Breakage) -> None:
    os.kill(local_host(session).status()["pid"], signal.SIGKILL)


def _start_daemon(_: Session, breakage: Breakage) -> None:
    """Start the daemon of the home, which does nothing if it runs."""
    command = module_command("samovar", "--home", str(breakage.parameters["home"]), "cloud", "up")
    run(command, env=module_environment())


_IN_MACHINE = Action(_cause_in_machine, _end_in_machine)
ACTIONS: Mapping[FaultKind, Action] = {
    **dict.fromkeys(FaultKind, _IN_MACHINE),
    FaultKind.KILL: Action(_cut_power),
    FaultKind.STOP: Action(_stop),
    FaultKind.CRASH: Action(_crash),
    FaultKind.CALLS: Action(_fail_calls, _clear_faults),
    FaultKind.NO_START: Action(_fail_starts, _clear_faults),
    FaultKind.RULES: Action(lose_rules, restore_rules),
    FaultKind.DRAIN: Action(drain, undrain),
    FaultKind.TEMPLATE: Action(spoil_template, restore_template),
    FaultKind.UPDATE: Action(update_and_cut_power, restore_template),
    FaultKind.ROLLOUT: Action(begin_and_kill, finish_rollout),
    FaultKind.EXPIRE: Action(expire_certificate, restore_certificate),
    FaultKind.DAEMON: Action(_kill_daemon, _start_daemon),
}
