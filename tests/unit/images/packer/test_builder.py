"""The pure parts of the Packer builder: template, bundle, output, and the owner of a leftover."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import yaml
from yandex.cloud.compute.v1.image_pb2 import Image

from samovar.cloud.connection import Access
from samovar.cloud.errors import CallFailed
from samovar.cloud.labels import of_image
from samovar.core.errors import ProcessFailed
from samovar.core.output import PlainReporter
from samovar.core.proc import process_identity
from samovar.images.bake_input import expected_of, scripts_of
from samovar.images.builders.base import Progress
from samovar.images.builders.packer import bake, builder
from samovar.images.builders.packer.bake import USER_DATA, PackerBakes
from samovar.images.builders.packer.cleanup import LIFETIME, is_over
from samovar.images.builders.packer.output import Message, PackerOutput, read_messages
from samovar.images.builders.packer.template import (
    SourceImage,
    disk_gb,
    find_source_image,
    memory_gb,
    source_family,
    template,
    write_bundle,
)
from samovar.images.checks import from_json, to_json
from samovar.images.definition import Application, digests, image_name
from samovar.images.load import load_images
from samovar.images.store import manifest_digest
from samovar.project.application import Format
from tests.support.checkout import PROJECT, ROOT
from tests.support.processes import ended_process

IMAGES = load_images(PROJECT)
DIGESTS = digests(IMAGES)
ACCESS = Access(endpoint="127.0.0.1:1", folder_id="folder-1", zone="ru-central1-b", token="t1.secret.token")


def text(name: str, source: SourceImage | None = None) -> str:
    return template(IMAGES[name], DIGESTS[name], source or source_family(IMAGES[name]), ACCESS)


def test_a_complete_image_gets_the_name_and_labels_of_the_local_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    adopted: list[tuple[str, str, dict[str, str]]] = []
    monkeypatch.setattr(bake, "adopt", lambda _, *given: adopted.append(given))
    session: Any = SimpleNamespace()
    bakes = PackerBakes(session, IMAGES, DIGESTS, session, session, PlainReporter(), Path())
    output = PackerOutput(lambda _: None)
    output.image_id, output.packages = "fd8", ["bash\t5.2"]
    assert bakes._adopt("postgres", output) == "fd8"
    name, digest = image_name("postgres", DIGESTS["postgres"]), DIGESTS["postgres"][:12]
    labels = of_image("postgres", digest, manifest_digest({"bash": "5.2"})[:12], "postgresql-17")
    assert adopted == [("fd8", name, labels)]


def test_template_has_the_names_and_labels_of_the_local_builder() -> None:
    rendered = " ".join(text("samovar-edge").split())
    digest = DIGESTS["samovar-edge"]
    for line in (
        f'default = "{image_name("samovar-edge", digest)}"',
        "image_name = var.image_name",
        'image_family = "samovar-edge"',
        f'image_description = "{digest}"',
        'managed-by = "samovar"',
        'image = "samovar-edge"',
        f'digest = "{digest[:12]}"',
    ):
        assert line in rendered


def test_source_image_is_debians_family_or_the_parent_by_id() -> None:
    base = " ".join(text("samovar-base").split())
    assert 'source_image_family = "debian-13" source_image_folder_id = "standard-images"' in base
    edge = " ".join(text("samovar-edge").split())
    assert 'source_image_family = "samovar-base" source_image_folder_id = "folder-1"' in edge
    layer = text("samovar-edge", SourceImage(id="fd8parent", name="samovar-base-1"))
    assert 'source_image_id = "fd8parent" # samovar-base-1' in layer
    assert "source_image_family" not in layer


def test_an_image_is_published_to_and_its_parent_read_from_the_images_folder() -> None:
    assert "target_image_folder_id" not in text("samovar-edge")
    image = IMAGES["samovar-edge"]
    shared = template(image, DIGESTS["samovar-edge"], source_family(image), ACCESS, "folder-2")
    assert 'target_image_folder_id = "folder-2"' in shared
    assert 'source_image_folder_id = "folder-2"' in shared
    assert 'folder_id   = "folder-1"' in shared


def test_template_has_no_secret_and_lists_its_steps() -> None:
    rendered = text("samovar-edge")
    assert "t1.secret.token" not in rendered
    assert f"packages: {', '.join(IMAGES['samovar-edge'].packages)}" in rendered
    steps = "\n#   ".join(script.name for script in scripts_of(IMAGES["samovar-edge"]))
    assert f"#   {steps}\n#   checks" in rendered
    assert not [line for line in rendered.splitlines() if line != line.rstrip()]


def test_packer_may_log_in_to_a_hardened_image_and_its_drop_in_is_removed() -> None:
    user_data = yaml.safe_load(USER_DATA.format(key="ssh-ed25519 AAAA"))
    (drop_in,) = user_data["write_files"]
    assert drop_in["content"] == "PermitRootLogin prohibit-password"
    assert f"rm -f {drop_in['path']}" in (ROOT / "samovar/images/clean.sh").read_text()
    assert 'enable-oslogin    = "false"' in text("samovar-edge")


def test_template_escapes_every_text_of_a_definition() -> None:
    evil = 'x\nlocals { evil = file("/etc/shadow") }'
    image = replace(IMAGES["samovar-edge"], description=evil, commands=((evil,),), packages=(evil,), services=(evil,))
    access = replace(ACCESS, zone='${file("/etc/shadow")}', endpoint="%{ if true }")
    rendered = template(image, DIGESTS["samovar-edge"], SourceImage(id="fd8", name=evil), access)
    assert not [line for line in rendered.splitlines() if line.startswith("locals { evil")]
    assert '= "$${file(\\"/etc/shadow\\")}"' in rendered
    assert '= "%%{ if true }"' in rendered


def test_the_disk_holds_the_source_image_and_the_machine_of_a_database_is_larger() -> None:
    assert disk_gb(IMAGES["samovar-edge"], SourceImage()) == 10
    assert disk_gb(IMAGES["samovar-edge"], SourceImage(size=10 * 2**30 + 1)) == 11
    assert disk_gb(IMAGES["postgres"], SourceImage(size=10 * 2**30)) == 32
    assert [memory_gb(IMAGES[name]) for name in ("samovar-edge", "postgres")] == [2, 4]


def test_a_root_image_takes_the_size_that_the_newest_of_its_family_needs() -> None:
    source = find_source_image(_session(Image(min_disk_size=15 * 2**30)), IMAGES, "samovar-base")
    assert (source.family, source.size) == ("debian-13", 15 * 2**30)


def test_a_root_image_starts_from_another_family_where_the_environment_names_one() -> None:
    root = find_source_image(_session(Image()), IMAGES, "samovar-base", "debian-12")
    child = source_family(IMAGES["samovar-edge"], "debian-12")
    assert (root.family, root.folder) == ("debian-12", "standard-images")
    assert (child.family, child.folder) == (source_family(IMAGES["samovar-edge"]).family, "")


def test_a_family_that_has_no_image_yet_can_be_printed() -> None:
    refused = CallFailed("ImageService.GetLatestByFamily", grpc.StatusCode.NOT_FOUND, "no such family")
    assert find_source_image(_session(refused), IMAGES, "samovar-base").size == 0


def _session(newest: Image | CallFailed) -> Any:
    def get(_: object) -> Image:
        if isinstance(newest, CallFailed):
            raise newest
        return newest

    client = SimpleNamespace(GetLatestByFamily=get, List=None)
    return SimpleNamespace(client=lambda _: client, list=lambda *_: [], folder_id="folder")


def unpacked(folder: Path) -> Path:
    there = folder / "there"
    there.mkdir()
    subprocess.run(["tar", "-xf", str(folder / "bundle.tar"), "-C", str(there)], check=True)
    return there


def test_bundle_has_the_bytes_of_the_definition(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle.tar", IMAGES["samovar-edge"], DIGESTS["samovar-edge"])
    there = unpacked(tmp_path)
    assert (there / "bake.sh").read_bytes() == (ROOT / "samovar/images/bake.sh").read_bytes()
    scripts = [file.read_bytes() for file in sorted((there / "spec/scripts").iterdir())]
    assert scripts == [script.data for script in scripts_of(IMAGES["samovar-edge"])]
    assert (there / "environment").read_text() == f"DIGEST={DIGESTS['samovar-edge']}\nSUITE=\n"


def test_bundle_has_what_a_folder_of_the_application_holds(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/run").write_text("#!/bin/sh\n")
    application = Application("/opt/shop", "0" * 64, Format.TARBALL, path=tmp_path / "app")
    image = replace(IMAGES["samovar-edge"], application=application)
    write_bundle(tmp_path / "bundle.tar", image, DIGESTS["samovar-edge"])
    with tarfile.open(unpacked(tmp_path) / "spec/application.tar") as tar:
        assert tar.getnames() == ["opt/shop/run"]


def test_machine_has_memory_for_what_is_unpacked_and_for_nothing_else() -> None:
    image = replace(
        IMAGES["samovar-edge"], application=Application("/opt/shop", "0" * 64, Format.OCI, url="docker://x")
    )
    large = template(image, DIGESTS["samovar-edge"], source_family(image), ACCESS)
    assert (memory_gb(image), "remount,size=80% /run" in large) == (4, True)
    assert (memory_gb(IMAGES["samovar-edge"]), "remount" in text("samovar-edge")) == (2, False)


def test_bundled_checks_need_the_standard_library_alone(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle.tar", replace(IMAGES["samovar-edge"], commands=()), DIGESTS["samovar-edge"])
    there = unpacked(tmp_path)
    argv = ["/usr/bin/python3", "-I", "-c", "import sys; sys.path.insert(0, sys.argv[1]); import samovar.images.checks"]
    subprocess.run([*argv, str(there / "lib")], check=True, cwd=there)


def test_read_messages_reads_packers_lines() -> None:
    line = "1700000000,,ui,say,==> yandex.nginx: Creating disk..."
    assert read_messages(line) == (Message(1700000000, "say", "Creating disk..."),)
    line = "1700000001,,ui,message,    yandex.nginx: a%!(PACKER_COMMA) b\\n    yandex.nginx: c"
    assert [rendered.text for rendered in read_messages(line)] == ["a, b", "c"]
    assert read_messages("1700000001,yandex.nginx,artifact,0,id,fd8") == ()
    assert read_messages("no line of packer") == ()


def test_a_failed_script_is_reported_as_by_the_local_builder(tmp_path: Path) -> None:
    with Progress("nginx", "trixie", PlainReporter()) as progress:
        output = PackerOutput(progress.read)
        for rendered in ("::step broken.sh", ":::run false because", "last words", "::exit 3"):
            output.read(f"1,,ui,message,    yandex.nginx: {rendered}")
        output.read("1,,ui,error,==> yandex.nginx: Script exited with non-zero exit status: 3")
        for rendered in ("Provisioning step had errors: Running the cleanup provisioner", "Destroying instance..."):
            output.read(f"1,,ui,say,==> yandex.nginx: {rendered}")
        output.read("1,,ui,say,\\n==> Builds finished but no artifacts were created.")
    error = progress.explained(ProcessFailed("packer", returncode=1, output=""), tmp_path / "log")
    assert error.message.startswith("image nginx: broken.sh: `false because` ended with 3\n  | last words")
    assert error.returncode == 3


def test_a_repeated_error_is_reported_once(tmp_path: Path) -> None:
    with Progress("nginx", "trixie", PlainReporter()) as progress:
        output = PackerOutput(progress.read)
        output.read("1,,ui,say,==> yandex.nginx: Stopping instance...")
        for rendered in ("Error stopping instance: Unavailable", "Error stopping instance: Unavailable"):
            output.read(f"1,,ui,error,==> yandex.nginx: {rendered}")
        output.read('1,,ui,error,==> yandex.nginx: Step "StepTeardownInstance" failed%!(PACKER_COMMA) aborting...')
        output.read('1,,ui,error,==> yandex.nginx: aborted: skipping cleanup of step "StepProvision"')
    error = progress.explained(ProcessFailed("packer", returncode=1, output=""), tmp_path / "log")
    assert error.message == (
        "image nginx: stop: `packer: Stopping instance` ended with 1\n  | Error stopping instance: Unavailable"
    )


@pytest.mark.parametrize("age", [0, LIFETIME - 1])
def test_is_over_when_the_process_has_ended(age: float) -> None:
    assert not is_over(process_identity(), age)
    ended = ended_process()
    assert is_over(ended, age)
    assert not is_over(f"{'0' * 16}-{ended.partition('-')[2]}", age)


def test_is_over_after_the_lifetime() -> None:
    assert is_over(f"elsewhere-{os.getpid()}", LIFETIME + 1)
    assert is_over("", LIFETIME + 1)
    assert not is_over("", 10)


def test_expectations_survive_json() -> None:
    expected = expected_of(IMAGES["samovar-edge"])
    assert from_json(to_json(expected)) == expected
    assert json.loads(to_json(expected))["packages"] == list(IMAGES["samovar-edge"].packages)


def test_folders_of_a_killed_bake_are_removed_with_their_key(tmp_path: Path) -> None:
    for name in ("nginx-0123456789ab", "templates"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").touch()
    (tmp_path / "lock").touch()
    builder._remove_old_folders(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "templates"]
