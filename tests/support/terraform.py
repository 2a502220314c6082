"""Yandex's own provider, with Terraform or OpenTofu: whichever is on PATH, or OpenTofu from tools/.

`python -m tests.support.terraform` (`make provider`) builds what is missing, into the cache: ten minutes and more the
first time, a look afterwards. Where nobody has built it the tests with it are skipped, but not in CI, which builds it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from samovar.cloud.connection import Access, to_environment
from samovar.core.errors import SamovarError
from samovar.core.go_program import GoTool, build, built
from samovar.core.output import PlainReporter
from tests.support.checkout import ROOT

PROVIDER = GoTool(
    ROOT / "tools/provider",
    "github.com/yandex-cloud/terraform-provider-yandex",
    "terraform-provider-yandex",
    ldflags="",
)
PROVIDER_TESTS = GoTool(
    ROOT / "tools/provider",
    "github.com/yandex-cloud/terraform-provider-yandex/yandex",
    "provider.test",
    ldflags="",
    tests=True,
)
"""The provider's own acceptance tests."""
TOFU = GoTool(
    ROOT / "tools/tofu",
    "github.com/opentofu/opentofu/cmd/tofu",
    "tofu",
    ldflags="-s -w -X github.com/opentofu/opentofu/version.dev=no",
)
CONFIGURATION = ROOT / "tests" / "terraform"
TIMEOUT = 3600.0
SHORT_LIVED = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""The provider and OpenTofu live for seconds: a fifth of their time would go into collecting garbage."""


def program() -> str | None:
    """Return the user's own program, or the one that was built, or None."""
    return shutil.which("tofu") or shutil.which("terraform") or (str(TOFU.program) if built(TOFU) else None)


def program_or_skip() -> str:
    """Skip, saying so, where `make provider` was not run; in CI, which runs it, that is a failure."""
    actual = program()
    if actual is None or not built(PROVIDER):
        missing = "Yandex's provider is not built here: make provider"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return actual


@dataclass(frozen=True)
class Terraform:
    """One configuration with its state, in a folder of its own. It never runs without a credential."""

    program: str
    access: Access
    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self._settle()
        variables = to_environment(self.access)
        assert variables["YC_TOKEN"]
        files = {"TF_CLI_CONFIG_FILE": str(self.folder / "cli.tfrc"), "TF_DATA_DIR": str(self.folder / "data")}
        return subprocess.run(
            [self.program, arguments[0], "-no-color", *arguments[1:]],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "CHECKPOINT_DISABLE": "1", **variables, **files}
            | {"TF_VAR_folder_id": self.access.folder_id, **SHORT_LIVED},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def succeed(self, *arguments: str) -> str:
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def output(self, name: str) -> Any:
        printed = self.succeed("output", "-json")
        return json.loads(printed[printed.index("\n{") if "\n{" in printed else 0 :])[name]["value"]

    def _settle(self) -> None:
        """The provider from the cache needs no `init`, and nothing is asked for another."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(CONFIGURATION / "main.tf", self.folder)
        (self.folder / "cli.tfrc").write_text(
            f'provider_installation {{ dev_overrides {{ "yandex-cloud/yandex" = "{PROVIDER.folder}" }} }}\n'
        )


def main() -> int:
    """Build what is missing; return the exit code."""
    try:
        for tool in (PROVIDER, PROVIDER_TESTS):
            build(tool, PlainReporter())
        if program() is None:
            build(TOFU, PlainReporter())
    except SamovarError as error:
        PlainReporter().info(f"provider: {error}")
        return int(error.code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
