"""The command `up`: from an edited project to an environment that answers."""

from __future__ import annotations

import rich_click as click

from samovar.cli.context import environment_argument, examples, yes_option
from samovar.cli.environment import rollout
from samovar.cli.images import bake


@click.command(epilog=examples("up dev", "up dev --yes"))
@environment_argument
@yes_option
@click.pass_context
def up(context: click.Context, env: str, *, yes: bool) -> None:
    """Bake the images that ENV lacks, roll it out, and print its addresses.

    It is `bake --env ENV` and `rollout ENV`, one after the other. What did not change is left alone.
    """
    context.invoke(bake, env=env)
    context.invoke(rollout, env=env, yes=yes)
