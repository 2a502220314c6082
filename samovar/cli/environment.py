"""The commands that change an environment: render, plan, rollout, up, destroy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.confirm import agree, agree_by_name, at_terminal
from samovar.cli.context import Tool, pass_tool
from samovar.cli.images import bake
from samovar.cli.options import Duration, environment_argument, examples, output_option, yes_option
from samovar.core.errors import command_line
from samovar.core.output import Format, show, stderr_reporter, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from samovar.deploy.plan import Plan
    from samovar.deploy.resources.resource import Unchanged

USED = "exists already, and is never changed or deleted"


@click.command()
@environment_argument
@click.argument("group")
@output_option
@pass_tool
def render(tool: Tool, env: str, group: str, fmt: Format) -> None:
    """Show the user-data and the metadata of the machines of GROUP in ENV."""
    from rich.text import Text

    from samovar.deploy.group_metadata import machine_metadata

    environment = tool.environment(env)
    metadata = machine_metadata(environment, environment.group(group))
    show(metadata, fmt, [Text(f"# {key}\n{value.rstrip()}\n") for key, value in sorted(metadata.items())])


@click.command()
@environment_argument
@output_option
@pass_tool
def plan(tool: Tool, env: str, fmt: Format) -> None:
    """Show what a rollout of ENV would create, update, replace and delete, and why."""
    from samovar.deploy.rollout import prepare

    environment, session = tool.open(env)
    prepared = prepare(session, environment)
    for text in prepared.warnings:
        stderr_reporter().info(text)
    show(prepared.plan, fmt, plan_table(prepared.plan))


@click.command()
@environment_argument
@yes_option
@click.option(
    "--timeout",
    type=Duration(),
    help="The time without a change after which it gives up.  [default: 10m; on Yandex Cloud 30m]",
)
@pass_tool
def rollout(tool: Tool, env: str, timeout: float | None, *, yes: bool) -> None:
    """Carry out the plan of ENV and wait until every machine is healthy."""
    from samovar.deploy.lock import locked
    from samovar.deploy.preconditions import check_deletions, check_groups_act, irreplaceable
    from samovar.deploy.rollout import prepare, roll_out

    tool.name_project()
    environment, session = tool.open(env)
    with locked(session, env):
        prepared = prepare(session, environment)
        _report_plan(prepared.plan)
        for text in prepared.warnings:
            stderr_reporter().info(text)
        for kept in prepared.plan.kept:
            stderr_reporter().info(f"keep {kept}: {_why_kept(env, kept)}")
        check_deletions(prepared.plan)
        check_groups_act(prepared.plan, prepared.observed)
        if prepared.plan.all_steps:
            agree(_question(prepared.plan), yes=yes, irreversible=bool(irreplaceable(prepared.plan)))
        done = roll_out(session, environment, prepared, stderr_reporter(), timeout=timeout)
    for url in done.endpoints.all:
        click.echo(url)


@click.command()
@environment_argument
@yes_option
@click.option("--delete-data", is_flag=True, help="Also delete all data disks, with all data on them.")
@click.option("--confirm", metavar="ENV", help="The name of ENV again: confirms --delete-data.")
@click.option("--keep-address", is_flag=True, help="Keep reserved public addresses (DNS records stay valid).")
@pass_tool
def destroy(tool: Tool, env: str, confirm: str | None, *, yes: bool, delete_data: bool, keep_address: bool) -> None:
    """Delete ENV in the cloud, except its data disks, which the next rollout attaches again.

    Data disks with `on_destroy: delete` go all the same.

    Images and snapshots are kept in any case: `images --prune` and `disk delete` delete them. Off a terminal, give
    --yes, and with --delete-data --confirm ENV. `deletion_protection: true` in the file of ENV forbids it.
    """
    from samovar.deploy.lock import locked
    from samovar.deploy.preconditions import check_file
    from samovar.deploy.rollout import prepare_destruction, still_billed, tear_down
    from samovar.deploy.snapshots import snapshots
    from samovar.images.publish import published

    tool.name_project()
    environment = tool.environment(env)
    check_file(environment)
    confirm_destruction = _consent(env, confirm, yes=yes, delete_data=delete_data)
    if not at_terminal():
        confirm_destruction()
    session = tool.session_of(environment)
    with locked(session, env):
        prepared = prepare_destruction(session, environment, delete_data=delete_data, keep_address=keep_address)
        _report_plan(prepared.plan)
        for kept in prepared.kept:
            stderr_reporter().info(f"keep {kept.ref} ({kept.id})")
        taken = snapshots(session, env)
        for each in taken:
            stderr_reporter().info(f"keep snapshot {each.name} ({each.id})")
        if prepared.plan.all_steps:
            confirm_destruction()
            tear_down(session, prepared, stderr_reporter())
        if text := still_billed(prepared.kept, snapshots=len(taken), images=len(published(session))):
            stderr_reporter().info(text)


def _consent(env: str, confirm: str | None, *, yes: bool, delete_data: bool) -> Callable[[], None]:
    """Return a function that asks for the confirmation of a destruction, and raises without it."""
    if delete_data or confirm is not None:
        return partial(agree_by_name, f"Delete all of {env}?", env, confirm, yes=yes)
    return partial(agree, f"Delete all of this in {env}?", yes=yes, irreversible=True)


def _question(the_plan: Plan) -> str:
    from samovar.deploy.preconditions import irreplaceable

    names = ", ".join(str(existing.ref) for existing in irreplaceable(the_plan))
    return f"Carry out these changes in {the_plan.environment}?{f' This is lost for good: {names}.' if names else ''}"


def _report_plan(the_plan: Plan) -> None:
    """These commands show the plan on stderr: it is not their output."""
    for used in the_plan.used:
        stderr_reporter().info(f"use {used}: {USED}")
    for step in the_plan.all_steps:
        stderr_reporter().info(f"{step.action} {step.ref}: {step.reason}")
    stderr_reporter().info(the_plan.summary())


def _why_kept(env: str, kept: Unchanged) -> str:
    """No rollout deletes data that the environment no longer mentions, and the cloud bills it."""
    from samovar.deploy.resources.resource import Kind

    reason = "no longer part of the environment; it stays, and is billed"
    if kept.kind is not Kind.DISK:
        return f"{reason}, for it says what a data disk holds"
    return f"{reason}, until `{command_line(f'disk delete {env} {kept.name}')}`"


def plan_table(the_plan: Plan) -> list[RenderableType]:
    """Return the plan for people: what is used, changed and kept, each with its reason."""
    rows = [("use", used.kind.value, used.name, f"{used.id}: {USED}") for used in the_plan.used]
    rows += [(step.action.value, step.ref.kind.value, step.ref.name, step.reason) for step in the_plan.all_steps]
    rows += [
        ("keep", kept.kind.value, kept.name, f"{kept.id}: {_why_kept(the_plan.environment, kept)}")
        for kept in the_plan.kept
    ]
    tables = [table(("ACTION", "KIND", "NAME", "REASON"), rows)] if rows else []
    return [*tables, the_plan.summary()]


@click.command(epilog=examples("up dev", "up dev --yes"))
@environment_argument
@yes_option
@pass_tool
@click.pass_context
def up(context: click.Context, tool: Tool, env: str, *, yes: bool) -> None:
    """Bake the images that ENV lacks, roll it out, and print its addresses.

    It is `bake --env ENV` and `rollout ENV`, one after the other. What did not change is left alone. What would keep
    ENV from being rolled out, such as a secret without a value, is found before the bake.
    """
    from samovar.deploy.rollout import check_environment

    tool.name_project()
    environment, session = tool.open(env)
    check_environment(session, environment)
    context.invoke(bake, env=env)
    context.invoke(rollout, env=env, yes=yes)
