"""`cloud: yandex` from an empty folder to a healthy environment and back, as a user who is not root.

And what the Packer builder makes, refuses, and leaves behind. The cloud is a second local one, of which the user has
the key alone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import image_service_pb2 as images
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.core.errors import ExitCode, ProcessFailed
from samovar.core.output import PlainReporter
from samovar.images.builders import local
from samovar.images.builders.local import bake_local
from samovar.images.builders.packer.builder import bake_packer
from samovar.images.definition import SHORT
from samovar.images.publish import Published, published
from samovar.images.store import Store, default_store, manifest_digest, parse_packages
from tests.support.checkout import PROJECT, ROOT, empty_project, project_in
from tests.support.images import differences, image_files
from tests.support.oci import new_layout
from tests.support.packer import toolchain_or_skip
from tests.support.remote_user import RemoteUser
from tests.support.tool import TIMEOUT, Cli

pytestmark = pytest.mark.long

PROGRAM = """
import sys
from pathlib import Path
from samovar.cloud.session import Session
from samovar.cloud.credentials import find_access
from samovar.images.builders.packer import cleanup
from samovar.images.builders.packer.builder import bake_packer
from samovar.core.output import PlainReporter
from tests.support.checkout import project_in
import os

cleanup.RECONNECT_TIMEOUT = float(sys.argv[2])
session = Session(find_access(os.environ, home=Path("/nonexistent")))
bake_packer(session, project_in(Path(sys.argv[1])), ["slow"], reporter=PlainReporter())
"""
SCRIPT = "slow: step.sh ..."
ALLOWED = {"var/cache/ldconfig/aux-cache": "ldconfig's notes on the inodes and times of the libraries that it saw"}
"""Paths in which the two builders' images may differ, each with its reason."""


@pytest.fixture(scope="module")
def user() -> Iterator[RemoteUser]:
    """Yield a user without root, with `dev` for Yandex Cloud and its images, which Packer has baked."""
    toolchain_or_skip()
    folder = Path(tempfile.mkdtemp(prefix="samovar-second-"))  # pytest's own folders are shut to others
    folder.chmod(0o755)
    user = RemoteUser(Cli(folder / "home", folder / "none"), folder / "user")
    user.owner.run("cloud", "up")
    try:
        user.set_up()
        config = (ROOT / "tests/envs/edges/config.yaml").read_text().replace("cloud: local", "cloud: yandex")
        config = config.replace("disk: 5G", "disk: 10G")  # what Packer bakes is as large as its source image
        (user.folder / "envs/dev").mkdir()
        (user.folder / "envs/dev/config.yaml").write_text(config)
        assert everything(user) == []
        user.run("bake", "--env", "dev")
        yield user
    finally:
        user.owner.run("cloud", "down", check=False)
        shutil.rmtree(folder)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project of the test's own."""
    return empty_project(tmp_path / "repository")


def everything(user: RemoteUser) -> list[str]:
    """Return the names of the machines, disks, networks and images in the folder."""
    session, folder = user.session(), user.session().folder_id
    calls: list[tuple[type[Any], Any, str]] = [
        (InstanceServiceStub, instances.ListInstancesRequest(folder_id=folder), "instances"),
        (DiskServiceStub, disks.ListDisksRequest(folder_id=folder), "disks"),
        (NetworkServiceStub, networks.ListNetworksRequest(folder_id=folder), "networks"),
        (ImageServiceStub, images.ListImagesRequest(folder_id=folder), "images"),
    ]
    return [
        message.name
        for stub, request, field in calls
        for message in session.list(session.client(stub).List, request, attrgetter(field))
    ]


def image(user: RemoteUser, name: str) -> Published:
    (baked,) = [each for each in published(user.session()) if each.image == name]
    return baked


def raw(user: RemoteUser, name: str) -> Path:
    return user.owner.home / "images" / f"{image(user, name).id}.raw"


def add(root: Path, name: str, script: str) -> None:
    folder = root / "images" / name
    folder.mkdir()
    (folder / "image.yaml").write_text("description: a test\nparent: samovar/base\nscripts: [step.sh]\n")
    (folder / "step.sh").write_text(script)


def test_images_have_names_and_labels_of_the_local_builder(user: RemoteUser) -> None:
    edge = image(user, "samovar-edge")
    assert edge.name == f"samovar-edge-{edge.digest}"
    packages = tree_packages(raw(user, "samovar-edge"))
    assert edge.manifest == manifest_digest(packages)[:SHORT]
    assert sorted(everything(user)) == sorted(each.name for each in published(user.session()))


def test_a_printed_template_passes_packer_validate(user: RemoteUser, tmp_path: Path) -> None:
    file = tmp_path / "edge.pkr.hcl"
    file.write_text(user.run("bake", "--cloud", "yandex", "--print-template", "samovar/edge").stdout)
    clients = toolchain_or_skip()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **user.variables, **clients.environment()}
    argv = [str(clients.packer), "validate", str(file)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "The configuration is valid.\n"), done.stdout + done.stderr


def test_a_baked_image_is_not_baked_again(user: RemoteUser) -> None:
    began = time.monotonic()
    assert "nothing to do" in user.run("bake", "--env", "dev").stderr
    assert time.monotonic() - began < 60


def test_doctor_finds_nothing_wrong(user: RemoteUser) -> None:
    report = user.json("doctor", "dev")
    assert report["healthy"], report


def test_the_local_builder_is_rejected(user: RemoteUser) -> None:
    done = user.run("bake", "--env", "dev", "--builder", "local", check=False)
    assert done.code == ExitCode.CONFIG
    assert "Packer" in done.stderr


def test_both_builders_make_the_same_image(user: RemoteUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the same packages and versions, files with mode, owner and digest, enabled units, and users."""
    parent, theirs = image(user, "samovar-base"), raw(user, "samovar-edge")
    by_packer = raw(user, "samovar-base")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store: Store = default_store()
    store.folder.mkdir(parents=True)
    shutil.copy(by_packer, store.raw("samovar-base", parent.digest))
    store.raw("samovar-base", parent.digest).with_suffix(".json").write_text("{}")
    monkeypatch.setattr(local, "default_store", lambda: store)
    (ours,) = bake_local(PROJECT, ["samovar-edge"], reporter=PlainReporter())
    unexpected = {
        path: pair
        for path, pair in differences(image_files(ours.raw), image_files(theirs)).items()
        if path not in ALLOWED
    }
    assert unexpected == {}
    assert ours.manifest_digest[:SHORT] == image(user, "samovar-edge").manifest


def test_an_environment_becomes_healthy_and_is_removed(user: RemoteUser) -> None:
    before = everything(user)
    user.run("rollout", "dev", "--yes")
    status = user.json("status", "dev")
    assert status["healthy"]
    assert set(re.findall(r"'pid': (\w+)", str(status["groups"]))) == {"None"}  # the host knows them
    user.run("destroy", "dev", "--yes")
    assert everything(user) == before


def test_an_oci_image_is_unpacked_on_the_machine(user: RemoteUser, repository: Path, tmp_path: Path) -> None:
    layout = new_layout(tmp_path / "layout")
    layout.add_layer(add_program)
    layout.configure("--config.entrypoint", "app", "--config.user", "4321:4322")
    folder = repository / "images/shop"
    folder.mkdir()
    layout.archive(folder / "shop.tar")
    reference = f"./shop.tar@sha256:{layout.digest}"
    (folder / "image.yaml").write_text(
        f"description: a test\nparent: samovar/base\napplication: {{oci: '{reference}'}}\n"
    )
    bake_packer(user.session(), project_in(repository), ["shop"], reporter=PlainReporter())
    files = image_files(raw(user, "shop"))
    assert {"opt/shop/usr/bin/app", "etc/systemd/system/shop.service"} <= {path.lstrip("/") for path in files}


def add_program(root: Path) -> None:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/app").write_text("#!/bin/sh\n")
    (root / "usr/bin/app").chmod(0o755)


@contextmanager
def slow_bake(
    user: RemoteUser, repository: Path, seconds: int = 313, *, until: str = SCRIPT, api_timeout: float = TIMEOUT
) -> Iterator[subprocess.Popen[str]]:
    """A bake whose script takes so long, once it has printed `until`; its output after that can be read."""
    add(repository, "slow", f"sleep {seconds}\n")
    interruptible = ["env", "--default-signal=INT"]  # who runs the tests in the background has it ignored
    argv = [*interruptible, sys.executable, "-c", PROGRAM, str(repository), str(api_timeout)]
    environment = {**os.environ, **user.variables, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as bake:
        try:
            assert bake.stderr
            assert any(line.startswith(until) for line in bake.stderr)
            yield bake
            bake.wait(timeout=120)
        finally:
            bake.kill()


def test_an_interrupted_bake_leaves_nothing(user: RemoteUser, repository: Path) -> None:
    before = everything(user)
    with slow_bake(user, repository) as bake:
        bake.send_signal(signal.SIGINT)
        assert bake.stderr
        output = bake.stderr.read()
    assert "nothing of this bake is left in the cloud" in output
    assert everything(user) == before


def test_the_next_bake_removes_what_a_killed_one_left_and_reports_a_script_that_fails(
    user: RemoteUser, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(user)
    with slow_bake(user, repository) as bake:
        bake.kill()
    (repository / "images/slow/step.sh").write_text("echo last words >&2\nfalse because of this\n")
    with pytest.raises(ProcessFailed) as caught:
        bake_packer(user.session(), project_in(repository), ["slow"], reporter=PlainReporter())
    assert "image slow: step.sh: `false because of this` ended with 1" in caught.value.message
    assert "last words" in Path(caught.value.remedy.split()[-1]).read_text()
    assert "nothing of this bake is left in the cloud" in capsys.readouterr().err
    assert everything(user) == before


def test_a_lost_machine_ends_the_bake(user: RemoteUser, repository: Path) -> None:
    before = everything(user)
    with slow_bake(user, repository) as bake:
        machines = {name for name in everything(user) if name.startswith("samovar-bake-slow")}
        user.owner.run("cloud", "kill", machines.pop())
        assert bake.stderr
        output = bake.stderr.read()
    assert bake.returncode != 0
    assert "nothing of this bake is left in the cloud" in output
    assert everything(user) == before


def lose_the_api(user: RemoteUser) -> None:
    os.kill(user.owner.endpoint()["pid"], signal.SIGKILL)


def test_a_lost_api_is_reported_with_what_is_left(user: RemoteUser, repository: Path) -> None:
    before = everything(user)
    try:
        with slow_bake(user, repository, 2, api_timeout=8) as bake:
            lose_the_api(user)
            assert bake.stderr
            output = bake.stderr.read()
    finally:
        user.owner.run("cloud", "up")
    left = [name for name in everything(user) if name not in before]
    assert sorted({name.rpartition("-")[0] for name in left}) == ["samovar", "samovar-bake-slow"]
    assert bake.returncode != 0
    assert "image slow: stop: `packer: Stopping instance` ended with 1" in output
    assert f"{user.variables['YC_ENDPOINT']}: what this bake made could not be removed" in output
    assert [name for name in left if name not in output] == []
    assert "remedy: bake again once the API answers" in output
    (repository / "images/slow/step.sh").write_text("false\n")
    with pytest.raises(ProcessFailed):
        bake_packer(user.session(), project_in(repository), ["slow"], reporter=PlainReporter())
    assert everything(user) == before


def test_an_api_that_comes_back_leaves_an_image_or_nothing(user: RemoteUser, repository: Path) -> None:
    before = everything(user)
    with slow_bake(user, repository, 1, until="slow: stop ...") as bake:
        lose_the_api(user)
        user.owner.run("cloud", "up")
        assert bake.stderr
        output = bake.stderr.read()
    created = [name for name in everything(user) if name not in before]
    assert [name.rpartition("-")[0] for name in created] == (["samovar-slow"] if bake.returncode == 0 else []), output
    assert created or "nothing of this bake is left in the cloud" in output


def tree_packages(file: Path) -> dict[str, str]:
    mount = 'mount -o ro,loop "$1" /mnt && cat /mnt/usr/share/samovar/packages'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", str(file)]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    return dict(parse_packages(listed))
