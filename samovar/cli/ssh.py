"""The command `ssh`, for operators whom the environment names."""

from __future__ import annotations

import tempfile
from pathlib import Path

import rich_click as click

from samovar.cli.context import Tool, environment_argument, identity_option, pass_tool


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
    from samovar.ops.ssh import host_keys, jump_path, ssh_config

    environment, session = tool.open(env)
    hops = jump_path(session, environment, machine)
    with tempfile.TemporaryDirectory(prefix="samovar-ssh-") as folder:
        key_file, config = Path(folder, "known_hosts"), Path(folder, "config")
        key_file.write_text(host_keys(hops))
        config.write_text(ssh_config(hops, str(key_file), str(identity.absolute()) if identity else None))
        return run_attached(["ssh", "-F", config, hops[-1].name, *command])
