"""The Packer builder's pure parts: the template, the parcel, what Packer's output says, whose a leftover is."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from samovar.cloud.connection import Access
from samovar.core.errors import ProcessFailed
from samovar.core.output import PlainReporter
from samovar.images.bake_input import expected_of, scripts_of
from samovar.images.builders.base import Progress
from samovar.images.checks import from_json, to_json
from samovar.images.digest import digests, image_name
from samovar.images.load import load_images
from samovar.images.packer import builder
from samovar.images.packer.owner import LIFETIME, holder, is_over
from samovar.images.packer.packer_output import Readout, Said, read_line
from samovar.images.packer.source_image import Origin, standard_origin
from samovar.images.packer.template import disk_gb, template
from samovar.images.packer.upload_bundle import write_parcel
from tests.support.checkout import PROJECT, ROOT
from tests.support.process import ended_process

IMAGES = load_images(PROJECT)
DIGESTS = digests(IMAGES)
ACCESS = Access(endpoint="127.0.0.1:1", folder_id="folder-1", zone="ru-central1-b", token="t1.secret.token")


def text(name: str, origin: Origin | None = None) -> str:
    return template(IMAGES[name], DIGESTS[name], origin or standard_origin(IMAGES[name]), ACCESS)


def test_the_image_has_the_names_and_labels_of_the_local_builders() -> None:
    said = " ".join(text("nginx").split())
    digest = DIGESTS["nginx"]
    for wanted in (
        f'default = "{image_name("nginx", digest)}"',
        "image_name = var.image_name",
        'image_family = "samovar-nginx"',
        f'image_description = "{digest}"',
        'managed-by = "samovar"',
        'image = "nginx"',
        f'digest = "{digest[:12]}"',
    ):
        assert wanted in said


def test_a_root_starts_from_debians_own_family_and_a_layer_from_its_parent_by_id() -> None:
    base = " ".join(text("samovar-base").split())
    assert 'source_image_family = "debian-13" source_image_folder_id = "standard-images"' in base
    assert 'source_image_family = "samovar-base" source_image_folder_id = "folder-1"' in " ".join(text("nginx").split())
    layer = text("nginx", Origin(id="fd8parent", name="samovar-base-1"))
    assert 'source_image_id = "fd8parent" # samovar-base-1' in layer
    assert "source_image_family" not in layer


def test_it_holds_no_secret_and_what_it_reads_well() -> None:
    said = text("nginx")
    assert "t1.secret.token" not in said
    assert f"packages: {', '.join(IMAGES['nginx'].packages)}" in said
    steps = "\n#   ".join(script.name for script in scripts_of(IMAGES["nginx"]))
    assert f"#   {steps}\n#   checks" in said
    assert not [line for line in said.splitlines() if line != line.rstrip()]


def test_no_text_of_a_definition_leaves_its_comment_or_becomes_an_expression() -> None:
    evil = 'x\nlocals { evil = file("/etc/shadow") }'
    image = replace(IMAGES["nginx"], description=evil, commands=((evil,),), packages=(evil,), services=(evil,))
    access = replace(ACCESS, zone='${file("/etc/shadow")}', endpoint="%{ if true }")
    said = template(image, DIGESTS["nginx"], Origin(id="fd8", name=evil), access)
    assert not [line for line in said.splitlines() if line.startswith("locals { evil")]
    assert '= "$${file(\\"/etc/shadow\\")}"' in said
    assert '= "%%{ if true }"' in said


def test_a_disk_holds_the_image_that_it_is_made_from() -> None:
    assert disk_gb(Origin()) == 5
    assert disk_gb(Origin(size=10 * 2**30 + 1)) == 11


def unpacked(folder: Path) -> Path:
    there = folder / "there"
    there.mkdir()
    subprocess.run(["tar", "-xf", str(folder / "parcel.tar"), "-C", str(there)], check=True)
    return there


def test_the_machine_bakes_the_very_bytes_of_the_definition(tmp_path: Path) -> None:
    write_parcel(tmp_path / "parcel.tar", IMAGES["nginx"], DIGESTS["nginx"])
    there = unpacked(tmp_path)
    assert (there / "bake.sh").read_bytes() == (ROOT / "samovar/images/bake.sh").read_bytes()
    scripts = [file.read_bytes() for file in sorted((there / "spec/scripts").iterdir())]
    assert scripts == [script.data for script in scripts_of(IMAGES["nginx"])]
    assert (there / "environment").read_text() == f"DIGEST={DIGESTS['nginx']}\nSUITE=\n"


def test_the_checks_run_there_on_the_standard_library_alone(tmp_path: Path) -> None:
    write_parcel(tmp_path / "parcel.tar", replace(IMAGES["nginx"], commands=()), DIGESTS["nginx"])
    there = unpacked(tmp_path)
    argv = ["/usr/bin/python3", "-I", "-c", "import sys; sys.path.insert(0, sys.argv[1]); import samovar.images.checks"]
    subprocess.run([*argv, str(there / "lib")], check=True, cwd=there)


def test_what_packer_says_is_read() -> None:
    line = "1700000000,,ui,say,==> yandex.nginx: Creating disk..."
    assert read_line(line) == (Said(1700000000, "say", "Creating disk..."),)
    line = "1700000001,,ui,message,    yandex.nginx: a%!(PACKER_COMMA) b\\n    yandex.nginx: c"
    assert [said.text for said in read_line(line)] == ["a, b", "c"]
    assert read_line("1700000001,yandex.nginx,artifact,0,id,fd8") == ()
    assert read_line("no line of packer") == ()


def test_a_failing_script_is_told_as_by_the_local_builder(tmp_path: Path) -> None:
    with Progress("nginx", PlainReporter()) as progress:
        readout = Readout(progress.read)
        for said in ("::step broken.sh", ":::run false because", "last words", "::exit 3"):
            readout.line(f"1,,ui,message,    yandex.nginx: {said}")
        readout.line("1,,ui,error,==> yandex.nginx: Script exited with non-zero exit status: 3")
        for said in ("Provisioning step had errors: Running the cleanup provisioner", "Destroying instance..."):
            readout.line(f"1,,ui,say,==> yandex.nginx: {said}")
        readout.line("1,,ui,say,\\n==> Builds finished but no artifacts were created.")
    error = progress.explained(ProcessFailed("packer", returncode=1, output=""), tmp_path / "log")
    assert error.message.startswith("image nginx: broken.sh: `false because` ended with 3\n  | last words")
    assert error.returncode == 3


def test_an_error_that_packer_says_twice_is_told_once(tmp_path: Path) -> None:
    with Progress("nginx", PlainReporter()) as progress:
        readout = Readout(progress.read)
        readout.line("1,,ui,say,==> yandex.nginx: Stopping instance...")
        for said in ("Error stopping instance: Unavailable", "Error stopping instance: Unavailable"):
            readout.line(f"1,,ui,error,==> yandex.nginx: {said}")
        readout.line('1,,ui,error,==> yandex.nginx: Step "StepTeardownInstance" failed%!(PACKER_COMMA) aborting...')
        readout.line('1,,ui,error,==> yandex.nginx: aborted: skipping cleanup of step "StepProvision"')
    error = progress.explained(ProcessFailed("packer", returncode=1, output=""), tmp_path / "log")
    assert error.message == (
        "image nginx: stop: `packer: Stopping instance` ended with 1\n  | Error stopping instance: Unavailable"
    )


@pytest.mark.parametrize("age", [0, LIFETIME - 1])
def test_a_bake_that_runs_is_left_alone_and_one_that_died_is_over(age: float) -> None:
    assert not is_over(holder(), age)
    ended = ended_process()
    assert is_over(ended, age)
    assert not is_over(f"{'0' * 16}-{ended.partition('-')[2]}", age)


def test_nobody_bakes_for_ever() -> None:
    assert is_over(f"elsewhere-{os.getpid()}", LIFETIME + 1)
    assert is_over("", LIFETIME + 1)
    assert not is_over("", 10)


def test_the_expectations_survive_the_way() -> None:
    expected = expected_of(IMAGES["nginx"])
    assert from_json(to_json(expected)) == expected
    assert json.loads(to_json(expected))["packages"] == list(IMAGES["nginx"].packages)


def test_what_a_killed_bake_left_here_goes_with_its_key(tmp_path: Path) -> None:
    for name in ("nginx-0123456789ab", "templates"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").touch()
    (tmp_path / "lock").touch()
    builder._sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "templates"]
