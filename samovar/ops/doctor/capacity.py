"""Checks that the cloud has zones, images and quotas for an environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from yandex.cloud.compute.v1.image_service_pb2 import GetImageLatestByFamilyRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2 as rpc
from yandex.cloud.quotamanager.v1.quota_limit_service_pb2_grpc import QuotaLimitServiceStub
from yandex.cloud.quotamanager.v1.resource_pb2 import Resource

from samovar.cloud.session import Session
from samovar.core.constants import GIB
from samovar.deploy.disk_sizes import check_boot_disks
from samovar.deploy.existing import used_refs
from samovar.deploy.observe import observe
from samovar.deploy.preconditions import zones_up
from samovar.deploy.resources.registry import quota_demand
from samovar.deploy.resources.resource import Desired, Observed
from samovar.deploy.rollout import image_names, load_desired, require_images
from samovar.deploy.seeding import check_data_formats, record_if_missing
from samovar.images.builders.packer.builder import missing_images
from samovar.images.builders.packer.template import CORES, SourceImage, disk_gb, memory_gb, source_family
from samovar.images.definition import ImageDefinition, Images
from samovar.images.load import load_images
from samovar.ops.doctor.finding import Finding, State, ok, run_check
from samovar.project.environment import Environment
from samovar.project.project import Project

ZONES, IMAGES, QUOTAS, DATA = "zones", "images", "quotas", "data"
BAKE_QUOTAS = ("vpc.networks.count", "vpc.subnets.count", "vpc.securityGroups.count")
"""Packer takes one of each while it bakes, whatever it bakes, and images may be baked beside a rollout."""
CLOUD = "resource-manager.cloud"
"""Quotas belong to a cloud, not to a folder; this is the API's name for that kind of resource."""
SERVICES = frozenset({"compute", "vpc", "ylb", "load-balancer", "iam", "lockbox"})


@dataclass(frozen=True)
class Quota:
    """A quota by its id in the API (`vpc.networks.count`); sizes are in bytes."""

    id: str
    limit: float
    usage: float


def zones(session: Session, names: tuple[str, ...]) -> Iterator[Finding]:
    """Yield whether each of these zones is up."""
    up = sorted(zones_up(session))
    for zone in names:
        if zone in up:
            yield ok(ZONES, f"{zone} is up")
        else:
            yield Finding(ZONES, State.FAILURE, f"{zone} is not up", f"choose among {', '.join(up) or 'none'}")


def families(session: Session, project: Project, family: str | None) -> Iterator[Finding]:
    """Yield the image from which Packer bakes each root image; `family` is what the environment's file says."""
    for name, image in load_images(project).items():
        if image.suite is None:
            continue
        origin = source_family(image, family)
        request = GetImageLatestByFamilyRequest(folder_id=origin.folder, family=origin.family)
        latest = session.client(ImageServiceStub).GetLatestByFamily(request)
        size = f"needs a disk of {latest.min_disk_size / GIB:g}G"
        yield ok(IMAGES, f"{name} starts from {latest.name or latest.id}, the newest of {origin.family}; it {size}")


def baked(session: Session, environment: Environment) -> Iterator[Finding]:
    """Yield the images of the environment's machines. CloudError where the cloud lacks one."""
    desired, observed = load_desired(environment), observe(session, environment.name, used_refs(environment))
    require_images(desired, observed)
    yield ok(IMAGES, f"baked and published: {', '.join(sorted(image_names(desired)))}")
    yield from run_check(IMAGES, lambda: _boot_disks(environment, desired, observed))
    yield from run_check(DATA, lambda: _data_formats(environment, desired, observed))


def _boot_disks(environment: Environment, desired: Desired, observed: Observed) -> Iterator[Finding]:
    check_boot_disks(environment, desired, observed)
    yield ok(IMAGES, "each boot disk is as large as its image needs")


def _data_formats(environment: Environment, desired: Desired, observed: Observed) -> Iterator[Finding]:
    check_data_formats(environment, desired, observed)
    yield ok(DATA, "each image reads the rows that its group's data disk has, as far as their format is recorded")


def rows(session: Session, environment: Environment) -> Iterator[Finding]:
    """Yield whether the rows of data disks are recorded, and record those of healthy groups."""
    missing = record_if_missing(session, environment, observe(session, environment.name, used_refs(environment)))
    for text in missing:
        yield Finding(DATA, State.WARNING, text)
    if not missing:
        yield ok(DATA, "the rows on data disks are recorded: an empty disk in their place is never seeded again")


def capacity(session: Session, environment: Environment) -> Iterator[Finding]:
    """Yield every quota that the environment uses, with the request to make where it would be exceeded."""
    demand = quota_demand(load_desired(environment).resources, rolling=True)
    more = additional(
        demand, quota_demand(observe(session, environment.name, used_refs(environment)).resources, rolling=False)
    )
    images = load_images(environment.project)
    missing = missing_images(session, sorted({group.image for group in environment.groups}), images)
    peak = (Counter(more) | bake_demand(missing, images)) + Counter(BAKE_QUOTAS)
    yield from judge(peak, read_quotas(session, session.cloud_id), session.cloud_id)


def bake_demand(groups: Sequence[Sequence[str]], images: Images) -> Counter[str]:
    """Return what Packer's machines and images take of each quota at their peak; each group is baked at once.

    Sizes are in bytes.
    """
    peak: Counter[str] = Counter()
    for together in groups:
        peak |= _machines_demand([images[name] for name in together])
    return peak + Counter({"compute.images.count": sum(map(len, groups))})


def _machines_demand(images: Sequence[ImageDefinition]) -> Counter[str]:
    return Counter(
        {
            "compute.instances.count": len(images),
            "compute.instanceCores.count": len(images) * CORES,
            "compute.instanceMemory.size": sum(memory_gb(image) * GIB for image in images),
            "compute.disks.count": len(images),
            "compute.ssdDisks.size": sum(disk_gb(image, SourceImage()) * GIB for image in images),
            "vpc.externalAddresses.count": len(images),
        }
    )


def additional(demand: Mapping[str, int], used: Mapping[str, int]) -> dict[str, int]:
    """Return by quota what is demanded beyond what is used."""
    return {quota: count - used.get(quota, 0) for quota, count in demand.items() if count > used.get(quota, 0)}


def judge(more: Mapping[str, int], limits: Mapping[str, Quota], cloud_id: str) -> Iterator[Finding]:
    """Yield a finding for each additional demand, by the quota's limit and usage. Pure."""
    for name, count in sorted(more.items()):
        quota = limits.get(name)
        if quota is None:
            text = f"{name}: {_shown(name, count)} more; the API does not tell this quota"
            yield Finding(QUOTAS, State.UNKNOWN, text, "see the quotas page of the console")
        elif quota.usage + count > quota.limit:
            ask = int(quota.usage + count)
            used = f"{_shown(name, quota.usage)} of {_shown(name, quota.limit)} used"
            text = f"{name}: {_shown(name, count)} more, {used}: short of {_shown(name, ask - quota.limit)}"
            yield Finding(QUOTAS, State.FAILURE, text, _request(name, ask, cloud_id))
        else:
            used = f"{_shown(name, quota.usage)} of {_shown(name, quota.limit)} used"
            yield ok(QUOTAS, f"{name}: {_shown(name, count)} more, {used}")


def _request(name: str, value: int, cloud_id: str) -> str:
    resource = f"--resource-type resource-manager.cloud --resource-id {cloud_id}"
    return f"yc quota-manager quota-request create {resource} --desired-limit quota-id={name},value={value}"


def _shown(name: str, amount: float) -> str:
    return f"{amount / GIB:g} GiB" if name.endswith(".size") else f"{amount:g}"


def read_quotas(session: Session, cloud_id: str) -> dict[str, Quota]:
    """Return the quotas of the services that the tool uses, by id. CloudError also where the cloud has no such API."""
    client = session.client(QuotaLimitServiceStub)
    services = session.list(
        client.ListServices, rpc.ListServicesRequest(resource_type=CLOUD), lambda page: page.services
    )
    limits: dict[str, Quota] = {}
    for service in sorted({each.id for each in services} & SERVICES):
        request = rpc.ListQuotaLimitsRequest(resource=Resource(id=cloud_id, type=CLOUD), service=service)
        for limit in session.list(client.List, request, lambda page: page.quota_limits):
            limits[limit.quota_id] = Quota(limit.quota_id, limit.limit.value, limit.usage.value)
    return limits
