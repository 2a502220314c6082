"""The engine installed as a wheel: the same images as out of a checkout, and a `--help` that loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from samovar.images.definition import digests
from samovar.images.load import load_images
from tests.support.checkout import PROJECT, ROOT
from tests.support.wheel import install, install_alone

DIGESTS = """
import json, sys
from pathlib import Path
import samovar
from samovar.images.definition import digests
from samovar.images.load import load_images
from samovar.project.project import find_project
found = digests(load_images(find_project(Path(sys.argv[1]))))
json.dump({"package": samovar.__file__, "digests": dict(found)}, sys.stdout)
"""
HELP = """
import sys
from samovar.__main__ import run
sys.argv = ["samovar", "--help"]
code = run()
heavy = {"pydantic", "grpc", "google.protobuf", "yaml", "sh", "asyncio", "tenacity", "logging", "samovar.project"}
loaded = sorted(heavy & set(sys.modules))
sys.exit(f"--help loaded {loaded}" if loaded else code)
"""
IMPORT_ALL = """
import importlib.util, pkgutil, samovar
names = [module.name for module in pkgutil.walk_packages(samovar.__path__, "samovar.")]
for name in names:
    importlib.import_module(name)
print(len(names), importlib.util.find_spec("hypothesis"))
"""
VERSION = "from importlib.metadata import version; print(version('samovar'))"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed programs."""
    return install(tmp_path_factory.mktemp("installed"))


def test_an_image_has_the_same_digest_out_of_the_checkout_and_out_of_the_wheel(programs: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [programs / "python", "-I", "-c", DIGESTS, ROOT]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    installed = json.loads(ended.stdout)
    assert Path(installed["package"]).is_relative_to(programs.parent)
    assert installed["digests"] == dict(digests(load_images(PROJECT)))


def test_help_of_the_installed_program_loads_nothing_heavy_and_reads_no_project(programs: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [programs / "python", "-I", "-c", HELP], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Usage: samovar" in ended.stdout


def test_the_installed_program_has_the_version_of_the_package(programs: Path) -> None:
    ended = subprocess.run([programs / "samovar", "--version"], capture_output=True, text=True, check=True)
    wheel = subprocess.run([programs / "python", "-Ic", VERSION], capture_output=True, text=True, check=True)
    assert ended.stdout == f"samovar, version {wheel.stdout}"


def test_the_installed_program_asks_for_a_project_where_there_is_none(programs: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [programs / "samovar", "render", "dev", "nginx"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 3, ended.stderr
    assert "--project" in ended.stderr


def test_the_installed_program_has_a_man_page_and_completion(programs: Path, tmp_path: Path) -> None:
    page = (programs.parent / "share/man/man1/samovar.1").read_text()
    assert ".SS samovar rollout" in page
    completion = {"_SAMOVAR_COMPLETE": "bash_source", "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(
        [programs / "samovar"], cwd=tmp_path, env=completion, capture_output=True, text=True, check=True
    )
    assert "complete -o nosort -F _samovar_completion samovar" in ended.stdout


def test_each_module_finds_what_it_imports_among_what_the_wheel_depends_on(tmp_path: Path) -> None:
    programs = install_alone(tmp_path)
    ended = subprocess.run(
        [programs / "python", "-I", "-c", IMPORT_ALL], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    number, of_the_tests = ended.stdout.split()
    assert int(number) > 300
    assert of_the_tests == "None"
