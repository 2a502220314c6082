"""The events of an environment: what differs between two readings of it, in words and as values for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from samovar.deploy.lock import Lock
from samovar.deploy.status import GroupStatus, MachineStatus, Status, without_figures
from samovar.ops.alerts import Alerts

ABSENT_BALANCER = "no balancer"
Message = tuple[str, str]
"""A machine by its id, and a message without its figures: times and process ids differ each time it is said."""


class Subject(StrEnum):
    """The kinds of things that events are about."""

    ENVIRONMENT = "environment"
    GROUP = "group"
    MACHINE = "machine"
    TARGET = "target"
    ADDRESS = "address"
    WARNING = "warning"
    LOG = "log"
    ROLLOUT = "rollout"
    DRILL = "drill"
    ALERT = "alert"
    CLOUD = "cloud"


@dataclass(frozen=True)
class Event:
    """A change. `time` is in seconds since 1970: when the tool saw it, but for a `log` record the cloud's own time.

    `name` is that of the group, the machine or whatever else changed, `change` what of it. `before` and `after` are its
    values, null where there was or is none.
    """

    time: float
    subject: Subject
    name: str
    change: str
    before: str | None = None
    after: str | None = None

    @property
    def text(self) -> str:
        """Return the event in words."""
        if self.subject is Subject.LOG:
            return f"{self.name}: {self.after}"
        if self.subject is Subject.ADDRESS:
            return f"{self.name} {self.after or self.change}"
        if self.before is None or self.after is None:
            value = self.after or self.before
            return f"{self.name}: {self.change}{f' {value}' if value else ''}"
        return f"{self.name}: {self.change} {self.before} -> {self.after}"


@dataclass(frozen=True)
class LogRecord:
    """A record of the log that the cloud keeps of a group."""

    time: float
    group: str
    text: str


@dataclass(frozen=True)
class Reading:
    """An environment at a `time`: its status, the lock of a rollout, the groups' logs, and alerts that fire.

    `broken` is what drills of this user broke and have not put back.
    `messages` are earlier ones of the machines that are not healthy, since they last were.
    `failure` says why it could not be read; the rest is then that of the last time, which was at `answered`.
    """

    time: float
    status: Status
    lock: Lock | None = None
    records: frozenset[LogRecord] = frozenset()
    alerts: Alerts = field(default_factory=Alerts)
    broken: frozenset[str] = frozenset()
    messages: frozenset[Message] = frozenset()
    failure: str | None = None
    answered: float | None = None


def history(reading: Reading, last: int) -> tuple[Event, ...]:
    """Return the last records of the groups' logs, and what goes on: a rollout, alerts, warnings."""
    records = sorted(map(_of_record, reading.records), key=lambda event: event.time)
    nothing = Reading(reading.time, replace(reading.status, unanswered=(), warnings=()))
    return (*(records[-last:] if last else ()), *_goings_on(nothing, reading))


def changes(before: Reading, after: Reading) -> tuple[Event, ...]:
    """Return what happened between two readings, in the order of time."""
    events = [*map(_of_record, after.records - before.records), *_changes(before, after)]
    return tuple(sorted(events, key=lambda event: event.time))


def _changes(before: Reading, after: Reading) -> Iterator[Event]:
    at = after.time
    if before.failure != after.failure:
        answers = "answers again" if after.failure is None else "does not answer:"
        yield Event(at, Subject.CLOUD, "the cloud", answers, None, after.failure)
    yield from _goings_on(before, after)
    yield from _of_status(at, before.status, after.status)
    yield from _of_messages(before, after)


def _goings_on(before: Reading, after: Reading) -> Iterator[Event]:
    at, name = after.time, after.status.environment
    yield from _of_lock(before, after)
    yield from _of_addresses(at, before.status, after.status)
    yield from _of_warnings(at, before.status, after.status)
    for what in sorted(before.broken - after.broken):
        yield Event(at, Subject.DRILL, name, "drill ended:", what, None)
    for what in sorted(after.broken - before.broken):
        yield Event(at, Subject.DRILL, name, "drill began:", None, what)
    yield from _of_alerts(at, name, before.alerts, after.alerts)


def _of_alerts(at: float, name: str, before: Alerts, after: Alerts) -> Iterator[Event]:
    if before.failure != after.failure:
        change = "alerts are known again" if after.failure is None else "alerts are not known:"
        yield Event(at, Subject.ALERT, name, change, None, after.failure)
    for alert in sorted(after.names - before.names):
        yield Event(at, Subject.ALERT, name, "fires", None, alert)
    for alert in sorted(before.names - after.names):
        yield Event(at, Subject.ALERT, name, "ended", alert, None)


def past_messages(reading: Reading) -> frozenset[Message]:
    """Return the messages of the machines that are not healthy up to then, since they last were."""
    ill = {_key(machine): machine.message for machine in reading.status.machines if not machine.healthy}
    present = frozenset((key, without_figures(text)) for key, text in ill.items() if text)
    return present | {message for message in reading.messages if message[0] in ill}


def _of_messages(before: Reading, after: Reading) -> Iterator[Event]:
    past = past_messages(before)
    for machine in after.status.machines:
        if machine.message and (_key(machine), without_figures(machine.message)) not in past:
            yield Event(after.time, Subject.MACHINE, machine.name, "says", None, machine.message)


def _key(machine: MachineStatus) -> str:
    return machine.id or machine.name


def _of_addresses(at: float, before: Status, after: Status) -> Iterator[Event]:
    """Yield the addresses that do not answer any more, and those that do again; what is gone does neither."""
    was, now = ({each.url: each.reason for each in status.unanswered} for status in (before, after))
    for url in sorted(now.keys() - was.keys()):
        yield Event(at, Subject.ADDRESS, url, "does not answer", None, now[url])
    for url in sorted((was.keys() - now.keys()).intersection(after.endpoints.all)):
        yield Event(at, Subject.ADDRESS, url, "answers again")


def _of_warnings(at: float, before: Status, after: Status) -> Iterator[Event]:
    """Yield the warnings that came, and those that went; of one whose machine has another one now, that one alone."""
    was, now = (_by_figures(status.warnings) for status in (before, after))
    for key in sorted(now.keys() - was.keys()):
        yield Event(at, Subject.WARNING, after.environment, "warning:", None, now[key])
    about = {machine for machine, _ in now}
    for key in sorted(was.keys() - now.keys()):
        if key[0] not in about:
            yield Event(at, Subject.WARNING, after.environment, "warning ended:", was[key], None)


def _by_figures(warnings: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return warnings by the machine that each is about, whose name has figures of its own, and by the rest."""
    parts = {text: text.partition(": ") for text in warnings}
    return {(machine, without_figures(rest)): text for text, (machine, _, rest) in parts.items()}


def _of_record(record: LogRecord) -> Event:
    return Event(record.time, Subject.LOG, record.group, "log", None, record.text)


def _of_lock(before: Reading, after: Reading) -> Iterator[Event]:
    old, new, name = before.lock, after.lock, after.status.environment
    if (old and old.id) == (new and new.id):
        return
    if old:
        yield Event(after.time, Subject.ROLLOUT, name, "rollout ended, of", old.holder, None)
    if new:
        yield Event(after.time, Subject.ROLLOUT, name, "rollout began, of", None, new.holder)


def _of_status(at: float, before: Status, after: Status) -> Iterator[Event]:
    old, new = ({group.name: group for group in status.groups} for status in (before, after))
    for name in [*old, *(name for name in new if name not in old)]:
        yield from _of_group(at, old.get(name, _absent(name)), new.get(name, _absent(name)))
    if before.healthy != after.healthy:
        yield Event(at, Subject.ENVIRONMENT, after.environment, "is", _health(before.healthy), _health(after.healthy))


def _absent(name: str) -> GroupStatus:
    return GroupStatus(name, 0, None)


def _of_group(at: float, before: GroupStatus, after: GroupStatus) -> Iterator[Event]:
    if before.id and before.id != after.id:
        yield Event(at, Subject.GROUP, after.name, "deleted")
    if after.id and before.id != after.id:
        yield Event(at, Subject.GROUP, after.name, "created, of image", None, after.image)
    for change, old, new in (("size", str(before.size), str(after.size)), ("image", before.image, after.image)):
        if old != new and before.id == after.id:
            yield Event(at, Subject.GROUP, after.name, change, old, new)
    was, now = ({machine.name: machine for machine in group.machines} for group in (before, after))
    for name in sorted({*was, *now}):
        yield from _of_machine(at, name, was.get(name), now.get(name))
    if before.healthy != after.healthy and before.id == after.id:
        yield Event(at, Subject.GROUP, after.name, "is", _health(before.healthy), _health(after.healthy))


def _of_machine(at: float, name: str, before: MachineStatus | None, after: MachineStatus | None) -> Iterator[Event]:
    if before and (after is None or (after.id != before.id and before.id)):
        yield _of_image(at, name, "gone", before.image, None)
        before = None
    if after and before is None:
        yield _of_image(at, name, f"new, {after.status}", None, after.image)
    elif after and before:
        yield from _of_one_machine(at, before, after)


def _of_image(at: float, name: str, change: str, before: str | None, after: str | None) -> Event:
    """A machine that could not be created has no image."""
    shown = f"{change}, of image" if before or after else change
    return Event(at, Subject.MACHINE, name, shown, before or None, after or None)


def _of_one_machine(at: float, before: MachineStatus, after: MachineStatus) -> Iterator[Event]:
    if before.image and before.image != after.image:
        yield Event(at, Subject.MACHINE, after.name, "image", before.image, after.image)
    if before.status != after.status:
        yield Event(at, Subject.MACHINE, after.name, "status", before.status, after.status)
    if before.balancer != after.balancer:
        states = (each or ABSENT_BALANCER for each in (before.balancer, after.balancer))
        yield Event(at, Subject.TARGET, after.name, "for the balancer", *states)


def _health(healthy: object) -> str:
    return "healthy" if healthy else "not healthy"
