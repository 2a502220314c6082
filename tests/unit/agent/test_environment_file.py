"""systemd gives a unit exactly the variables that an environment's file states."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samovar.agent.inputs import Facts, Machine
from samovar.agent.render import DROPPED, environment_file, render
from samovar.agent.role import InvalidConfig, Value, read_role
from tests.support.checkout import ROOT
from tests.support.systemd_parser import read_environment_file

TEMPLATES = ROOT / "samovar/library/images/app/templates"
FACTS = Facts(Machine("epd1", "bingo-1", "bingo-1.ru-central1.internal", "10.30.0.3", "ru-central1-a"), "bingo", "")
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: not DROPPED.search(text))


def through_systemd(folder: Path, variables: dict[str, Value]) -> dict[str, str]:
    """Return the variables as systemd's own parser reads them from the library's template."""
    role = read_role("templates: [{source: application.env.j2, target: /etc/application/environment}]", "app.yaml")
    (file,) = render(role, {"environment": variables}, FACTS, lambda name: (TEMPLATES / name).read_text())
    path = folder / "environment"
    path.write_text(file.content, newline="")
    return read_environment_file(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(variables=st.dictionaries(NAMES, TEXTS, max_size=5))
def test_every_value_arrives_unchanged(tmp_path: Path, variables: dict[str, Value]) -> None:
    assert through_systemd(tmp_path, variables) == variables


@pytest.mark.parametrize(
    "value",
    [
        "host=a&sslmode=b <x> it's",
        '"quoted" and \\ and $HOME and `id`',
        "two\nLINES=1",
        "\t tab, and spaces at the end  ",
        "# no comment; and none here",
        "ends in a backslash\\",
        "\\\n",
        "",
        "чай",
    ],
)
def test_special_characters_arrive_unchanged(tmp_path: Path, value: str) -> None:
    assert through_systemd(tmp_path, {"DSN": value})["DSN"] == value


def test_numbers_and_booleans_arrive_as_in_yaml(tmp_path: Path) -> None:
    actual = through_systemd(tmp_path, {"PORT": 80, "DEBUG": True, "QUIET": False})
    assert (actual["PORT"], actual["DEBUG"], actual["QUIET"]) == ("80", "true", "false")


@pytest.mark.parametrize("name", ["", "1ST", "A B", "A-B", "A=B", "A\nB", "Ä", "A.B"])
def test_an_invalid_name_is_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidConfig, match="no name of an environment variable"):
        through_systemd(tmp_path, {name: "x"})


@pytest.mark.parametrize(
    "value", ["\r", "\x00", "\x1b[31m", "\x7f", "\ufffe", "\ufdd0", "\U0010ffff", None, 0.5, [], {}, "\ud800"]
)
def test_an_invalid_value_is_rejected_by_name(value: Value) -> None:
    with pytest.raises(ValueError, match=r"^DSN: "):
        environment_file({"DSN": value})
