"""Finds warnings on the consoles of healthy machines: a run that failed, a secret that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.deploy.machines import CONSOLES, read_messages
from samovar.deploy.status import MachineStatus, Status
from samovar.project.environment import Environment
from samovar.watchdog.runs import FAILED, SUCCEEDED

WAITS = re.compile(r"waiting for (?P<what>secret \S+|a token) ")
ANSWERS = re.compile(r"(?P<what>secret \S+) \S+ answers again")
CONFIGURED = "role "
"""How the agent begins to say that it has all of its role. One that then lacks a secret says so within a minute."""


def console_warnings(session: Session, environment: Environment, status: Status) -> tuple[str, ...]:
    """Return the warnings. The first machines of each group are asked: each is a call of its own."""
    machines = [*_asked(environment, status)]
    messages = run_concurrently(*(partial(read_messages, session, machine.id) for machine in machines))
    return tuple(
        f"{machine.name}: {text}" for machine, own in zip(machines, messages, strict=True) for text in problems(own)
    )


def problems(messages: Sequence[str]) -> Iterator[str]:
    """Yield the last message on runs by a schedule, if one failed, and those on secrets that are not read by now."""
    runs = (message for message in reversed(messages) if FAILED in message or SUCCEEDED in message)
    yield from (message for message in [next(runs, "")] if FAILED in message)
    yield from _unread(messages)


def _unread(messages: Iterable[str]) -> Iterable[str]:
    waits: dict[str, str] = {}
    for message in messages:
        if waiting := WAITS.search(message):
            waits[waiting["what"]] = message
        elif answered := ANSWERS.fullmatch(message):
            waits = {what: text for what, text in waits.items() if what not in {answered["what"], "a token"}}
        elif message.startswith(CONFIGURED):
            waits = {}
    return waits.values()


def _asked(environment: Environment, status: Status) -> Iterator[MachineStatus]:
    """Yield the machines of groups with a schedule, and the healthy machines of groups with secrets.

    The status has the last message of an unhealthy machine anyway.
    """
    groups = environment.group_by_name
    for group in status.groups:
        scheduled, secrets = groups[group.name].settings.get("schedule"), groups[group.name].secrets
        there = [each for each in group.machines if each.id and (scheduled or (secrets and each.healthy))]
        yield from there[:CONSOLES]
