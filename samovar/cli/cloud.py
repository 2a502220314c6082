"""The commands of the local cloud: start, stop, status, variables, power cuts; faults and events beside it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NotRequired, TypedDict, TypeVar

import rich_click as click

from samovar.cli.cloud_calls import events, fault
from samovar.cli.context import Tool, host_of, pass_tool
from samovar.cli.options import examples, output_option
from samovar.core.output import Format, show, stderr_reporter, table

if TYPE_CHECKING:
    from samovar.cloud.local_admin import EndpointStatus, Host, MachineStatus, NetworkStatus, ProfileStatus
    from samovar.cloud.local_daemon import Daemon

ANSWER_TIMEOUT = 10.0
"""Seconds in which a daemon answers; it takes milliseconds."""
T = TypeVar("T")
SIMULATED = "simulated: only states, nothing runs and nothing answers"


class _State(TypedDict):
    """The state of the cloud as JSON shows it; without a daemon there is no number, and no endpoint."""

    running: bool
    pid: int | None
    number: NotRequired[int]
    home: NotRequired[str]
    endpoint: NotRequired[EndpointStatus]
    simulated: NotRequired[bool]
    profile: NotRequired[ProfileStatus | None]
    warnings: Sequence[str]
    machines: Sequence[MachineStatus]
    networks: Sequence[NetworkStatus]


@click.group()
def cloud() -> None:
    """Manage the local cloud: the Yandex Cloud API on loopback, with real machines."""


cloud.add_command(events)
cloud.add_command(fault)


@cloud.command(
    epilog=examples(
        "cloud up",
        "cloud up --machines simulated",
        "cloud up --like yandex --pace 0.1",
        "cloud up --like yandex --pace 0.1 --seed 4711",
    )
)
@click.option(
    "--quotas",
    type=click.Choice(["default", "raised"]),
    help="Quota set: Yandex Cloud's defaults, or raised ones (default). Stored in the home.",
)
@click.option(
    "--machines",
    type=click.Choice(["real", "simulated"]),
    help="Real machines are containers on this host (default), simulated ones only states. Fixed for the home.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=1000),
    help="Seconds that pass for simulated machines in one second. Stored in the home.",
)
@click.option(
    "--logins",
    metavar="LOGIN,...",
    help="The logins that have an account, for what looks one up by login (default: all). Stored in the home.",
)
@click.option(
    "--like",
    type=click.Choice(["yandex", "none"]),
    help="Be as slow, as late and as unreliable as Yandex Cloud: docs/local-cloud.md lists times, bounds and failures. "
    "Stored in the home; none ends it.",
)
@click.option(
    "--pace",
    type=click.FloatRange(min=0.001, max=1),
    help="With --like: waits take this part of their time (default 1). Stored in the home.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="With --like: seed of the random choices, to repeat a run (default: a random one, shown). Stored in the home.",
)
@pass_tool
def up(tool: Tool, /, **given: str | float | None) -> None:
    """Start the local cloud, unless it runs."""
    from samovar.cloud.local_daemon import find_or_start, start

    options = [text for name, value in given.items() if value is not None for text in (f"--{name}", str(value))]
    daemon = start(tool.home, options) if options else find_or_start(tool.home)
    stderr_reporter().info(
        f"the local cloud answers at {daemon.grpc} (gRPC) and {daemon.rest} (REST), pid {daemon.pid}"
    )
    if profile := host_of(daemon).status(timeout=ANSWER_TIMEOUT)["profile"]:
        stderr_reporter().info(f"like {_profile(profile)}")


@cloud.command()
@pass_tool
def down(tool: Tool) -> None:
    """Stop the local cloud and remove it from this host, also where its daemon has already ended."""
    from samovar.cloud.local_daemon import find, is_on_host, take_down, wait_for_end

    daemon = find(tool.home)
    if daemon is None and not is_on_host(tool.home):
        stderr_reporter().info(f"no local cloud runs in {tool.home}")
        return
    with stderr_reporter().step("local cloud down"):
        if daemon:
            _call(tool, daemon, lambda host: host.shutdown(timeout=ANSWER_TIMEOUT))
            wait_for_end(daemon)
        if is_on_host(tool.home):
            take_down(tool.home)


@cloud.command()
@output_option
@pass_tool
def status(tool: Tool, fmt: Format) -> None:
    """Show whether the local cloud runs, its endpoints, and its machines."""
    from samovar.cloud.local_daemon import find

    daemon = find(tool.home)
    state = _running(tool, daemon) if daemon else _without_daemon(tool)
    machines = [(m["name"], m["id"], str(m["pid"] or ""), "yes" if m["running"] else "no") for m in state["machines"]]
    about = (
        [("pid", str(daemon.pid)), ("gRPC", daemon.grpc), ("REST", daemon.rest), ("home", str(tool.home))]
        if daemon
        else [("running", "no"), ("home", str(tool.home))]
    )
    if state.get("simulated"):
        about.append(("machines", SIMULATED))
    if profile := state.get("profile"):
        about.append(("like", _profile(profile)))
    about += [("warning", text) for text in state["warnings"]]
    show(state, fmt, [table(("", ""), about), table(("MACHINE", "ID", "PID", "RUNS"), machines)])


@cloud.command()
@click.option(
    "--auth",
    type=click.Choice(["iam", "oauth", "key"]),
    default="iam",
    show_default=True,
    help="Credentials: an IAM token, an OAuth token, or a service account's key.",
)
@pass_tool
def env(tool: Tool, auth: str) -> None:
    """Print variables that point any client at the local cloud: eval "$(./cli.py cloud env)"."""
    from samovar.cloud.connection import to_environment
    from samovar.cloud.local_daemon import find_or_start

    daemon = find_or_start(tool.home)
    token = {"iam": daemon.access.token, "oauth": daemon.oauth_token, "key": ""}[auth]
    variables = to_environment(replace(daemon.access, token=token))
    for other in {"YC_TOKEN", "YC_SERVICE_ACCOUNT_KEY_FILE"} - variables.keys():
        click.echo(f"unset {other}")
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@cloud.command()
@click.argument("machine")
@pass_tool
def kill(tool: Tool, machine: str) -> None:
    """Cut the power of MACHINE, given by id, name (dev-nginx-1), or a unique hostname."""
    killed = tool.host().kill(machine)
    stderr_reporter().info(f"{killed.name} ({killed.id}): power cut")


@cloud.command()
@click.argument("group")
@click.argument("percent", type=click.IntRange(min=0))
@pass_tool
def load(tool: Tool, group: str, percent: int) -> None:
    """Give GROUP (dev-nginx) of simulated machines a load of PERCENT of one machine, which its machines share."""
    tool.host().set_load(group, percent)
    stderr_reporter().info(f"{group}: {percent}% of one machine")


def _running(tool: Tool, daemon: Daemon) -> _State:
    shown = _call(tool, daemon, lambda host: host.status(timeout=ANSWER_TIMEOUT))
    return {"running": True, **shown, "endpoint": {"grpc": daemon.grpc, "rest": daemon.rest}}


def _without_daemon(tool: Tool) -> _State:
    """Return the state of a cloud whose daemon does not run."""
    from samovar.cloud.local_daemon import is_on_host, running_machines

    nothing = _State(running=False, pid=None, warnings=(), machines=(), networks=())
    if not is_on_host(tool.home):
        return nothing
    machines = running_machines(tool.home)
    warning = (
        f"the daemon does not run, {len(machines)} machines run; remedy: `cloud up` starts it, and it goes on where it "
        "was; `cloud down` takes them off this host"
    )
    return {**nothing, "warnings": (warning,), "machines": machines}


def _call(tool: Tool, daemon: Daemon, request: Callable[[Host], T]) -> T:
    """Return the answer of a daemon that runs. Raises HostError where it does not answer."""
    from samovar.cloud.local_daemon import unresponsive
    from samovar.core.errors import CloudError

    try:
        return request(host_of(daemon))
    except CloudError as error:
        if isinstance(error.__cause__, TimeoutError):
            raise unresponsive(daemon, tool.home) from error
        raise


def _profile(profile: ProfileStatus) -> str:
    return f"{profile['name']}, pace {profile['pace']}, seed {profile['seed']}"
