"""Waits until every machine of an environment is healthy for its group and for its balancer."""

from __future__ import annotations

from collections.abc import Mapping

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.core.output import Reporter
from samovar.core.program import command_line
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.resource import Ref
from samovar.deploy.resources.seed_record import record_healthy
from samovar.deploy.status import Status
from samovar.project.environment import Environment


def wait_until_healthy(
    session: Session,
    environment: Environment,
    running: Mapping[Ref, Operation],
    reporter: Reporter,
    *,
    timeout: float,
) -> Status:
    """Wait until the environment is healthy and the groups' operations are done; each new state is reported.

    Raises WaitTimeout with the last state, or OperationFailed where the cloud ended an operation with an error.
    """
    open_operations = dict(running)
    reported = ""
    healthy: frozenset[str] = frozenset()

    def probe() -> Status | Pending:
        nonlocal reported, healthy
        _close_finished(session, open_operations)
        status = read_status(session, environment)
        if status.healthy_groups - healthy:
            record_healthy(session, status.environment, status.healthy_groups)
        healthy = status.healthy_groups
        if status.healthy and not open_operations:
            return status
        state = "; ".join(group.summary() for group in status.groups if not group.healthy)
        state = state or f"{', '.join(map(str, open_operations))}: the operation still runs"
        if state != reported:
            reporter.info(f"  {state}")
            reported = state
        return Pending(state)

    return wait_for(
        f"{environment.name} is healthy",
        probe,
        timeout=timeout,
        interval=0.1,
        ceiling=session.timeouts.longest_pause,
        remedy=f"see `{command_line(f'status {environment.name}')}`; remove the cause and run the rollout again",
    )


def _close_finished(session: Session, operations: dict[Ref, Operation]) -> None:
    for ref, operation in list(operations.items()):
        if session.poll(operation.id).operation.done:
            session.finish(operation, what=str(ref))
            del operations[ref]
