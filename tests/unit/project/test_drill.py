"""Drills as files: what is read from them, what the command line adds, and what is not as expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.cli.main import main
from samovar.core.errors import ConfigError, ExitCode
from samovar.project.drill import FaultKind, load_drill
from samovar.project.load_profile import profile_names
from tests.support.checkout import ROOT
from tests.support.documentation import yaml_blocks

DRILLS = ROOT / "drills"


def test_the_drill_of_the_documentation_loads(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml_blocks("A drill")[0])
    drill = load_drill(tmp_path, "mine").with_arguments(["nginx", "nginx.service"])
    assert (drill.fault, drill.target, drill.unit) == (FaultKind.CRASH, "nginx", "nginx.service")


@pytest.mark.parametrize("name", sorted(path.stem for path in DRILLS.glob("*.yaml")))
def test_each_drill_of_the_project_loads_and_names_a_load_profile(name: str) -> None:
    drill = load_drill(DRILLS, name)
    assert drill.description
    assert drill.load.profile in profile_names(ROOT / "loads")


def test_arguments_fill_placeholders_and_options_override() -> None:
    drill = load_drill(DRILLS, "operation").with_arguments(["bingo", "1000003"])
    assert (drill.fault, drill.target, drill.all_machines) == (FaultKind.REQUEST, "bingo", True)
    assert drill.request
    assert (drill.request.body, drill.request.times) == ({"operation": 1000003}, 1)
    changed = drill.with_overrides(unit="bingo.service", times=3)
    assert changed.request
    assert (changed.unit, changed.request.times) == ("bingo.service", 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fault: burn\ntarget: a", "mine.yaml:1: fault: Input should be 'kill', 'stop', 'crash' or 'request'"),
        ("fault: kill", "mine.yaml:1: target: the key is missing"),
        ("fault: kill\ntarget: a\nexpect: {seconds: 1}", "mine.yaml:3: expect.seconds: unknown key"),
        ("fault: crash\ntarget: a", "the fault crash needs a unit"),
        ("fault: request\ntarget: a", "`request` stands with the fault request"),
        ('fault: kill\ntarget: "{group}"', "nothing fills {group}: add group to arguments"),
    ],
)
def test_an_invalid_drill_names_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load_drill(tmp_path, "mine")
    assert message in str(error.value)


def test_each_drill_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(ROOT), "drill", "dev", "--help"]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in ("kill", "stop", "crash", "operation", "database-power"))


def test_a_drill_rejects_a_wrong_number_of_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "samovar.yaml").touch()
    (tmp_path / "drills").mkdir()
    (tmp_path / "drills/mine.yaml").write_text(
        "fault: kill\ntarget: '{group}'\narguments: [group]\ndescription: kills one"
    )
    cli = ("--project", str(tmp_path), "--home", str(tmp_path / "none"), "drill", "dev")
    assert main([*cli, "mine"]) == ExitCode.USAGE
    assert "mine takes GROUP: kills one" in capsys.readouterr().err
    assert main([*cli, "other"]) == ExitCode.USAGE
