"""`disk`: the data disks of an environment, their snapshots, and the way back from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, agree, environment_argument, output_option, pass_tool, yes_option
from samovar.core.errors import ConfigError
from samovar.core.output import Format, show, stderr_reporter, table
from samovar.core.program import command_line
from samovar.core.units import GIB, MIB

if TYPE_CHECKING:
    from rich.console import RenderableType
    from yandex.cloud.compute.v1.disk_pb2 import Disk

    from samovar.deploy.snapshots import Inventory
    from samovar.project.environment import Environment

TIMEOUT = 3600.0


@click.group()
def disk() -> None:
    """Data disks and their snapshots: take one, restore one, see what there is."""


@disk.command("list")
@environment_argument
@output_option
@pass_tool
def list_disks(tool: Tool, env: str, fmt: Format) -> None:
    """Show the data disks of ENV and their snapshots."""
    from samovar.deploy.snapshots import inventory

    _, session = tool.open(env)
    found = inventory(session, env)
    show(found, fmt, _tables(found))


@disk.command()
@environment_argument
@click.argument("group", required=False)
@click.option("--disk", "name", help="Another data disk of ENV, such as one that was replaced, by its name.")
@click.option("--timeout", default=TIMEOUT, show_default=True, help="Seconds in which a snapshot must be taken.")
@pass_tool
def snapshot(tool: Tool, env: str, group: str | None, name: str | None, timeout: float) -> None:
    """Take a snapshot of the data disk of GROUP, or of each group of ENV that has one, and write its name.

    Before the copy begins it says for how long a machine cannot write meanwhile, where the cloud knows that, and
    afterwards for how long it could not.
    """
    from samovar.deploy.snapshots import begin_snapshot, data_disks

    tool.name_project()
    environment, session = tool.open(env)
    names = [name] if name else _names(environment, group)
    for each in _chosen(env, data_disks(session, env), names):
        taken, operation = begin_snapshot(session, env, each)
        stderr_reporter().info(f"{taken}: {operation.description}")
        with stderr_reporter().step(f"snapshot {taken}"):
            done = session.finish(operation, what=f"snapshot {taken}", timeout=timeout)
        stderr_reporter().info(f"{taken}: {done.description}")
        click.echo(taken)


@disk.command()
@environment_argument
@click.argument("snapshot")
@yes_option
@pass_tool
def restore(tool: Tool, env: str, snapshot: str, *, yes: bool) -> None:
    """Make a disk from SNAPSHOT and put it in the place of the data disk of its group in ENV.

    The former disk is kept, under another name. Machines get the new one by the rollout that follows. What was
    interrupted is finished by the same command.
    """
    from samovar.deploy.lock import locked
    from samovar.deploy.restore import restore as put_in_place
    from samovar.deploy.snapshots import find_snapshot

    tool.name_project()
    environment, session = tool.open(env)
    found = find_snapshot(session, env, snapshot)
    agree(f"Put a disk made from {found.name} in the place of the data disk of {env}?", yes=yes)
    with locked(session, env):
        put_in_place(session, environment, found, stderr_reporter())
    stderr_reporter().info(f"now: {command_line(f'rollout {env}')}")


@disk.command()
@environment_argument
@click.argument("name", nargs=-1, required=True)
@yes_option
@pass_tool
def delete(tool: Tool, env: str, name: tuple[str, ...], *, yes: bool) -> None:
    """Delete each snapshot of ENV, or data disk that another took the place of, for good."""
    from samovar.deploy.snapshots import begin_deletion, find_deletable

    tool.name_project()
    _, session = tool.open(env)
    found = [find_deletable(session, env, each) for each in name]
    agree(f"Delete {', '.join(each.name for each in found)} for good?", yes=yes, irreversible=True)
    for each in found:
        session.finish(begin_deletion(session, each), what=f"delete {each.name}")


def _names(environment: Environment, group: str | None) -> list[str]:
    """The data disks that machines have, or would be given by a rollout."""
    from samovar.deploy.resources.disk import disk_name

    wanted = [environment.group(group)] if group else [each for each in environment.groups if each.data_disk]
    return [disk_name(environment.name, each.name) for each in wanted]


def _chosen(env: str, disks: list[Disk], names: list[str]) -> list[Disk]:
    found = [each for each in disks if each.name in names]
    if not found or len(found) != len(names):
        lacking = ", ".join(sorted({*names} - {each.name for each in found})) or "data disk"
        there = ", ".join(each.name for each in disks) or "none"
        raise ConfigError(f"{env} has no {lacking} in the cloud", remedy=f"its disks there: {there}")
    return found


def _tables(found: Inventory) -> list[RenderableType]:
    disks = [
        (each.name, each.id, each.group, f"{each.size / GIB:g} GiB", each.status, _use(each.attached))
        for each in found.disks
    ]
    taken = [
        (each.name, each.group, each.created, f"{each.stored / MIB:.0f} MiB", each.status, each.disk)
        for each in found.snapshots
    ]
    return [
        table(("DISK", "ID", "GROUP", "SIZE", "STATUS", "USE"), disks),
        table(("SNAPSHOT", "GROUP", "TAKEN", "STORED", "STATUS", "OF"), taken),
    ]


def _use(attached: bool) -> str:  # noqa: FBT001 - a cell of a table
    return "attached" if attached else "-"
