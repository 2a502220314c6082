"""Images for a cloud whose machines are simulated: names and labels as the tool looks for them, and nothing in them."""

from __future__ import annotations

from yandex.cloud.compute.v1.image_service_pb2 import CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub

from samovar.cloud.labels import of_image
from samovar.cloud.session import Session
from samovar.deploy.rollout import image_names, load_desired
from samovar.project.environment import Environment

URI = "https://storage.example/image.raw"


def publish_empty(session: Session, environment: Environment) -> None:
    """What `bake --env` publishes, but for the content."""
    for name in sorted(image_names(load_desired(environment))):
        image, _, digest = name.removeprefix("samovar-").rpartition("-")
        request = CreateImageRequest(
            folder_id=session.folder_id, name=name, labels=of_image(image, digest, digest), uri=URI
        )
        session.finish(session.client(ImageServiceStub).Create(request), what=name)
