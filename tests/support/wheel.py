"""The engine as its user installs it: a wheel in a virtual environment of its own, made without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.checkout import ROOT


def install(folder: Path) -> Path:
    """Build the wheel, install it below `folder`, and return the folder of its programs.

    What it depends on comes from the tests' own virtual environment. The umask is one that hides files from others.
    """
    wheel = build(folder / "wheels")
    venv = folder / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", venv)
    _run(sys.executable, "-m", "pip", "--python", venv, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return venv / "bin"


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
