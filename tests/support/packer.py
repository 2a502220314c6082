"""Packer and its yandex plugin as they are, against a local cloud of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from samovar.cloud.connection import Access, to_environment
from samovar.core.errors import HostError
from samovar.core.output import PlainReporter
from samovar.images.builders.packer.toolchain import Toolchain, prepare_toolchain
from tests.support.checkout import ROOT

TEMPLATES = ROOT / "tests" / "packer"
TIMEOUT = 3600.0


def toolchain_or_skip() -> Toolchain:
    """Return what `make clients` builds. If that fails, the test is skipped with the reason, but not in CI."""
    try:
        return prepare_toolchain(PlainReporter())
    except HostError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@dataclass(frozen=True)
class Build:
    """A run of `packer build` that has ended, in a folder of its own."""

    code: int
    output: str
    folder: Path

    @property
    def image_id(self) -> str:
        """Return the image's id from the template's own manifest."""
        manifest = json.loads((self.folder / "manifest.json").read_text())
        return str(manifest["builds"][0]["artifact_id"])


@dataclass(frozen=True)
class Packer:
    """`access` has the one credential by which Packer is variables; it never runs without."""

    clients: Toolchain
    access: Access
    folder: Path

    def build(self, template: str, **variables: str) -> Build:
        self.folder.mkdir(parents=True, exist_ok=True)
        given = [f"-var={name}={value}" for name, value in {"endpoint": self.access.endpoint, **variables}.items()]
        ended = subprocess.run(
            [self.clients.packer, "build", "-color=false", *given, TEMPLATES / f"{template}.pkr.hcl"],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Build(ended.returncode, ended.stdout, self.folder)

    def _environment(self) -> Mapping[str, str]:
        variables = to_environment(self.access)
        assert {"YC_TOKEN", "YC_SERVICE_ACCOUNT_KEY_FILE"} & variables.keys()
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), **variables, **self.clients.environment()}
