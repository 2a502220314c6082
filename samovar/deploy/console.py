"""Reads what machines write to their serial consoles: why one is not well, and what an operator is warned of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.agent import report
from samovar.cloud.errors import CallFailed
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.deploy.status import MachineStatus, Status
from samovar.project.environment import Environment
from samovar.watchdog.config import ALIVE, BALANCER, GROUP, READY
from samovar.watchdog.runs import FAILED, SUCCEEDED

PREFIX = "samovar: "
"""The beginning of every message of the agent and of the image's services on a console."""
HOST_KEY = "host key "
CONSOLES = 20
"""The most consoles of a group that are read at once."""
WAITS = re.compile(rf"{report.WAITS} (?P<what>secret \S+|a token) ")
ANSWERS = re.compile(rf"(?P<what>secret \S+) \S+ {report.ANSWERS}")
CONFIGURED = re.compile(rf"role \S+: (?:{report.CONFIGURED}|{report.UNCHANGED})|{report.BARE}: .*")
"""The agent has all of its role. One that then lacks a secret says so within a minute."""
DISK_READY = (
    r"the data disk of .* is here|the data disk is seeded|"
    r"data disk \S+ has a new file system|data disk \S+ has a file system of \S+ now"
)
"""How the scripts of the images say that a data disk is well."""
WELL = re.compile(
    rf"{CONFIGURED.pattern}|{report.STARTED}|.*: {report.ANSWERS}|"
    rf"{GROUP} {ALIVE}|{BALANCER} {READY}|\S+: {SUCCEEDED}|{DISK_READY}"
)
"""The messages that all is well, which are no reason for anything."""
AGENT = re.compile(
    rf"{CONFIGURED.pattern}|{report.STARTED}|.*: {report.ANSWERS}|.*: {report.EDITED}|"
    rf"(?:{report.LAST_ANSWER}, )?{report.WAITS} .*|{report.UNUSABLE}: .*"
)
SPEAKERS = (AGENT, re.compile(r"(?:seeding )?(?:the )?data disk .*"))
"""The messages of the agent, and those on data disks. All others are of the watchdog, or of an image's own services."""


def read_console(session: Session, instance_id: str) -> str:
    """Return all that the cloud has kept of a machine's console."""
    request = rpc.GetInstanceSerialPortOutputRequest(instance_id=instance_id)
    return session.client(InstanceServiceStub).GetSerialPortOutput(request).contents


def spoken(console: str) -> Iterator[str]:
    """Yield what follows the first prefix of each line that has one: behind it a message may quote an application.

    Only a line feed ends a line, for the same reason.
    """
    return (line.partition(PREFIX)[2].rstrip("\r") for line in console.split("\n") if PREFIX in line)


def read_messages(session: Session, instance_id: str) -> Sequence[str]:
    """Return the messages of the agent and of the image's services on the console; none where it cannot be read.

    Host keys are for programs, and are left out.
    """
    try:
        console = read_console(session, instance_id)
    except CallFailed:
        return ()
    printed = map(_printed, spoken(console))
    return [text for text in printed if text and not text.startswith(HOST_KEY)]


def last_reason(session: Session, instance_id: str) -> str | None:
    """Return the last message on the console that says why the machine is not well; None without any."""
    return reason(read_messages(session, instance_id))


def reason(messages: Iterable[str]) -> str | None:
    """Return the last message that says what is wrong; what a program said before it said that all is well is past."""
    present: dict[int, str] = {}
    for message in messages:
        speaker = next((number for number, each in enumerate(SPEAKERS) if each.fullmatch(message)), len(SPEAKERS))
        present.pop(speaker, None)
        if not WELL.fullmatch(message):
            present[speaker] = message
    return next(reversed(present.values()), None)


def console_warnings(session: Session, environment: Environment, status: Status) -> tuple[str, ...]:
    """Return the warnings. The first machines of each group are asked: each is a call of its own."""
    machines = [*_asked(environment, status)]
    messages = run_concurrently(*(partial(read_messages, session, machine.id) for machine in machines))
    return tuple(
        f"{machine.name}: {text}" for machine, own in zip(machines, messages, strict=True) for text in problems(own)
    )


def problems(messages: Sequence[str]) -> Iterator[str]:
    """Yield the last run by a schedule that failed, what makes a role unusable, and the secrets that are not read."""
    yield from _unless_past(messages, FAILED, re.compile(rf".*{SUCCEEDED}"))
    yield from _unless_past(messages, report.UNUSABLE, CONFIGURED)
    yield from _unread(messages)


def _unless_past(messages: Sequence[str], problem: str, end: re.Pattern[str]) -> Iterator[str]:
    """Yield the last message on a problem, unless one that ends it came later."""
    for message in reversed(messages):
        if problem in message:
            yield message
        if problem in message or end.fullmatch(message):
            return


def _unread(messages: Iterable[str]) -> Iterable[str]:
    waits: dict[str, str] = {}
    for message in messages:
        if waiting := WAITS.search(message):
            waits[waiting["what"]] = message
        elif answered := ANSWERS.fullmatch(message):
            waits = {what: text for what, text in waits.items() if what not in {answered["what"], "a token"}}
        elif CONFIGURED.fullmatch(message):
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


def _printed(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())
