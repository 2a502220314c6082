"""Runs all checks of the doctor, each as far as the ones before it allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from samovar.cloud.session import Session
from samovar.core.errors import SamovarError
from samovar.deploy.existing import use_images_folder
from samovar.ops.doctor.capacity import DATA, IMAGES, QUOTAS, ZONES, baked, capacity, families, rows, zones
from samovar.ops.doctor.finding import Finding, State, failed, ok, run_check
from samovar.ops.doctor.iam import FOLDER, ROLES, WHO, belonging, folder, identity, roles
from samovar.ops.doctor.programs import disk_space, tools
from samovar.project.environment import Environment
from samovar.project.project import Project

ENDPOINT = "endpoint"


def examine(
    connect: Callable[[], Session], project: Project, environment: Environment | None, home: Path | None
) -> Iterator[Finding]:
    """Yield the findings in a useful order; where `connect` fails, that is one. Only a local cloud has a `home`."""
    local = home is not None
    yield from tools(local=local)
    if home:
        yield disk_space(home)
    try:
        session = connect()
    except SamovarError as error:
        yield failed(ENDPOINT, error)
        return
    yield ok(ENDPOINT, f"{session.access.endpoint} answers")
    yield from run_check(WHO, lambda: identity(session))
    yield from run_check(FOLDER, lambda: folder(session))
    if environment:
        use_images_folder(session, environment)
        yield from run_check(FOLDER, lambda: belonging(session, environment))
    yield from run_check(ROLES, lambda: roles(session), State.UNKNOWN)
    zone_names = environment.zones if environment else (session.access.zone,)
    yield from run_check(ZONES, lambda: zones(session, zone_names))
    family = environment.bake_family if environment else None
    yield from run_check(IMAGES, lambda: families(session, project, family), State.UNKNOWN if local else State.FAILURE)
    if environment:
        yield from run_check(IMAGES, lambda: baked(session, environment), State.WARNING)
        yield from run_check(DATA, lambda: rows(session, environment), State.UNKNOWN)
        yield from run_check(QUOTAS, lambda: capacity(session, environment), State.UNKNOWN)
