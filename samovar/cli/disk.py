"""The commands of data disks: list them, take and restore snapshots, delete what is no longer used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.confirm import agree
from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import Duration, environment_argument, output_option, yes_option
from samovar.core.constants import GIB, MIB
from samovar.core.errors import ConfigError, command_line
from samovar.core.output import Format, date_time, show, stderr_reporter, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from yandex.cloud.compute.v1.disk_pb2 import Disk

    from samovar.deploy.snapshots import Inventory


@click.group()
def disk() -> None:
    """Manage data disks and their snapshots."""


@disk.command("list")
@environment_argument
@output_option
@pass_tool
def list_disks(tool: Tool, env: str, fmt: Format) -> None:
    """Show the data disks of ENV and their snapshots."""
    from samovar.deploy.snapshots import inventory

    _, session = tool.open(env)
    disks = inventory(session, env)
    show(disks, fmt, _tables(disks))


@disk.command()
@environment_argument
@click.argument("group", required=False)
@click.option("--disk", "name", help="Another data disk of ENV by its name, such as a replaced one.")
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="When a snapshot must be complete.")
@pass_tool
def snapshot(tool: Tool, env: str, group: str | None, name: str | None, timeout: float) -> None:
    """Take a snapshot of each data disk of GROUP, or of all of ENV, and print its name.

    Messages tell for how long a machine cannot write meanwhile, where the cloud knows that, and afterwards for how
    long it could not.
    """
    from samovar.deploy.snapshots import begin_snapshot, data_disks, required_disk_names

    tool.name_project()
    environment, session = tool.open(env)
    names = [name] if name else required_disk_names(environment, group)
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
    """Replace a data disk of a group in ENV by a disk made from SNAPSHOT.

    The former disk is kept, under another name. The next rollout attaches the new one. After an interruption, run the
    same command again.
    """
    from samovar.deploy.lock import locked
    from samovar.deploy.restore import restore as put_in_place
    from samovar.deploy.snapshots import find_snapshot

    tool.name_project()
    environment, session = tool.open(env)
    chosen = find_snapshot(session, env, snapshot)
    agree(f"Replace a data disk of {env} by a disk made from {chosen.name}?", yes=yes)
    with locked(session, env):
        put_in_place(session, environment, chosen, stderr_reporter())
    stderr_reporter().info(f"next: {command_line(f'rollout {env}')}")


@disk.command()
@environment_argument
@click.argument("name", nargs=-1, required=True)
@yes_option
@pass_tool
def delete(tool: Tool, env: str, name: tuple[str, ...], *, yes: bool) -> None:
    """Delete snapshots, and data disks that no group of ENV has any more, by NAME, for good."""
    from samovar.deploy.snapshots import begin_deletion, find_deletable

    tool.name_project()
    environment, session = tool.open(env)
    chosen = [find_deletable(session, environment, each) for each in name]
    agree(f"Delete {', '.join(each.name for each in chosen)} for good?", yes=yes, irreversible=True)
    for each in chosen:
        session.finish(begin_deletion(session, each), what=f"delete {each.name}")


def _chosen(env: str, disks: list[Disk], names: list[str]) -> list[Disk]:
    chosen = [each for each in disks if each.name in names]
    if missing := ", ".join(sorted({*names} - {each.name for each in chosen})):
        existing = ", ".join(each.name for each in disks) or "none"
        raise ConfigError(f"{env} has no {missing} in the cloud", remedy=f"its disks there: {existing}")
    return chosen


def _tables(inventory: Inventory) -> list[RenderableType]:
    disks = [
        (
            each.name,
            each.id,
            each.group,
            f"{each.size / GIB:g} GiB",
            each.status,
            _use(each.attached),
            each.schedule or "-",
        )
        for each in inventory.disks
    ]
    taken = [
        (each.name, each.group, date_time(each.created), f"{each.stored / MIB:.0f} MiB", each.status, each.disk)
        for each in inventory.snapshots
    ]
    return [
        table(("DISK", "ID", "GROUP", "SIZE", "STATUS", "USE", "SCHEDULE"), disks),
        table(("SNAPSHOT", "GROUP", "TAKEN (UTC)", "STORED", "STATUS", "OF"), taken),
    ]


def _use(attached: bool) -> str:  # noqa: FBT001 - a cell of a table
    return "attached" if attached else "-"
