"""Images of tests: without content, for simulated machines; and what a baked one holds, looked at without a machine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from yandex.cloud.compute.v1.image_service_pb2 import CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub

from samovar.cloud.labels import of_image
from samovar.cloud.session import Session
from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.rollout import load_desired
from samovar.images.store import BakedImage
from samovar.project.environment import Environment

URI = "https://storage.example/image.raw"
LIST = r"""
mount -o ro,loop "$1" /mnt && cd /mnt
find . -mindepth 1 -printf '%y %m %U:%G %l\t%P\n'
echo
find . -type f -print0 | sort -z | xargs -0 sha256sum
"""


def publish_empty(session: Session, environment: Environment) -> None:
    """Publish the images that `bake --env` would publish, without their content."""
    desired = load_desired(environment)
    groups = ((each.group, each.spec) for each in desired.resources if isinstance(each.spec, InstanceGroup))
    for name, group in {spec.template.image: group for group, spec in groups}.items():
        image, _, digest = name.removeprefix("samovar-").rpartition("-")
        labels = of_image(image, digest, digest, dict(desired.data_formats)[group])
        request = CreateImageRequest(folder_id=session.folder_id, name=name, labels=labels, uri=URI)
        session.finish(session.client(ImageServiceStub).Create(request), what=name)


def inside(image: BakedImage, command: str) -> str:
    """Run a shell command in the image, which is mounted for it alone, and return its stdout."""
    mount = 'mount -o ro,loop "$1" /mnt && exec chroot /mnt sh -c "$2"'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", str(image.raw), command]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


@dataclass(frozen=True)
class Entry:
    """A file, folder or link: its kind, mode, owner and target, and a file's sha256."""

    about: str
    digest: str = ""


def image_files(raw: Path) -> dict[str, Entry]:
    """Return the entries of an image by path; it is mounted for that alone."""
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", LIST, "sh", str(raw)]
    output = subprocess.run(argv, capture_output=True, check=True, timeout=600).stdout.decode(errors="surrogateescape")
    listed, _, sums = output.partition("\n\n")
    digests = {path.removeprefix("./"): digest for digest, _, path in (s.partition("  ") for s in sums.splitlines())}
    rows = (line.partition("\t") for line in listed.splitlines())
    return {path: Entry(about.strip(), digests.get(path, "")) for about, _, path in rows}


def differences(one: dict[str, Entry], other: dict[str, Entry]) -> dict[str, tuple[Entry | None, Entry | None]]:
    """Return the paths at which two images differ, with the entry of each."""
    return {
        path: (one.get(path), other.get(path))
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    }
