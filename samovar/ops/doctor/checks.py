"""The whole examination: each part as far as the one before it lets us come."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from samovar.cloud.session import Session
from samovar.core.errors import SamovarError
from samovar.ops.doctor.capacity import DATA, IMAGES, QUOTAS, ZONES, baked, families, room, rows, zones
from samovar.ops.doctor.finding import Finding, State, failed, looked, ok
from samovar.ops.doctor.iam import FOLDER, ROLES, WHO, belonging, folder, identity, roles
from samovar.ops.doctor.programs import tools
from samovar.project.environment import Environment
from samovar.project.project import Project

ENDPOINT = "endpoint"


def examine(
    connect: Callable[[], Session], project: Project, environment: Environment | None, *, local: bool
) -> Iterator[Finding]:
    """Everything, in the order in which it is of use; `connect` may fail, which is a finding."""
    yield from tools(local=local)
    try:
        session = connect()
    except SamovarError as error:
        yield failed(ENDPOINT, error)
        return
    yield ok(ENDPOINT, f"{session.access.endpoint} answers")
    yield from looked(WHO, lambda: identity(session))
    yield from looked(FOLDER, lambda: folder(session))
    if environment:
        yield from looked(FOLDER, lambda: belonging(session, environment))
    yield from looked(ROLES, lambda: roles(session), State.UNKNOWN)
    wanted = environment.zones if environment else (session.access.zone,)
    yield from looked(ZONES, lambda: zones(session, wanted))
    yield from looked(IMAGES, lambda: families(session, project), State.UNKNOWN if local else State.FAILURE)
    if environment:
        yield from looked(IMAGES, lambda: baked(session, environment), State.WARNING)
        yield from looked(DATA, lambda: rows(session, environment), State.UNKNOWN)
        yield from looked(QUOTAS, lambda: room(session, environment), State.UNKNOWN)
