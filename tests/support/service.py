"""Environments of the whole service, carried out on the real API over a simulated host."""

from __future__ import annotations

from pathlib import Path

from yandex.cloud.compute.v1 import instance_service_pb2
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.lockbox.v1 import payload_service_pb2
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub

from samovar.cloud.connection import Access
from samovar.cloud.labels import of_image
from samovar.cloud.session import Session
from samovar.cloudinit.metadata import Api
from samovar.core.output import PlainReporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.apply import apply
from samovar.deploy.existing import existing_ranges, used_refs
from samovar.deploy.observe import observe
from samovar.deploy.plan import Plan, destruction, plan
from samovar.deploy.resources.resource import Kind, Observed, Ref
from samovar.deploy.rollout import Prepared, tear_down
from samovar.images.definition import family
from samovar.project.environment import Environment
from tests.support.environments import desired_of
from tests.support.simulated import RunningCloud

DIGEST = "0123456789ab"
IMAGES = ("samovar-edge", "bingo", "postgres", "postgres-small")
RECORD = Ref(Kind.SEED_RECORD, "dev-postgres-seeded")
DISK = Ref(Kind.DISK, "dev-postgres-data")
API = Api("https://api.internal", "-----BEGIN CERTIFICATE-----\n")


class Service:
    """Environments of the whole service in one cloud."""

    def __init__(self, cloud: RunningCloud, images_folder: str = "") -> None:
        ends, self.home = cloud.endpoint, cloud.home
        self.session = Session(
            Access(endpoint=ends.grpc, folder_id=ends.folder_id, ca=Path(ends.ca), token=ends.token, local=True)
        )
        self.session.images_folder_id = images_folder or ends.folder_id
        self.names = {name: f"{family(name)}-{DIGEST}" for name in IMAGES}
        for name, full in self.names.items():
            (cloud.home.uploads / f"{DIGEST}.raw").write_bytes(b"\0" * (4 << 20))
            request = CreateImageRequest(
                folder_id=self.session.images_folder_id,
                name=full,
                labels=of_image(name, DIGEST, DIGEST),
                uri=f"https://{ends.rest}/storage/images/{DIGEST}.raw",
            )
            self.session.finish(self.session.client(ImageServiceStub).Create(request), what=full)

    def plan(self, environment: Environment) -> Plan:
        ranges = existing_ranges(self.session, environment)
        return plan(desired_of(environment, self.names, API, ranges), self.observed(environment))

    def observed(self, environment: Environment) -> Observed:
        return observe(self.session, environment.name, used_refs(environment))

    def roll_out(self, environment: Environment) -> None:
        apply(self.session, self.plan(environment), self.observed(environment), PlainReporter())

    def destroy(self, environment: Environment, *, delete_data: bool = False, keep_addresses: bool = False) -> None:
        observed = self.observed(environment)
        steps = destruction(observed, delete_data=delete_data, keep_addresses=keep_addresses)
        tear_down(self.session, Prepared(steps, observed), PlainReporter())

    def ids(self, environment: Environment) -> dict[Ref, str]:
        return self.observed(environment).ids()

    def payload(self, secret_id: str) -> str:
        """Return the text of its one entry."""
        request = payload_service_pb2.GetPayloadRequest(secret_id=secret_id)
        (entry,) = self.session.client(PayloadServiceStub).Get(request).entries
        return str(entry.text_value)

    def instances(self) -> list[Instance]:
        request = instance_service_pb2.ListInstancesRequest(folder_id=self.session.folder_id)
        actual = self.session.list(self.session.client(InstanceServiceStub).List, request, lambda page: page.instances)
        return [self._read_full(instance.id) for instance in actual]

    def machine(self, name: str) -> Instance:
        def probe() -> Instance | Pending:
            actual = [instance for instance in self.instances() if instance.name == name]
            return actual[0] if actual else Pending(f"no {name}")

        return wait_for(name, probe, timeout=60)

    def _read_full(self, instance_id: str) -> Instance:
        request = instance_service_pb2.GetInstanceRequest(
            instance_id=instance_id, view=instance_service_pb2.InstanceView.FULL
        )
        instance: Instance = self.session.client(InstanceServiceStub).Get(request)
        return instance
