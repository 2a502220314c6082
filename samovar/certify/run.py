"""Runs the programme within its bounds: nothing is left of it, however it ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as balancers
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub

from samovar.certify.cleanup import leftovers, remove, require_empty
from samovar.certify.environment import NAME
from samovar.certify.messages import scrubbed
from samovar.certify.programme import PROGRAMME, Operators, Step
from samovar.certify.recording import Recorder, Recording
from samovar.cloud.session import Session
from samovar.core.errors import SamovarError, WaitTimeout
from samovar.core.output import Reporter
from samovar.deploy.lock import holder, locked
from samovar.deploy.machines import list_instances
from samovar.deploy.observe import list_owned
from samovar.deploy.resources.instance_group import InstanceGroupHandler
from samovar.deploy.resources.load_balancer import LoadBalancerHandler


@dataclass(frozen=True)
class Bounds:
    """The most seconds of the programme without its clean-up, and the seconds between two looks at all states."""

    timeout: float
    interval: float


@dataclass(frozen=True)
class StepResult:
    """A step that was carried out: how it ended, and its seconds."""

    name: str
    description: str
    outcome: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """A run of the programme. `stopped` says why it did not get to its end, or is empty."""

    steps: tuple[StepResult, ...]
    recording: Recording
    seconds: float
    stopped: str


def certify(session: Session, reporter: Reporter, bounds: Bounds, recorder: Recorder | None = None) -> Run:
    """Run the programme in the folder of `session`, and remove all that it made, also after an error or Ctrl-C.

    It begins by removing what a run left that was killed. Raises ConfigError where the folder is not empty, Held where
    another run is under way, and WaitTimeout where something could not be removed. Any other error is in the run that
    it returns.
    """
    with locked(session, f"{NAME}-run"):
        with reporter.step("look at the folder"):
            if leftovers(session):
                remove(session, reporter)
            require_empty(session)
        conduct = Conduct(session, reporter, bounds, recorder or Recorder(private_words(session)))
        try:
            return conduct.run()
        finally:
            conduct.deadline.end()
            if leftovers(session):
                with reporter.step("remove what is left"):
                    remove(session, reporter)


class Deadline:
    """The end of the programme: no thread makes a call after it, whatever it waits for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._ended = False

    def end(self) -> None:
        self._ended = True

    def check(self) -> None:
        """Raise WaitTimeout after the end."""
        if self._ended or time.monotonic() > self._until:
            why = "has ended" if self._ended else f"has taken the {self._seconds:g} s that it was given"
            raise WaitTimeout(f"the programme {why}", remedy="give it more time: --timeout")


def private_words(session: Session) -> tuple[str, ...]:
    """Return words that texts of the cloud may hold, and a report may not."""
    access = session.access
    return (access.folder_id, access.cloud_id, access.endpoint, holder(), socket.gethostname())


class Conduct:
    """The programme under way, in sessions of its own: the calls of its threads end with it, the clean-up's do not."""

    def __init__(self, session: Session, reporter: Reporter, bounds: Bounds, recorder: Recorder) -> None:
        access = session.access
        self._private = private_words(session)
        self._operators = Operators(Session(access), Session(access), reporter)
        self._watcher = Session(access)
        self._interval = bounds.interval
        self._recorder = recorder
        self.deadline = Deadline(bounds.timeout)

    def run(self) -> Run:
        results: list[StepResult] = []
        stopped = ""
        with self._recording():
            try:
                results.extend(self._step(step) for step in PROGRAMME)
            except SamovarError as error:
                stopped = scrubbed(f"{self._recorder.step}: {error.message}", self._private)
            except BaseException:
                self._cancel()
                raise
        return Run(tuple(results), self._recorder.recording(), self._recorder.seconds, stopped)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """The checks stay for ever: a thread of the programme may outlive it."""
        operators, recorder = self._operators, self._recorder
        with ExitStack() as stack:
            for session in (operators.first, operators.second, self._watcher):
                session.add_check(self.deadline.check)
                observe = recorder.watch if session is self._watcher else recorder.observe
                stack.enter_context(session.observed(observe))
            stack.enter_context(watching(self._watcher, self._interval))
            yield

    def _step(self, step: Step) -> StepResult:
        self._recorder.step, began = step.name, time.monotonic()
        with self._operators.reporter.step(f"{step.name}: {step.description}"):
            outcome = step.run(self._operators)
        return StepResult(step.name, step.description, outcome, round(time.monotonic() - began, 1))

    def _cancel(self) -> None:
        for session in (self._operators.first, self._operators.second):
            for what, outcome in session.cancel_awaited().items():
                self._operators.reporter.info(f"{what}: {outcome}")


@contextmanager
def watching(session: Session, interval: float) -> Iterator[None]:
    """Ask for all states every `interval` seconds, in a thread of its own; whoever observes the session sees them.

    With the environment of the programme, these are seven calls each time.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(session, interval, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(session: Session, interval: float, ended: threading.Event) -> None:
    while not ended.wait(interval):
        try:
            _look(session)
        except SamovarError:  # what was listed may be gone; the next look sees what is there
            continue


def _look(session: Session) -> None:
    service = session.client(InstanceGroupServiceStub)
    for group in list_owned(InstanceGroupHandler(), session, NAME):
        request = groups.ListInstanceGroupInstancesRequest(instance_group_id=group.id)
        session.list(service.ListInstances, request, lambda page: page.instances)
    list_instances(session)
    for balancer in list_owned(LoadBalancerHandler(), session, NAME):
        for attached in balancer.attached_target_groups:
            asked = balancers.GetTargetStatesRequest(
                network_load_balancer_id=balancer.id, target_group_id=attached.target_group_id
            )
            session.client(NetworkLoadBalancerServiceStub).GetTargetStates(asked)
