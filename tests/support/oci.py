"""OCI images that a test makes with umoci, from a package of Debian; and Debian's registry on a port of loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.https import make_certificate
from tests.support.ports import free_port
from tests.support.wait import wait_until

TAG = "it"
REGISTRY = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {storage}}}}}
http: {{addr: "127.0.0.1:{port}", tls: {{certificate: {certificate}, key: {key}}}}}
"""


@dataclass(frozen=True)
class Layout:
    """A layout that is made layer by layer."""

    folder: Path

    @property
    def digest(self) -> str:
        """Return the digest of its image, in hex."""
        index = json.loads((self.folder / "index.json").read_text())
        return str(index["manifests"][0]["digest"]).removeprefix("sha256:")

    def add_layer(self, change: Callable[[Path], None]) -> None:
        """Change the file tree as a build step does; what differs becomes a layer."""
        bundle = self.folder.with_name("bundle")
        umoci("unpack", "--image", f"{self.folder}:{TAG}", str(bundle))
        change(bundle / "rootfs")
        umoci("repack", "--image", f"{self.folder}:{TAG}", str(bundle))
        shutil.rmtree(bundle)

    def configure(self, *words: str) -> None:
        """Set what the image says of its process."""
        umoci("config", "--image", f"{self.folder}:{TAG}", *words)

    def unpacked(self, folder: Path) -> Path:
        """Return its file tree as umoci unpacks it."""
        umoci("unpack", "--image", f"{self.folder}:{TAG}", str(folder))
        return folder / "rootfs"

    def archive(self, file: Path) -> Path:
        """Return an archive of it."""
        run("skopeo", "copy", "--quiet", f"oci:{self.folder}:{TAG}", f"oci-archive:{file}")
        return file


def new_layout(folder: Path, architecture: str = "amd64") -> Layout:
    """Make a layout with an image that has no layer."""
    umoci("init", "--layout", str(folder))
    umoci("new", "--image", f"{folder}:{TAG}")
    layout = Layout(folder)
    layout.configure("--os", "linux", "--architecture", architecture)
    return layout


def busybox(folder: Path) -> Path:
    """Return a program of Debian's that needs nothing beside it."""
    (program,) = unpacked_package("busybox-static", folder).glob("**/bin/busybox")
    return program


def unpacked_package(name: str, folder: Path) -> Path:
    """Return the file tree of a package, which is not installed."""
    tree = folder / name
    tree.mkdir()
    subprocess.run(["apt-get", "-q", "download", name], cwd=tree, check=True, capture_output=True, timeout=300)
    (package,) = tree.glob("*.deb")
    run("dpkg-deb", "--extract", str(package), str(tree))
    return tree


@contextmanager
def registry(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run Debian's docker-registry; gives its address and the certificate to trust."""
    program = unpacked_package("docker-registry", folder) / "usr/bin/docker-registry"
    certificate, port = make_certificate(folder), free_port()
    places = {"storage": folder / "storage", "certificate": certificate, "key": certificate.with_name("key.pem")}
    (folder / "registry.yml").write_text(REGISTRY.format(port=port, **places))
    with (folder / "registry.log").open("w") as log:
        process = subprocess.Popen([program, "serve", folder / "registry.yml"], stdout=log, stderr=log)
    try:
        wait_until("the registry listens", lambda: "listening on" in (folder / "registry.log").read_text(), timeout=30)
        yield f"127.0.0.1:{port}", certificate
    finally:
        process.terminate()
        process.wait(timeout=30)


def push(layout: Layout, reference: str, certificate: Path) -> None:
    """Put its image into a registry, as it is."""
    target = ("--preserve-digests", f"oci:{layout.folder}:{TAG}", f"docker://{reference}")
    run("skopeo", "copy", "--quiet", *target, SSL_CERT_FILE=str(certificate))


def umoci(*words: str) -> None:
    run("umoci", *words)


def run(*command: str, **environment: str) -> None:
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
    )
    assert ended.returncode == 0, f"{command}: {ended.stderr}"
