"""The search for the project, and the error where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from jinja2.exceptions import SecurityError

from samovar.cli.main import cli, main
from samovar.cli.options import complete_environment
from samovar.cloudinit.metadata import user_data
from samovar.core.errors import ConfigError, ExitCode
from samovar.project.project import find_project
from tests.support.checkout import ROOT

OTHER_USER = 65534


def project(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "samovar.yaml").touch()
    return folder


def test_the_project_is_the_nearest_folder_above_that_has_the_file(tmp_path: Path) -> None:
    outer, inner = project(tmp_path / "a"), project(tmp_path / "a/b")
    (inner / "images/web").mkdir(parents=True)
    assert find_project(inner / "images/web").folder == inner
    assert find_project(outer, otherwise=inner).folder == outer


def test_a_project_that_is_named_goes_before_the_one_around(tmp_path: Path) -> None:
    outer, named = project(tmp_path / "a"), project(tmp_path / "b")
    actual = find_project(outer, named=named, envs=tmp_path / "envs")
    assert (actual.folder, actual.envs, actual.images) == (named, tmp_path / "envs", named / "images")


def test_outside_of_any_project_it_is_the_checkout_of_cli_py(tmp_path: Path) -> None:
    assert find_project(tmp_path, otherwise=ROOT).folder == ROOT


def test_a_project_of_another_user_is_taken_only_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can put a samovar.yaml into /tmp, and a bake runs the scripts of its images as root."""
    outer = project(tmp_path / "a")
    if os.geteuid() == 0:
        os.chown(outer / "samovar.yaml", OTHER_USER, OTHER_USER)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: OTHER_USER)
    inner = outer / "work"
    inner.mkdir()
    with pytest.raises(ConfigError, match="belongs to") as error:
        find_project(inner)
    assert f"--project {outer}" in error.value.remedy
    assert find_project(inner, named=outer).folder == outer
    assert find_project(inner, otherwise=outer).folder == outer
    monkeypatch.setenv("SUDO_UID", str((outer / "samovar.yaml").stat().st_uid))
    assert find_project(inner).folder == outer


@pytest.mark.parametrize("named", [False, True])
def test_without_a_project_the_error_names_the_remedy(tmp_path: Path, *, named: bool) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path)) as error:
        find_project(tmp_path, named=tmp_path if named else None)
    assert "--project" in error.value.remedy
    assert "touch samovar.yaml" in error.value.remedy


def test_the_command_line_reads_the_project_that_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["render", "dev", "nginx"]) == ExitCode.CONFIG
    assert "--project or SAMOVAR_PROJECT" in capsys.readouterr().err
    assert main(["--project", str(ROOT), "render", "dev", "nginx"]) == ExitCode.OK
    monkeypatch.setenv("SAMOVAR_PROJECT", str(ROOT))
    assert main(["render", "dev", "nginx"]) == ExitCode.OK


def test_the_cloud_init_template_is_the_projects_own_or_the_librarys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path / "a")
    for name in ("images", "groups", "envs"):
        (folder / name).symlink_to(ROOT / name)
    arguments = ["--project", str(folder), "render", "dev", "nginx", "-o", "json"]
    assert main(arguments) == ExitCode.OK
    assert "preserve_hostname: false" in capsys.readouterr().out
    (folder / "cloudinit").mkdir()
    (folder / "cloudinit/user-data.yaml.j2").write_text("#cloud-config\nown: true\n")
    assert main(arguments) == ExitCode.OK
    assert "own: true" in capsys.readouterr().out


def test_a_cloud_init_template_is_no_link_out_of_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Machines read it, and a project may be somebody else's."""
    folder = project(tmp_path / "a")
    for name in ("images", "groups", "envs"):
        (folder / name).symlink_to(ROOT / name)
    (tmp_path / "id_ed25519").write_text("private")
    (folder / "cloudinit").mkdir()
    (folder / "cloudinit/user-data.yaml.j2").symlink_to(tmp_path / "id_ed25519")
    assert main(["--project", str(folder), "render", "dev", "nginx"]) == ExitCode.CONFIG
    assert "a link that leads out of the project" in capsys.readouterr().err


def test_a_cloud_init_template_runs_nothing_here(tmp_path: Path) -> None:
    """A plan of a project that somebody gave us reads it, and no more."""
    template = tmp_path / "user-data.yaml.j2"
    template.write_text(f"{{{{ cycler.__init__.__globals__.os.system('touch {tmp_path}/ran') }}}}")
    with pytest.raises(SecurityError, match="unsafe"):
        user_data(template)
    assert not (tmp_path / "ran").exists()


def test_completion_names_the_environments_of_the_project_and_is_silent_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with cli.make_context("samovar", ["--project", str(ROOT)], resilient_parsing=True) as context:
        assert complete_environment(context, click.Argument(["env"]), "de") == ["dev"]
    with cli.make_context("samovar", [], resilient_parsing=True) as context:
        assert complete_environment(context, click.Argument(["env"]), "") == []
