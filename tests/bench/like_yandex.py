"""The whole service of `dev` on a cloud like Yandex Cloud at its true pace, on simulated machines.

The tool has the time-outs and pauses that it has for Yandex Cloud. Times are those of the profile and of the health
checks; a real machine's own boot comes on top.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from samovar.cloud.local_admin import Event, Host
from samovar.cloud.local_rest import Rest
from samovar.core.api_methods import is_read
from samovar.core.errors import CloudError, ExitCode
from tests.bench.figure import Figure, timed
from tests.support.checkout import ENVIRONMENTS
from tests.support.checkout import environment as load_environment
from tests.support.images import publish_empty
from tests.support.tool import Cli
from tests.support.wait import wait_until

SEED = "4711"
ROLLOUT = ("rollout", "dev", "--yes")
DESTROY = ("destroy", "dev", "--yes", "--delete-data", "--confirm", "dev")


@dataclass(frozen=True)
class Calls:
    """The calls since the last look: all, those that read, and those that were refused by code and method."""

    events: list[Event] = field(default_factory=list)

    def take(self) -> str:
        """Say how many calls came since the last time."""
        time.sleep(1)  # for the last ones to arrive
        taken = [self.events.pop(0) for _ in range(len(self.events))]
        reads = sum(is_read(event["method"]) for event in taken)
        refused = Counter(event["code"] for event in taken if event["code"] not in {"OK", "NOT_FOUND"})
        causes = ", ".join(f"{count} {code}" for code, count in refused.items()) or "none"
        return f"{len(taken)} calls, {reads} of them reads; refused and repeated: {causes}"


def like_yandex() -> Iterator[Figure]:
    """A rollout, a heal, a rolling update and a destruction, each with its calls."""
    with _cloud() as (owner, tool, calls):
        yield _figure("rollout of `dev`, from nothing to healthy", lambda: _run(tool, *ROLLOUT), calls)
        yield _figure("a bingo machine killed: until all is whole", lambda: _heal(owner, tool), calls)
        tool.edit("dev", 'logs: "68ce701e6d"', 'logs: "68ce701e6e"')
        yield _figure("rolling update of two bingo", lambda: _run(tool, *ROLLOUT), calls)
        yield _figure("destroy", lambda: _run(tool, *DESTROY), calls)


def _figure(what: str, act: Callable[[], object], calls: Calls) -> Figure:
    calls.take()
    took = timed(act)
    return Figure(f"like yandex: {what}", f"{took:.0f} s; {calls.take()}")


def _run(tool: Cli, *command: str) -> None:
    """Give a command again after a failure, which may come by chance, as an operator does; the third must not fail."""
    if not any(tool.run(*command, check=False).code == ExitCode.OK for _ in range(2)):
        tool.run(*command)


def _heal(owner: Cli, tool: Cli) -> None:
    before = {machine["id"] for machine in owner.json("cloud", "status")["machines"]}
    owner.run("cloud", "kill", "dev-bingo-1")

    def healed() -> bool:
        groups = tool.json("status", "dev")["groups"]  # simulated machines answer nobody
        return all(group["healthy"] for group in groups) and _ids(owner) != before

    wait_until("dev is healed", healed, timeout=1200)


def _ids(owner: Cli) -> set[str]:
    return {machine["id"] for machine in owner.json("cloud", "status")["machines"]}


@contextmanager
def _cloud() -> Iterator[tuple[Cli, Cli, Calls]]:
    """A cloud with the images of `dev`; the operator's tool, and one that knows it as Yandex Cloud."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    owner = Cli(folder / "home", folder / "envs")
    owner.write("dev", (ENVIRONMENTS / "dev/config.yaml").read_text().replace("cloud: local", "cloud: yandex"))
    try:
        owner.run("cloud", "up", "--machines", "simulated", "--like", "yandex", "--seed", SEED)
        publish_empty(owner.session(), load_environment("dev", owner.envs))
        calls = Calls()
        threading.Thread(target=_follow, args=(owner, calls), daemon=True).start()
        yield owner, Cli(owner.home, owner.envs, prefix=("env", *_credentials(owner))), calls
    finally:
        owner.run("cloud", "down", check=False)
        shutil.rmtree(folder)


def _credentials(owner: Cli) -> Iterator[str]:
    ends = owner.endpoint()
    yield f"YC_ENDPOINT={ends['grpc']}"
    yield f"YC_FOLDER_ID={ends['folder_id']}"
    yield f"SSL_CERT_FILE={ends['ca']}"
    yield f"YC_SERVICE_ACCOUNT_KEY_FILE={ends['key_file']}"


def _follow(owner: Cli, calls: Calls) -> None:
    ends = owner.endpoint()
    host = Host(Rest(ends["rest"], ca=Path(ends["ca"]), token=ends["token"]))
    try:
        calls.events.extend(host.events(last=0, follow=True))
    except CloudError:
        return  # the cloud is taken down
