"""Image storage: what has a name there is what the name says, and it goes once an image is made of it."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from pathlib import Path

import grpc
import pytest
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub

from tests.support.simulated import RunningCloud

CONTENT = b"".join((b"ext4", bytes(8 << 20), b"end", bytes(1 << 20)))


def name_of(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}.raw"


def connect(cloud: RunningCloud) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=cloud.endpoint.ca)
    host, _, port = cloud.endpoint.rest.partition(":")
    return http.client.HTTPSConnection(host, int(port), context=context, timeout=20)


def ask(cloud: RunningCloud, verb: str, name: str, body: bytes | None = None) -> tuple[int, str]:
    connection = connect(cloud)
    headers = {"Authorization": f"Bearer {cloud.endpoint.token}"}
    connection.request(verb, f"/storage/images/{name}", body, headers)
    answer = connection.getresponse()
    status, text = answer.status, answer.read().decode()
    connection.close()
    return status, text


def uploads(cloud: RunningCloud) -> list[Path]:
    return list(cloud.home.uploads.iterdir())


def create(cloud: RunningCloud, name: str) -> Image:
    request = CreateImageRequest(
        folder_id=cloud.endpoint.folder_id, uri=f"https://{cloud.endpoint.rest}/storage/images/{name}"
    )
    return Image.FromString(ImageServiceStub(cloud.channel()).Create(request).response.value)


@pytest.mark.parametrize("name", [name_of(CONTENT), f"{name_of(CONTENT)[:12]}.raw"])
def test_a_complete_upload_is_kept_and_private(cloud: RunningCloud, name: str) -> None:
    assert ask(cloud, "HEAD", name)[0] == 404
    assert ask(cloud, "PUT", name, CONTENT)[0] == 201
    assert ask(cloud, "PUT", name, CONTENT)[0] == 200
    assert ask(cloud, "HEAD", name)[0] == 200
    (file,) = uploads(cloud)
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_blocks * 512 < len(CONTENT) // 2


def test_an_upload_of_another_digest_than_its_name_is_refused_and_not_kept(cloud: RunningCloud) -> None:
    status, text = ask(cloud, "PUT", f"{'d' * 64}.raw", CONTENT)
    assert status == 400
    assert hashlib.sha256(CONTENT).hexdigest() in text
    assert uploads(cloud) == []


def test_a_wrong_file_under_a_right_name_is_not_there_and_is_replaced(cloud: RunningCloud) -> None:
    """A power cut leaves such a file under a version that did not sync."""
    file = cloud.home.uploads / name_of(CONTENT)
    file.write_bytes(bytes(len(CONTENT)))
    assert ask(cloud, "HEAD", file.name)[0] == 404
    assert ask(cloud, "PUT", file.name, CONTENT)[0] == 201
    assert file.read_bytes() == CONTENT


def test_an_upload_that_breaks_off_leaves_nothing(cloud: RunningCloud) -> None:
    connection = connect(cloud)
    connection.putrequest("PUT", f"/storage/images/{name_of(CONTENT)}")
    connection.putheader("Authorization", f"Bearer {cloud.endpoint.token}")
    connection.putheader("Content-Length", str(len(CONTENT)))
    connection.endheaders(CONTENT[: 1 << 20])
    connection.close()
    assert ask(cloud, "PUT", name_of(b"x"), b"x")[0] == 201
    assert [file.name for file in uploads(cloud)] == [name_of(b"x")]


def test_an_upload_is_deleted_once_its_image_exists(cloud: RunningCloud) -> None:
    name = name_of(CONTENT)
    assert ask(cloud, "PUT", name, CONTENT)[0] == 201
    image = create(cloud, name)
    assert uploads(cloud) == []
    file = cloud.home.image(image.id)
    assert file.read_bytes() == CONTENT
    assert file.stat().st_nlink == 1
    with pytest.raises(grpc.RpcError, match="is not in this cloud's storage"):
        create(cloud, name)
