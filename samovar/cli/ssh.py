"""The command `ssh`, for operators whom the environment names."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import environment_argument, identity_option


@click.command(context_settings={"ignore_unknown_options": True})
@environment_argument
@click.argument("machine")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@identity_option
@pass_tool
def ssh(tool: Tool, env: str, machine: str, command: tuple[str, ...], identity: Path | None) -> int:
    """Log in to MACHINE of ENV, or run COMMAND there: `ssh dev nginx-1 -- journalctl -u nginx`.

    The connection goes through the bastion's group. The file of ENV names the allowed keys, as
    `operator: {ssh_keys: [...]}`; without it SSH is disabled. Host keys are read from the serial consoles. The exit
    code is that of ssh.
    """
    from samovar.core.spawn import run_attached
    from samovar.ops.ssh import ssh_command

    environment, session = tool.open(env)
    with ssh_command(session, environment, machine, identity) as login:
        return run_attached([*login, *command])
