"""Drills as files: what is read from them, what the command line adds, and what is not as expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.cli.main import main
from samovar.core.errors import ConfigError, ExitCode
from samovar.project.drill import LIBRARY_DRILLS, FurtherFault, load_drill
from samovar.project.fault import FaultKind
from samovar.project.load_profile import profile_names
from tests.support.checkout import ROOT
from tests.support.documentation import yaml_blocks

DRILLS = ROOT / "drills"


def test_the_drill_of_the_documentation_loads(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml_blocks("A drill")[0])
    drill = load_drill(tmp_path, "mine").with_arguments(["nginx", "nginx.service"])
    assert (drill.fault, drill.target, drill.unit) == (FaultKind.CRASH, "nginx", "nginx.service")


@pytest.mark.parametrize(
    "file", sorted([*DRILLS.glob("*.yaml"), *LIBRARY_DRILLS.glob("*.yaml")]), ids=lambda file: file.stem
)
def test_each_drill_has_an_expectation_and_a_load_profile(file: Path) -> None:
    drill = load_drill(file.parent, file.stem)
    assert drill.description
    assert drill.expectation.endswith(".")
    assert drill.load.profile in profile_names(ROOT / "loads")


def test_arguments_fill_placeholders_and_options_override() -> None:
    drill = load_drill(DRILLS, "operation").with_arguments(["bingo", "1000003"])
    assert (drill.fault, drill.target, drill.all_machines) == (FaultKind.REQUEST, "bingo", True)
    assert drill.request
    assert (drill.request.body, drill.request.times) == ({"operation": 1000003}, 1)
    changed = drill.with_overrides(unit="bingo.service", times=3)
    assert changed.request
    assert (changed.unit, changed.request.times) == ("bingo.service", 3)


def test_further_faults_have_arguments_as_well_and_decide_where_a_drill_is_possible(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "arguments: [group]\nfault: kill\ntarget: '{group}'\nalso: [{fault: kill, target: '{group}', after: 2}]\n"
    )
    drill = load_drill(tmp_path, "mine").with_arguments(["app"])
    assert [(cause.target, cause.fault) for cause in drill.causes] == [("app", FaultKind.KILL)] * 2
    assert (drill.local_only, drill.restores) == (False, False)
    also = (FurtherFault.model_validate({"fault": "freeze", "target": "app"}),)
    local = drill.model_copy(update={"also": also})
    assert (local.local_only, local.restores) == (True, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fault: burn\ntarget: a", "mine.yaml:1: fault: it should be 'kill', 'stop', 'crash', 'request', 'hang'"),
        ("fault: kill", "mine.yaml:1: target: the key is missing"),
        ("fault: kill\ntarget: a\nexpect: {seconds: 1}", "mine.yaml:3: expect.seconds: unknown key"),
        ("fault: crash\ntarget: a", "the fault crash needs `unit`"),
        ("fault: request\ntarget: a", "the fault request needs `request`"),
        ("fault: kill\ntarget: a\npeers: [b]", "`peers` stands with the fault cut, and with no other"),
        ("fault: cut\ntarget: a\npeers: [b, dns]", "the peer dns stands alone"),
        ("fault: rollout\ntarget: a", "the fault rollout needs `method`"),
        (
            "fault: cut\ntarget: a\npeers: [b]\nmethod: c",
            "`method` stands with the fault calls and rollout, and",
        ),
        (
            "fault: kill\ntarget: a\nalso: [{fault: hang, target: b}]",
            "also.0: the fault hang needs `unit`",
        ),
        (
            "fault: kill\ntarget: a\nalso: [{fault: request, target: b, request: {request: GET /}}]",
            "the fault `request` must be the first of a drill",
        ),
        ('fault: kill\ntarget: a\nalso: [{fault: kill, target: "{group}"}]', "nothing fills {group}"),
        ('fault: kill\ntarget: "{group}"', "nothing fills {group}: add group to arguments"),
    ],
)
def test_an_invalid_drill_names_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load_drill(tmp_path, "mine")
    assert message in str(error.value)


def test_a_drill_of_the_project_goes_before_one_of_the_library(tmp_path: Path) -> None:
    assert load_drill(tmp_path, "kill").arguments == ("target",)
    (tmp_path / "kill.yaml").write_text("fault: kill\ntarget: role:front\n")
    assert load_drill(tmp_path, "kill").target == "role:front"
    with pytest.raises(ConfigError, match="no drill other"):
        load_drill(tmp_path, "other")


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
