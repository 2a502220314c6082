"""The engine as its user installs it: a wheel in a virtual environment of its own, made without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.checkout import ROOT


def install(folder: Path) -> Path:
    """Build the wheel, install it below `folder`, and return the folder of its programs.

    What it depends on comes from the tests' own virtual environment. The umask is one that hides files from others.
    """
    venv = _install(folder)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return venv / "bin"


def install_alone(folder: Path) -> Path:
    """Build the wheel, install it with what it says itself that it depends on, and return the folder of its programs.

    That comes from the tests' own virtual environment too, and nothing else does.
    """
    venv = _install(folder)
    (packages,) = venv.glob("lib/python*/site-packages")
    (own,) = distributions(name="samovar", path=[str(packages)])
    for each in _required(own.requires or [], {}).values():
        for name in {file.parts[0] for file in each.files or []} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(str(each.locate_file(name)))
    return venv / "bin"


def _required(
    requirements: Iterable[str], required: dict[str, Distribution], extra: str = ""
) -> dict[str, Distribution]:
    """Add to `required` the distributions that the requirements ask for, and those that these ask for."""
    for each in map(Requirement, requirements):
        if each.marker and not each.marker.evaluate({"extra": extra}):
            continue
        for part in ("", *each.extras):
            if (key := f"{each.name}[{part}]") not in required:
                required[key] = distribution(each.name)
                _required(required[key].requires or [], required, part)
    return required


def _install(folder: Path) -> Path:
    """Install the wheel alone into a new virtual environment."""
    wheel, venv = build(folder / "wheels"), folder / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", venv)
    _run(sys.executable, "-m", "pip", "--python", venv, "install", "--quiet", "--no-deps", "--no-index", wheel)
    return venv


def build(folder: Path) -> Path:
    """Build the wheel into `folder` and return its path."""
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (wheel,) = folder.glob("samovar-*.whl")
    return wheel


def _run(*command: str | Path) -> None:
    variables = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    ended = subprocess.run(
        command, cwd=ROOT, env=variables, umask=0o077, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
