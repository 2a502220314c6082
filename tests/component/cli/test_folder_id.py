"""An environment says which folder it belongs to: credentials that lead elsewhere change nothing there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from samovar.cli.main import main
from samovar.core.errors import ExitCode
from tests.support.checkout import ROOT
from tests.support.simulated import RunningCloud, set_yandex_variables

Command = Callable[..., tuple[int, str, str]]
OTHER = "b1gother0000000000000"


@pytest.fixture
def command(
    cloud: RunningCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command on `dev`, whose file has these lines more; return exit code, stderr and stdout."""
    text = (ROOT / "tests/envs/edges/config.yaml").read_text().replace("cloud: local", "cloud: yandex")
    set_yandex_variables(cloud, monkeypatch)
    (tmp_path / "envs/dev").mkdir(parents=True)

    def run(lines: str, *arguments: str) -> tuple[int, str, str]:
        (tmp_path / "envs/dev/config.yaml").write_text(f"{lines}{text}")
        code = main(["--home", str(tmp_path / "none"), "--envs", str(tmp_path / "envs"), *arguments])
        shown, output = capsys.readouterr()
        return code, output, shown

    return run


def changes(cloud: RunningCloud) -> str:
    """All calls so far that change something."""
    return cloud.home.calls.read_text() if cloud.home.calls.exists() else ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "dev"),
        ("rollout", "dev", "--yes"),
        ("destroy", "dev", "--yes"),
        ("status", "dev"),
        ("bake", "--env", "dev"),
        ("logs", "dev", "nginx-1"),
    ],
)
@pytest.mark.parametrize("key", ["folder", "cloud_id"])
def test_credentials_of_another_folder_are_refused_before_anything_is_done(
    cloud: RunningCloud, command: Command, key: str, arguments: tuple[str, ...]
) -> None:
    ends = cloud.endpoint
    leads_to = {"folder": ends.folder_id, "cloud_id": ends.cloud_id}[key]
    before = changes(cloud)
    code, output, _ = command(f"{key}: {OTHER}\n", *arguments)
    assert code == ExitCode.CONFIG
    assert f"dev belongs to {key} {OTHER}, but a token leads to {key} {leads_to}: nothing was done" in output
    assert changes(cloud) == before


def test_a_variable_does_not_vouch_for_the_cloud(
    cloud: RunningCloud, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YC_CLOUD_ID", OTHER)
    code, output, _ = command(f"cloud_id: {OTHER}\n", "status", "dev")
    assert (code, cloud.endpoint.cloud_id in output) == (ExitCode.CONFIG, True)


def test_without_folder_id_the_lines_to_paste_are_shown(cloud: RunningCloud, command: Command) -> None:
    ends = cloud.endpoint
    lines = f"folder: {ends.folder_id}\ncloud_id: {ends.cloud_id}\n"
    code, output, _ = command("", "status", "dev")
    assert (code, lines in output, "warning: " in output) == (ExitCode.OK, True, True)
    code, output, _ = command(lines, "status", "dev")
    assert (code, output) == (ExitCode.OK, "")


@pytest.mark.parametrize(("lines", "states"), [(f"folder: {OTHER}\n", ["ok", "failure"]), ("", ["ok", "warning"])])
def test_doctor_finds_credentials_of_another_folder(command: Command, lines: str, states: list[str]) -> None:
    _, _, shown = command(lines, "doctor", "dev", "-o", "json")
    assert [actual["state"] for actual in json.loads(shown)["findings"] if actual["area"] == "folder"] == states
