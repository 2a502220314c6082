"""The program: its global options, its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click
from click.exceptions import Exit

from samovar import __version__
from samovar.cli.add import add
from samovar.cli.certify import certify
from samovar.cli.cloud import cloud
from samovar.cli.context import Choice, Tool
from samovar.cli.dashboard import dashboard
from samovar.cli.disk import disk
from samovar.cli.doctor import doctor
from samovar.cli.drill import drill
from samovar.cli.environment import destroy, plan, render, rollout, up
from samovar.cli.events import events
from samovar.cli.images import bake, images
from samovar.cli.init import init
from samovar.cli.load import load
from samovar.cli.logs import logs
from samovar.cli.metrics import metrics
from samovar.cli.secret import secret
from samovar.cli.ssh import ssh
from samovar.cli.status import status
from samovar.core.errors import ExitCode, SamovarError
from samovar.core.output import printable
from samovar.core.paths import default_home


class Guarded(click.RichGroup):
    """Turns errors into a message, a remedy and an exit code; a traceback is shown only with --debug."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if isinstance(ctx.obj, Tool):
                ctx.obj.cancel_awaited()
            raise
        except (click.ClickException, click.Abort, Exit, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort
            if ctx.params["debug"]:
                import traceback

                click.echo(traceback.format_exc(), err=True, nl=False)
            return _fail(error)


PREFIX = "SAMOVAR"
"""The beginning of the names of variables that give options."""


@click.group(cls=Guarded, context_settings={"auto_envvar_prefix": PREFIX, "help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_home,
    show_default=str(default_home()),
    show_envvar=True,
    help="State folder of the local cloud. Each folder is a separate cloud.",
)
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    show_default="the nearest folder with samovar.yaml, from the working directory upwards, else that of cli.py",
    show_envvar=True,
    help="Project folder, with images, groups, envs, loads and drills.",
)
@click.option(
    "--envs",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    show_default="envs/ of the project",
    show_envvar=True,
    help="Folder of the environments, each with a config.yaml.",
)
@click.option(
    "--token",
    default="",
    help="IAM or OAuth token for Yandex Cloud; YC_TOKEN keeps it from other users of this host.",
)
@click.option("--debug", is_flag=True, show_envvar=True, help="Log every process, and show the traceback of an error.")
@click.version_option(__version__, prog_name="samovar")
@click.pass_context
def cli(
    context: click.Context, home: Path, project: Path | None, envs: Path | None, token: str, *, debug: bool
) -> None:
    """Bake machine images, and deploy them as self-healing instance groups.

    The same API calls go to Yandex Cloud, or to the bundled local cloud, whose machines are real. Start with `up dev`
    and `status dev`; clean up with `destroy dev`, `cloud down`.

    Completion: `eval "$(_SAMOVAR_COMPLETE=bash_source samovar)"`, in a checkout
    `eval "$(_CLI_PY_COMPLETE=bash_source ./cli.py)"`; or `zsh_source`, `fish_source`.
    """
    context.obj = Tool(home.absolute(), token, Choice(project, envs, context.obj))
    if debug:
        _log_processes()


for command in (
    init,
    add,
    up,
    bake,
    images,
    render,
    plan,
    rollout,
    status,
    events,
    dashboard,
    logs,
    metrics,
    ssh,
    disk,
    secret,
    load,
    drill,
    destroy,
    doctor,
    cloud,
    certify,
):
    cli.add_command(command)


def _name_variables(command: click.Command, prefix: str) -> None:
    """Name the variable of each option by the option: click names it by the parameter of the function."""
    for option in command.params:
        names = [each.removeprefix("--").replace("-", "_") for each in option.opts if each.startswith("--")]
        if names and option.name not in names:
            option.envvar = f"{prefix}_{names[0].upper()}"
    for name, each in command.commands.items() if isinstance(command, click.Group) else ():
        _name_variables(each, f"{prefix}_{name.upper().replace('-', '_')}")


_name_variables(cli, PREFIX)


def main(arguments: list[str] | None = None, *, program: str = "samovar", checkout: Path | None = None) -> int:
    """Run one command line and return its exit code, one of ExitCode.

    `program` is the name that usage messages show; `checkout` is the folder of the `cli.py` that was started.
    """
    argv = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(argv, prog_name=program, standalone_mode=False, obj=checkout)
    except Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _print_error("interrupted", "run the command again, and it goes on from there")
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return code if isinstance(code, int) else ExitCode.OK


def _fail(error: Exception) -> ExitCode:
    if isinstance(error, SamovarError):
        _print_error(error.message, error.remedy)
        return error.code
    if isinstance(error, ModuleNotFoundError):  # the locks are newer than .venv
        _print_error(str(error), "run make setup")
        return ExitCode.HOST
    _print_error(f"unexpected {type(error).__name__}: {error}", "run again with --debug and report it")
    return ExitCode.FAILURE


def _print_error(message: str, remedy: str) -> None:
    click.echo(f"samovar: {printable(message)}", err=True)
    if remedy:
        click.echo(f"  remedy: {printable(remedy)}", err=True)


def _log_processes() -> None:
    """Let the gateways log to stderr what they start."""
    import logging

    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("samovar").setLevel(logging.DEBUG)
