"""Runs scenarios inside an image, mostly the edge's, without a machine: its nginx and HAProxy, by the dry run.

Everything runs in namespaces of its own: an overlay over the image, a network with loopback and the peers that the
scenario creates. Scenarios stand in edge_scenarios/, their tools in edge_lab.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from samovar.core.output import PlainReporter
from samovar.images.builders.local import bake_local
from tests.support.checkout import PROJECT, ROOT
from tests.support.failure_logs import add_folder

Scenario = Callable[..., dict[str, Any]]
TIMEOUT = 300.0
"""Seconds: what takes a minute here, on a busy machine."""
_folder = TemporaryDirectory(prefix="edge-")

STAGE = r"""
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/lower /mnt/upper /mnt/work /mnt/root
mount -o ro,loop "$1" /mnt/lower
mount -t overlay overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
mkdir -p /mnt/root/run/haproxy
ip link set lo up
ip address add 10.0.0.9/32 dev lo
ip address add 198.18.235.2/32 dev lo
mkdir -p /mnt/root/run/tests/tests/support /mnt/root/run/tests/groups /mnt/root/var/log/nginx
mount --bind "$2/tests/support" /mnt/root/run/tests/tests/support
mount --bind "$2/groups" /mnt/root/run/tests/groups
mount --bind "$3" /mnt/root/var/log/nginx
ulimit -n "$(ulimit -Hn)"
shift 3
exec chroot /mnt/root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/usr/lib/samovar:/run/tests \
  PYTHONDONTWRITEBYTECODE=1 python3 -m tests.support.edge_lab "$@"
"""


def edge_image() -> Path:
    """Bake the image of the edge if need be; returns its RAW file."""
    return baked_image("samovar-edge")


def baked_image(name: str) -> Path:
    """Bake an image if need be; returns its RAW file."""
    (image,) = bake_local(PROJECT, (name,), reporter=PlainReporter())
    return image.raw


@dataclass(frozen=True)
class RunningScenario:
    """A scenario that runs inside the image, and the folder of the proxies' logs."""

    process: subprocess.Popen[str]
    logs: Path

    def result(self) -> Any:
        """Wait for the end and return the result. The proxies' logs are evidence if the test that asks for it fails."""
        add_folder(self.logs)
        output, errors = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 0, output + errors
        return json.loads(output.splitlines()[-1])


def run_scenario(image: Path, scenario: Scenario, **arguments: Any) -> Any:
    """Run a scenario inside the image and return its result."""
    with running_scenario(image, scenario, **arguments) as running:
        return running.result()


@contextmanager
def running_scenario(image: Path, scenario: Scenario, **arguments: Any) -> Iterator[RunningScenario]:
    """Start a scenario inside the image, and end it with the context."""
    logs = Path(_folder.name) / str(len(list(Path(_folder.name).iterdir())))
    logs.mkdir()
    add_folder(logs)
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--propagation", "private"]
    call = (scenario.__module__, scenario.__name__, json.dumps(arguments))
    command: list[str | Path] = [*namespaces, "sh", "-euc", STAGE, "sh", image, ROOT, logs, *call]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield RunningScenario(process, logs)
        finally:
            process.kill()
