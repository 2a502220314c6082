"""Images of another folder: they are published and looked up there, and machines are made from them by a role."""

from __future__ import annotations

from pathlib import Path

import pytest
from yandex.cloud.access.access_pb2 import ListAccessBindingsRequest, SetAccessBindingsRequest
from yandex.cloud.compute.v1.image_service_pb2 import ListImagesRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_service_pb2 import DeleteInstanceRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import CreateFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.core.errors import ConfigError
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.preconditions import check_folder
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.resources.role_grants import IMAGES_USER
from samovar.images.publish import delete, publish, published, unused
from samovar.images.store import BakedImage
from samovar.project.environment import Environment
from samovar.project.environment_options import ImageOptions
from tests.support.checkout import ROOT, environment
from tests.support.environments import changed
from tests.support.service import Service
from tests.support.simulated import RunningCloud

DIGEST = "ab" * 32


@pytest.fixture
def folder(cloud: RunningCloud) -> str:
    request = CreateFolderRequest(cloud_id=cloud.endpoint.cloud_id, name="images")
    operation = FolderServiceStub(cloud.channel()).Create(request)
    return Folder.FromString(operation.response.value).id


@pytest.fixture
def service(cloud: RunningCloud, folder: str) -> Service:
    return Service(cloud, images_folder=folder)


@pytest.fixture
def dev(folder: str) -> Environment:
    return changed(environment("dev"), images=ImageOptions(folder_id=folder))


def image_users(service: Service, folder: str) -> set[str]:
    request = ListAccessBindingsRequest(resource_id=folder)
    bindings = service.session.client(FolderServiceStub).ListAccessBindings(request).access_bindings
    return {binding.subject.id for binding in bindings if binding.role_id == IMAGES_USER}


def test_an_image_is_published_in_the_images_folder_of_the_environment(
    service: Service, folder: str, tmp_path: Path
) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(b"\1" * (4 << 20))
    image = publish(service.session, BakedImage("web", DIGEST, raw, raw.stat().st_size, {}, "rows-1"))
    assert (image.name, "rows-1") in {(each.name, each.data_format) for each in published(service.session)}
    images = service.session.client(ImageServiceStub)
    assert image.id in {each.id for each in images.List(ListImagesRequest(folder_id=folder)).images}
    own = images.List(ListImagesRequest(folder_id=service.session.folder_id)).images
    assert {each.name for each in own}.isdisjoint({image.name, *service.names.values()})
    delete(service.session, image)


def test_the_group_services_account_may_use_the_images_while_the_environment_is_there(
    service: Service, dev: Environment, folder: str
) -> None:
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()
    account = service.ids(dev)[Ref(Kind.SERVICE_ACCOUNT, "dev-groups")]
    assert image_users(service, folder) == {account}
    service.machine("dev-nginx-1")
    # Of machines in other folders too: what they are made from is not unused.
    service.session.folder_id = folder
    assert [each.image for each in unused(service.session, ())] == ["postgres"]
    service.session.folder_id = service.session.access.folder_id
    service.destroy(dev, delete_data=True)
    assert image_users(service, folder) == set()


def test_a_role_that_was_taken_shows_in_the_plan_and_in_the_status(
    service: Service, dev: Environment, folder: str
) -> None:
    service.roll_out(dev)
    machine = service.machine("dev-nginx-1")
    no_bindings = SetAccessBindingsRequest(resource_id=folder, access_bindings=[])
    service.session.client(FolderServiceStub).SetAccessBindings(no_bindings)
    (step,) = service.plan(dev).all_steps
    assert step.reason == f"images_folders: none -> {folder}"
    service.session.client(InstanceServiceStub).Delete(DeleteInstanceRequest(instance_id=machine.id))

    def message() -> str | Pending:
        status = read_status(service.session, dev)
        texts = [each.message for group in status.groups for each in group.machines if each.message]
        return next((text for text in texts if "compute.images.user" in text), Pending("no message"))

    assert f"on Folder {folder}" in wait_for("the refusal shows", message, timeout=30)
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()


def test_the_role_is_taken_when_the_file_names_the_folder_no_more(
    service: Service, dev: Environment, folder: str
) -> None:
    service.roll_out(dev)
    own = changed(dev, images=None)
    (step,) = service.plan(own).all_steps
    assert (step.ref, step.reason) == (Ref(Kind.SERVICE_ACCOUNT, "dev-groups"), f"images_folders: {folder} -> none")
    service.roll_out(own)
    assert image_users(service, folder) == set()
    assert service.plan(own).all_steps == ()


def test_the_environments_own_folder_is_refused_with_its_line(service: Service, tmp_path: Path) -> None:
    text = (ROOT / "envs/dev/config.yaml").read_text()
    (tmp_path / "dev").mkdir()
    path = tmp_path / "dev/config.yaml"
    path.write_text(f"images: {{folder_id: {service.session.folder_id}}}\n{text}")
    with pytest.raises(ConfigError, match="own folder") as error:
        check_folder(service.session, environment("dev", tmp_path))
    assert error.value.message.startswith(f"{path}:1: images.folder_id: ")
