"""What a rollout waits for: every machine healthy in the eyes of its group and of its balancer."""

from __future__ import annotations

from collections.abc import Mapping

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.core.output import Reporter
from samovar.core.program import command_line
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.read_status import inspect
from samovar.deploy.resources.resource import Ref
from samovar.deploy.seeded import record
from samovar.deploy.status import Status
from samovar.project.environment import Environment

TIMEOUT = 600.0


def settle(
    session: Session,
    environment: Environment,
    running: Mapping[Ref, Operation],
    reporter: Reporter,
    *,
    timeout: float = TIMEOUT,
) -> Status:
    """Waits until the environment is healthy and the groups' operations are done, and tells each step on the way.

    Raises WaitTimeout with what was last seen, or OperationFailed where the cloud gave an operation up.
    """
    open_operations = dict(running)
    told = ""
    healthy: set[str] = set()

    def probe() -> Status | Pending:
        nonlocal told, healthy
        for ref, operation in list(open_operations.items()):
            if session.poll(operation.id).operation.done:
                session.finish(operation, what=str(ref))
                del open_operations[ref]
        status = inspect(session, environment)
        before, healthy = healthy, {group.name for group in status.groups if group.healthy}
        if healthy - before:
            record(session, status)
        seen = "; ".join(group.summary() for group in status.groups if not group.healthy)
        if status.healthy and not open_operations:
            return status
        seen = seen or f"{', '.join(map(str, open_operations))}: still being worked on"
        if seen != told:
            reporter.info(f"  {seen}")
            told = seen
        return Pending(seen)

    return wait_for(
        f"{environment.name} is healthy",
        probe,
        timeout=timeout,
        interval=0.1,
        ceiling=0.5,
        remedy=f"see `{command_line(f'status {environment.name}')}`; run the rollout again once the cause is mended",
    )
