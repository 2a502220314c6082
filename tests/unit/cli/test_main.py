"""The command line as scripts and people meet it: exit codes, messages with remedies, nothing heavy for `--help`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import click
import pytest
import rich_click

from samovar.cli import confirm, context
from samovar.cli.main import cli, main
from samovar.core.errors import CloudError, ConfigError, ExitCode, HostError, ProcessFailed, SamovarError, WaitTimeout
from tests.support.checkout import ROOT

LIGHT = """
import sys
from samovar.cli.main import main
code = main(["--help"])
heavy = {"grpc", "pydantic", "google.protobuf", "yaml", "sh", "asyncio", "tenacity", "logging"} & set(sys.modules)
sys.exit(f"--help loaded {sorted(heavy)}" if heavy else code)
"""
DEBUGGED = """
from unittest.mock import patch
from samovar.cli.context import Tool
from samovar.cli.main import main
from samovar.core.process import run
with patch.object(Tool, "environment", lambda *_: run(["true"])):
    main(["--debug", "render", "dev", "nginx"])
"""
PLANNING = """
import sys
import samovar.cloud.connect, samovar.deploy.rollout
heavy = {"structlog", "rich", "sh", "aiohttp"} & set(sys.modules)
sys.exit(f"a plan loaded {sorted(heavy)}" if heavy else 0)
"""


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("bake", "images", "render", "plan", "rollout", "status", "destroy", "cloud"):
        assert name in done.stdout


def test_a_plan_loads_only_what_it_needs() -> None:
    done = subprocess.run([sys.executable, "-c", PLANNING], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_debug_shows_each_process_that_is_started() -> None:
    command = [sys.executable, "-c", DEBUGGED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[0].endswith(" run true")


def test_without_a_virtual_environment_the_error_names_make_setup(tmp_path: Path) -> None:
    alone = tmp_path / "cli.py"
    shutil.copy(ROOT / "cli.py", alone)
    done = subprocess.run([alone, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.HOST
    assert "make setup" in done.stderr


def test_it_runs_from_anywhere_and_through_a_link(tmp_path: Path) -> None:
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    python = bin_folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "samovar").symlink_to(ROOT / "samovar")
    shutil.copy(ROOT / "cli.py", tmp_path / "cli.py")
    link = tmp_path / "tool"
    link.symlink_to(tmp_path / "cli.py")
    done = subprocess.run([link, "--version"], cwd="/", capture_output=True, text=True, check=False)
    assert done.stdout.startswith("samovar")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SamovarError("it broke", remedy="mend it"), ExitCode.FAILURE),
        (ConfigError("it broke", remedy="mend it"), ExitCode.CONFIG),
        (CloudError("it broke", remedy="mend it"), ExitCode.CLOUD),
        (WaitTimeout("it broke", remedy="mend it"), ExitCode.TIMEOUT),
        (ProcessFailed("it broke", returncode=1, output="", remedy="mend it"), ExitCode.PROCESS),
        (HostError("it broke", remedy="mend it"), ExitCode.HOST),
        (confirm.Declined("it broke", remedy="mend it"), ExitCode.DECLINED),
    ],
)
def test_an_error_becomes_message_remedy_and_exit_code(
    error: SamovarError, code: ExitCode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(context.Tool, "open", raising(error))
    assert main(["plan", "dev"]) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "samovar: it broke\n  remedy: mend it\n")


def test_an_unexpected_error_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(context.Tool, "open", raising(ZeroDivisionError("by zero")))
    assert main(["plan", "dev"]) == ExitCode.FAILURE
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--debug", "plan", "dev"]) == ExitCode.FAILURE
    assert "Traceback" in capsys.readouterr().err


def test_a_package_that_the_virtual_environment_lacks_is_for_make_setup(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = "No module named 'rich_click'"
    monkeypatch.setattr(context.Tool, "open", raising(ModuleNotFoundError(lacking)))
    assert main(["plan", "dev"]) == ExitCode.HOST
    assert capsys.readouterr().err == f"samovar: {lacking}\n  remedy: run make setup\n"
    (tmp_path / "rich_click.py").write_text(f'raise ModuleNotFoundError("{lacking}")\n')
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run([ROOT / "cli.py", "--help"], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (ExitCode.HOST, f"samovar: {lacking}\n  remedy: run make setup\n")


def test_debug_by_the_environment_shows_the_traceback_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMOVAR_DEBUG", "1")
    monkeypatch.setattr(context.Tool, "open", raising(ZeroDivisionError("by zero")))
    assert main(["plan", "dev"]) == ExitCode.FAILURE
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(context.Tool, "open", raising(KeyboardInterrupt()))
    assert main(["plan", "dev"]) == ExitCode.INTERRUPTED
    assert "run the command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["frobnicate"],
        ["plan"],
        ["plan", "dev", "-o", "xml"],
        ["rollout", "dev", "--nope"],
        ["rollout", "dev", "--timeout", "-5"],
        ["disk", "snapshot", "dev", "--timeout", "0"],
    ],
)
def test_a_wrong_command_line_ends_with_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == ExitCode.USAGE
    assert "--help" in capsys.readouterr().err


def test_an_unknown_environment_or_group_names_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "nowhere"]) == ExitCode.CONFIG
    assert "remedy: environments: dev, prod" in capsys.readouterr().err
    assert main(["render", "dev", "nothing"]) == ExitCode.CONFIG
    assert "nginx" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message", "remedy"),
    [
        (["dev", "bingo"], "dev has no group that collects journals: the journals of group bingo", "such as bingo-1"),
        (["dev", "dev-bingo"], "dev has no group that collects journals: the journals of group bingo", "bingo-1"),
        (["dev"], "dev has no group that collects journals: the journals are nowhere together", "such as nginx-1"),
        (["dev", "bingo", "--console"], "each machine has a console of its own", "such as bingo-1"),
    ],
)
def test_the_journals_of_a_group_need_one_that_collects_them(
    argv: list[str], message: str, remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    assert main(["--home", str(home), "logs", *argv], checkout=ROOT) == ExitCode.CONFIG
    assert not home.exists(), "no cloud is started for an answer that the files have"
    error = capsys.readouterr().err
    assert message in error
    assert remedy in error


def test_render_shows_what_a_machine_is_born_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "dev", "nginx", "-o", "json"]) == ExitCode.OK
    metadata = json.loads(capsys.readouterr().out)
    assert metadata["user-data"].startswith("#cloud-config\n")
    assert metadata["samovar-role"] == "samovar-edge"


def test_a_cloud_that_does_not_run_is_reported_and_not_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    nothing: dict[str, list[str]] = {"warnings": [], "machines": [], "networks": []}
    assert main(["--home", str(home), "cloud", "status", "-o", "json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"running": False, "pid": None, **nothing}
    assert main(["--home", str(home), "cloud", "down"]) == ExitCode.OK
    assert not home.exists()


def contexts(command: click.Command, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield a context of each command, as click makes it for a command line."""
    prefix = None if parent else "SAMOVAR"
    name = command.name if parent else "samovar"
    current = click.Context(command, parent=parent, info_name=name, auto_envvar_prefix=prefix)
    yield current
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        yield from contexts(each, current)


def test_every_option_has_a_variable_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = set[str]()
    for current in contexts(cli):
        words = current.command_path.replace("-", "_").split()
        for option in (each for each in current.command.params if isinstance(each, click.Option)):
            long = next(each for each in option.opts if each.startswith("--")).removeprefix("--")
            variable = "_".join((*words, long.replace("-", "_"))).upper()
            monkeypatch.setenv(variable, "given")
            assert option.resolve_envvar_value(current) == "given", f"{current.command_path} --{long}"
            variables.add(variable)
    assert {"SAMOVAR_HOME", "SAMOVAR_PLAN_OUTPUT", "SAMOVAR_LOAD_FOR", "SAMOVAR_CLOUD_FAULT_LIST_OUTPUT"} <= variables


def test_every_command_and_option_has_a_help_text() -> None:
    def check(command: click.Command) -> None:
        assert command.help, command.name
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, (command.name, parameter.name)
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            check(inner)

    check(cli)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)


def test_off_a_terminal_there_is_no_prompt_and_no_irreversible_change() -> None:
    confirm.agree("Change everything?", yes=False)
    with pytest.raises(confirm.Unconfirmed) as error:
        confirm.agree("Delete everything?", yes=False, irreversible=True)
    assert (error.value.code, error.value.remedy) == (ExitCode.REFUSED, "give --yes")
    confirm.agree("Delete everything?", yes=True, irreversible=True)


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_a_no_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich_click, "confirm", lambda *_, **__: False)
    with pytest.raises(confirm.Declined):
        confirm.agree("Delete everything?", yes=False)
    confirm.agree("Delete everything?", yes=True)


def test_a_name_is_confirmed_or_typed_and_yes_is_no_name() -> None:
    confirm.agree_by_name("Delete dev?", "dev", "dev", yes=False)
    for yes in (False, True):
        with pytest.raises(confirm.Unconfirmed, match="Delete dev") as error:
            confirm.agree_by_name("Delete dev?", "dev", None, yes=yes)
        assert error.value.remedy == "give --confirm dev"
    with pytest.raises(confirm.Declined, match="prod is not dev"):
        confirm.agree_by_name("Delete dev?", "dev", "prod", yes=True)


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_the_name_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for typed, refused in (("dev", False), ("y", True), ("", True)):
        monkeypatch.setattr(rich_click, "prompt", lambda *_, answer=typed, **__: answer)
        with pytest.raises(confirm.Declined) if refused else nullcontext():
            confirm.agree_by_name("Delete dev?", "dev", None, yes=False)
    with pytest.raises(confirm.Unconfirmed):
        confirm.agree_by_name("Delete dev?", "dev", None, yes=True)


@pytest.mark.parametrize("arguments", [[], ["--delete-data"], ["--delete-data", "--yes"]])
def test_destroy_off_a_terminal_is_refused_before_any_cloud_is_asked(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    assert main(["--home", str(home), "destroy", "dev", *arguments]) == ExitCode.REFUSED
    assert f"remedy: give {'--confirm dev' if arguments else '--yes'}" in capsys.readouterr().err
    assert not home.exists()


def test_a_protected_environment_is_not_destroyed_whatever_is_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "envs" / "dev"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text((ROOT / "envs/dev/config.yaml").read_text() + "deletion_protection: true\n")
    base = ["--home", str(tmp_path / "home"), "--envs", str(folder.parent), "destroy", "dev"]
    assert main([*base, "--yes", "--delete-data", "--confirm", "dev"]) == ExitCode.REFUSED
    assert "deletion_protection: false" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
