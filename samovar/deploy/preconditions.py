"""Refuses a rollout or a destruction before it changes anything.

A name may be used twice, or belong to another owner; the credentials may lead to another folder, where the environment
would be built a second time; a zone may not be up; `deletion_protection` may forbid a deletion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from yandex.cloud.compute.v1.zone_pb2 import Zone
from yandex.cloud.compute.v1.zone_service_pb2 import ListZonesRequest
from yandex.cloud.compute.v1.zone_service_pb2_grpc import ZoneServiceStub
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import GetFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.labels import of_environment, to_texts
from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError, ExitCode, SamovarError, command_line
from samovar.deploy.plan import Plan
from samovar.deploy.resources.disk import Disk, disk_labels
from samovar.deploy.resources.instance_group import PAUSED, InstanceGroup
from samovar.deploy.resources.registry import namespace
from samovar.deploy.resources.resource import Desired, Existing, Kind, Observed, Protectable, Ref, Resource, Spec
from samovar.project.environment import Environment

MONITORING = "monitoring"
"""The id of Yandex Monitoring in the list of API endpoints."""
RENAME = "give the group, the secret or the environment another name"
UNPROTECT = "write deletion_protection: false in config.yaml and roll that out, and nothing else; then run this again"


class Protected(SamovarError):
    """`deletion_protection` forbids what was asked for."""

    code = ExitCode.REFUSED


def check_distinct(resources: Iterable[Resource[Spec]]) -> None:
    """Raise ConfigError where an environment would have two resources of one name."""
    owners: dict[tuple[Kind, str], str] = {}
    for resource in resources:
        key, owner = _key(resource.ref), _owner(resource)
        if key in owners:
            raise ConfigError(f"{resource.ref}: {owners[key]} and {owner} have the same name", remedy=RENAME)
        owners[key] = owner


def check_free(desired: Desired, observed: Observed) -> None:
    """Raise ConfigError where a desired resource exists already and is not the environment's own."""
    ours = {_key(existing.ref) for existing in observed.resources}
    taken = {_key(ref): owner for ref, owner in observed.others}
    clashes = [(resource.ref, taken[key]) for resource in desired.resources if (key := _key(resource.ref)) in taken]
    unknown = "an owner that the tool does not know"
    foreign = [(ref, owner) for ref, owner in clashes if _key(ref) not in ours]
    others = [f"{ref} belongs to {owner or unknown}" for ref, owner in foreign]
    if others:
        lost = {ref for ref, owner in foreign if not owner}
        unlabelled = [resource for resource in desired.resources if resource.ref in lost]
        raise ConfigError(
            f"{desired.environment}: the folder has these already: {'; '.join(others)}",
            remedy="; ".join((RENAME, *_relabelling(desired.environment, unlabelled))),
        )


def _relabelling(environment: str, resources: Iterable[Resource[Spec]]) -> Iterator[str]:
    """Yield how the environment gets back each resource that is its own and has lost its labels."""
    for resource in resources:
        labels = ", ".join(to_texts(_identity(environment, resource)))
        yield f"if {resource.ref} is this environment's own and lost its labels, put them back in the cloud: {labels}"


def _identity(environment: str, resource: Resource[Spec]) -> dict[str, str]:
    """Return the labels without which the tool does not know the resource again."""
    if isinstance(resource.spec, Disk):
        return disk_labels(environment, resource.group, resource.spec.device)
    return of_environment(environment, resource.group)


def check_zones(session: Session, environment: Environment) -> None:
    """Raise ConfigError where a zone does not exist, or is not up; the names of zones alone do not tell."""
    up = zones_up(session)
    if missing := sorted(set(environment.zones) - up):
        raise ConfigError(
            f"{environment.place('zones')}: {', '.join(missing)} is not up in this cloud",
            remedy=f"choose among {', '.join(sorted(up)) or 'none'}",
        )


def check_disk_zones(environment: Environment, desired: Desired, observed: Observed) -> None:
    """Raise ConfigError where a group's machine would be in another zone than its data disk, and could not have it."""
    there = {each.ref: each.spec.zone for each in observed.resources if isinstance(each.spec, Disk)}
    for resource in desired.resources:
        spec, zone = resource.spec, there.get(resource.ref, "")
        if isinstance(spec, Disk) and zone not in {"", spec.zone}:
            raise ConfigError(
                f"{environment.place('zones')}: the data disk {resource.name} is in {zone}, and no machine in "
                f"{spec.zone} can have it",
                remedy=f"name {zone} first in zones; or make a disk of the same content in {spec.zone}: "
                f"{command_line(f'disk snapshot {environment.name} {resource.group}')}, then "
                f"{command_line(f'disk restore {environment.name} SNAPSHOT')}, which keeps the former disk",
            )


def check_metrics(session: Session, environment: Environment) -> None:
    """Raise ConfigError where a group is scaled by a metric and the cloud has no Monitoring that could have it."""
    for group, metric in custom_metrics(environment):
        if not session.serves(MONITORING):
            place = environment.place("groups", group, "autoscale", "custom_rules")
            raise ConfigError(
                f"{place}: group {group}: this cloud has no Monitoring, and so no metric {metric}",
                remedy="scale by cpu_utilization here: metrics are for Yandex Cloud",
            )


def custom_metrics(environment: Environment) -> Iterator[tuple[str, str]]:
    """Yield each group that is scaled by a metric, with the name of the metric."""
    for group in environment.groups:
        for rule in group.autoscale.custom_rules if group.autoscale else ():
            yield group.name, rule.metric_name


def zones_up(session: Session) -> frozenset[str]:
    """Return the zones that are up."""
    listed = session.list(session.client(ZoneServiceStub).List, ListZonesRequest(), lambda page: page.zones)
    return frozenset(zone.id for zone in listed if zone.status == Zone.UP)


def _key(ref: Ref) -> tuple[Kind, str]:
    return namespace(ref.kind), ref.name


def _owner(resource: Resource[Spec]) -> str:
    shared = "the environment" if resource.ref.kind is not Kind.SECRET else "one of its secrets"
    return f"group {resource.group}" if resource.group else shared


def check_folder(session: Session, environment: Environment) -> tuple[str, ...]:
    """Raise ConfigError where the credentials lead to another folder than the environment's file names.

    Returns the lines that the file lacks; none for a cloud on a host of ours, whose ids differ by home.
    """
    _compare(session, environment.name, "folder", environment.folder_id, session.folder_id)
    if environment.images_folder_id == session.folder_id:
        place = environment.place("images", "folder_id")
        raise ConfigError(f"{place}: this is the environment's own folder", remedy="leave `images` out")
    if environment.cloud_id:
        _compare(session, environment.name, "cloud_id", environment.cloud_id, _cloud_of_folder(session))
    if session.host:
        return ()
    folder = () if environment.folder_id else (f"folder: {session.folder_id}",)
    return folder if environment.cloud_id else (*folder, *_cloud_line(session))


def _compare(session: Session, name: str, key: str, expected: str | None, actual: str) -> None:
    if expected not in {None, actual}:
        raise ConfigError(
            f"{name} belongs to {key} {expected}, but {session.credentials} leads to {key} {actual}: nothing was done",
            remedy=f"use other credentials (docs/yandex.md), or correct {key} in {name}'s config.yaml",
        )


def _cloud_of_folder(session: Session) -> str:
    """The API's answer counts: a variable may name another cloud."""
    return session.client(FolderServiceStub).Get(GetFolderRequest(folder_id=session.folder_id)).cloud_id


def _cloud_line(session: Session) -> tuple[str, ...]:
    """Nothing where the folder may not be read: the call that needs it reports that."""
    try:
        return (f"cloud_id: {_cloud_of_folder(session)}",)
    except CloudError:
        return ()


def check_file(environment: Environment) -> None:
    """Raise Protected where the environment's file forbids to destroy it."""
    if environment.deletion_protection:
        message = f"{environment.name} is protected: its config.yaml says deletion_protection: true"
        raise Protected(message, remedy=UNPROTECT)


def check_deletions(plan: Plan) -> None:
    """Raise Protected where a plan deletes what the API protects: the cloud would refuse it halfway."""
    protected = [str(each.ref) for each in deleted(plan) if _is_protected(each)]
    if protected:
        message = f"{plan.environment}: deletion_protection is on for {', '.join(protected)}"
        raise Protected(message, remedy=UNPROTECT)


def check_groups_act(plan: Plan, observed: Observed) -> None:
    """Raise CloudError where a group was paused, or stays and was stopped: a rollout would wait for it in vain.

    Of a paused group nothing can be changed but that (Yandex Cloud's documentation, pause-processes).
    """
    going = {each.ref for each in deleted(plan)}
    for each in observed.resources:
        if not isinstance(each.spec, InstanceGroup) or not each.spec.halted:
            continue
        what = f"{each.ref} ({each.id}) is {each.spec.halted}"
        if each.spec.halted == PAUSED:
            raise CloudError(
                f"{what}: nothing of it can be changed", remedy="resume its processes; then run this again"
            )
        if each.ref not in going:
            raise CloudError(f"{what}: it changes no machine", remedy="start the group; then run this again")


def deleted(plan: Plan) -> tuple[Existing[Spec], ...]:
    """Return the resources that a plan deletes, those that it replaces among them."""
    return tuple(step.existing for step in plan.all_steps if step.existing and not step.desired)


def irreplaceable(plan: Plan) -> tuple[Existing[Spec], ...]:
    """Return the resources that a plan deletes for good: no rollout brings them back."""
    return tuple(existing for existing in deleted(plan) if existing.spec.IRREPLACEABLE)


def warn_of_foreign_groups(plan: Plan, observed: Observed) -> Iterator[str]:
    """Yield a warning where no group that exists stays: another project may have an environment of this name."""
    groups = {each.ref for each in observed.resources if each.ref.kind is Kind.INSTANCE_GROUP}
    going = {each.ref for each in deleted(plan)} - plan.replaced
    if groups and groups <= going:
        names = ", ".join(sorted(ref.name for ref in groups))
        yield (
            f"warning: all groups that {plan.environment} has now go: {names}. If they are another project's, give "
            "this environment another name: rename its folder in envs/"
        )


def _is_protected(existing: Existing[Spec]) -> bool:
    return isinstance(existing.spec, Protectable) and existing.spec.deletion_protection
