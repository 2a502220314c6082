"""`python -m tests.strangers FOLDER...`: apply, two empty plans, a change and destroy of other people's Terraform.

Each folder holds one configuration. It is run as it is: a copy, whose state lies in its own folder, with the usual
variables of credentials set, in the zone of YC_ZONE, and an SSH key made. Who runs this has fetched them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.local_daemon import Daemon, find_or_start
from samovar.cloud.session import Session
from tests.acceptance.environment import acceptance_cloud
from tests.support.terraform import PROVIDER, program_or_skip

TIMEOUT = 900.0
RESOURCE = re.compile(r'^resource\s+"(yandex_\w+)"\s+"([\w-]+)"', re.MULTILINE)
FOLDER_ID = re.compile(r"\bb1g[a-z0-9]{17}\b")
"""Written in a configuration it is its author's, as a credential is."""
DESCRIBED = ("instance", "instance_group", "network", "subnet", "address", "route_table", "target_group", "disk")
"""The ends of types of resource that have a description, by which every configuration can be changed."""
BACKEND = re.compile(r'backend\s+"\w+"\s*\{[^{}]*\}')


@dataclass(frozen=True)
class Outcome:
    """The progress of a configuration: resources applied, which of two plans were empty, and what went wrong first."""

    name: str
    resources: int = 0
    empty_plans: int = 0
    changed: bool = False
    destroyed: bool = False
    cause: str = ""

    @property
    def row(self) -> str:
        words = [self.name, str(self.resources), str(self.empty_plans), *map(_word, (self.changed, self.destroyed))]
        return f"| {' | '.join([*words, self.cause])} |"


def main() -> int:
    sources = [Path(argument).resolve() for argument in sys.argv[1:]]
    sys.stdout.write(
        "| configuration | resources | empty plans of 2 | changed | destroyed | |\n|---|---|---|---|---|---|\n"
    )
    with acceptance_cloud() as variables:
        variables |= {"YC_ZONE": os.environ.get("YC_ZONE", variables["YC_ZONE"])}
        _make_ssh_key(Path(variables["HOME"]))
        _make_default_network(find_or_start(Path(variables["HOME"]) / "home"))
        outcomes = [_printed(run(source, variables)) for source in sources]
    return 0 if all(outcome.destroyed and outcome.empty_plans == 2 for outcome in outcomes) else 1


def _make_ssh_key(home: Path) -> None:
    """Make the public key that configurations read as a file."""
    (home / ".ssh").mkdir()
    for name in ("id_rsa.pub", "id_ed25519.pub"):
        (home / ".ssh" / name).write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFwZ stranger\n")


def _make_default_network(daemon: Daemon) -> None:
    """Make the network that the first folder of every new cloud of Yandex has; a home of ours begins without it."""
    session = Session(daemon.access)
    create = CreateNetworkRequest(folder_id=session.folder_id, name="default")
    network_id = CreateNetworkMetadata.FromString(session.client(NetworkServiceStub).Create(create).metadata.value)
    for number, zone in enumerate(("ru-central1-a", "ru-central1-b", "ru-central1-d")):
        session.client(SubnetServiceStub).Create(
            CreateSubnetRequest(
                folder_id=session.folder_id,
                name=f"default-{zone}",
                network_id=network_id.network_id,
                zone_id=zone,
                v4_cidr_blocks=[f"10.{128 + number}.0.0/24"],
            )
        )


def run(source: Path, variables: dict[str, str]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="samovar-strangers-") as folder:
        terraform = Configuration(source, Path(folder), variables)
        return terraform.live(f"{source.parent.name}/{source.name}")


class Configuration:
    """A copy of a configuration, and Terraform over it. The provider comes from the cache, so it needs no `init`."""

    def __init__(self, source: Path, folder: Path, variables: dict[str, str]) -> None:
        self._work = folder / source.name
        shutil.copytree(source.parent, folder, dirs_exist_ok=True)
        for file in folder.rglob("*"):
            if file.suffix in {".tf", ".tfvars", ".yaml", ".yml"}:
                text = BACKEND.sub("", file.read_text())
                file.write_text(FOLDER_ID.sub(variables["YC_FOLDER_ID"], text))
        settings = folder / "cli.tfrc"
        overrides = f'dev_overrides {{ "yandex-cloud/yandex" = "{PROVIDER.folder}" }}'
        settings.write_text(f"provider_installation {{ {overrides} }}\n")
        self._environment = {
            **variables,
            "TF_CLI_CONFIG_FILE": str(settings),
            **{f"TF_VAR_{name}": value for name, value in _inputs(variables).items()},
            **{name: value for name, value in os.environ.items() if name.startswith("TF_VAR_")},
        }

    def live(self, name: str) -> Outcome:
        """Go through a whole life, as far as it gets; what was made is destroyed in any case."""
        applied = self._run("apply", "-auto-approve")
        resources = len(self._run("state", "list").stdout.split())
        plans = sum(self._run("plan", "-detailed-exitcode").returncode == 0 for _ in range(2)) if _ok(applied) else 0
        changed = _ok(applied) and self._change() and _ok(self._run("apply", "-auto-approve"))
        destroyed = _ok(self._run("destroy", "-auto-approve"))
        return Outcome(name, resources, plans, changed, destroyed, _cause(applied))

    def _change(self) -> bool:
        """Describe the first resource that can be described in other words."""
        for kind, resource in self._resources():
            if kind.removeprefix("yandex_compute_").removeprefix("yandex_vpc_").removeprefix("yandex_lb_") in DESCRIBED:
                text = f'resource "{kind}" "{resource}" {{\n  description = "changed"\n}}\n'
                (self._work / "change_override.tf").write_text(text)
                return True
        return False

    def _resources(self) -> Iterator[tuple[str, str]]:
        for file in sorted(self._work.glob("*.tf")):
            yield from RESOURCE.findall(file.read_text())

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program_or_skip(), arguments[0], *(["-no-color"] if arguments[0] != "state" else []), *arguments[1:]],
            cwd=self._work,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )


def _inputs(variables: dict[str, str]) -> dict[str, str]:
    """Return the credentials under the names that configurations commonly give them."""
    values = {
        "token": variables["YC_TOKEN"],
        "cloud_id": variables["YC_CLOUD_ID"],
        "folder_id": variables["YC_FOLDER_ID"],
        "zone": variables["YC_ZONE"],
    }
    return {f"{prefix}{name}": value for prefix in ("", "yc_", "yandex_") for name, value in values.items()}


def _ok(process: subprocess.CompletedProcess[str]) -> bool:
    return process.returncode == 0


def _cause(applied: subprocess.CompletedProcess[str]) -> str:
    errors = re.findall(r"Error: .*", applied.stderr)
    return re.sub(r"\S+-id = \S+ ", "", errors[0])[:160] if errors else ""


def _word(value: bool) -> str:  # noqa: FBT001 - a cell of the table
    return "yes" if value else "no"


def _printed(outcome: Outcome) -> Outcome:
    sys.stdout.write(f"{outcome.row}\n")
    sys.stdout.flush()
    return outcome


if __name__ == "__main__":
    sys.exit(main())
