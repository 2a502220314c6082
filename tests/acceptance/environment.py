"""A local cloud of simulated machines for the provider's tests, and the variables that they read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samovar.cloud.connection import to_environment
from samovar.cloud.local_daemon import find_or_start
from tests.support.terraform import SHORT_LIVED, TOFU, program_or_skip
from tests.support.tool import Cli

LOGINS = ("first", "second")
SPEED = 60
"""How much faster than a clock machines of the simulation boot, stop and heal."""


@contextmanager
def acceptance_cloud() -> Iterator[dict[str, str]]:
    """Yield the environment of a test's process, while a cloud of its own runs."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-acceptance-"))
    cli = Cli(folder / "home", folder / "envs")
    try:
        cli.run("cloud", "up", "--machines", "simulated", "--speed", str(SPEED), "--logins", ",".join(LOGINS))
        yield variables(cli, folder)
    finally:
        cli.run("cloud", "down", check=False)
        shutil.rmtree(folder)


def variables(cli: Cli, folder: Path) -> dict[str, str]:
    """Return the credentials of the cloud, and what the tests ask for besides (their `testAccPreCheck`)."""
    access = find_or_start(cli.home).access
    terraform = program_or_skip()
    opentofu = {"TF_ACC_PROVIDER_HOST": "registry.opentofu.org", "TF_ACC_PROVIDER_NAMESPACE": "hashicorp"}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TF_ACC": "1",
        "TF_ACC_TERRAFORM_PATH": terraform,
        "CHECKPOINT_DISABLE": "1",
        **SHORT_LIVED,
        "GOMAXPROCS": "1",  # they run side by side
        "YC_ORGANIZATION_ID": "bpf00000000000000000",
        "YC_LOGIN": LOGINS[0],
        "YC_LOGIN_2": LOGINS[1],
        "YC_STORAGE_ENDPOINT_URL": access.endpoint,
        "YC_MESSAGE_QUEUE_ENDPOINT": access.endpoint,
        **(opentofu if "tofu" in Path(terraform).name or terraform == str(TOFU.program) else {}),
        **to_environment(access),
    }
