"""A config key by the list in docs/extending.md: a field of the environment's model, and nothing else to read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, Field

from samovar.core.errors import ConfigError
from samovar.project.environment import Environment
from samovar.project.environment import load_environment as load
from tests.support.checkout import project_in
from tests.support.environments import desired_of

CONFIG = """\
zones: [ru-central1-a]
network: {cidr: 10.30.0.0/16}
groups:
  web: {image: web, size: 1, machine: {core_fraction: 20, memory: 1G, disk: 5G}}
"""
DESCRIPTION = "the hour, in UTC, from which machines may be replaced"


def _hour(value: int) -> int:
    if value not in range(24):
        raise ValueError(f"an hour is 0 to 23; not {value}")
    return value


class ExtendedEnvironment(Environment):
    """Step 1: one field more, with a type, a description, and a default that leaves what exists as it is."""

    maintenance_hour: Annotated[int, AfterValidator(_hour)] = Field(default=3, description=DESCRIPTION)


@pytest.fixture(autouse=True)
def _extended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samovar.project.environment.Environment", ExtendedEnvironment)


def loaded(folder: Path, text: str) -> Environment:
    path = folder / "envs/dev/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (folder / "samovar.yaml").touch()
    return load("dev", project_in(folder))


def test_a_file_states_the_key_and_one_without_it_means_what_it_meant(tmp_path: Path) -> None:
    stated = loaded(tmp_path, CONFIG + "maintenance_hour: 5\n")
    before = loaded(tmp_path, CONFIG)
    assert [getattr(each, "maintenance_hour", None) for each in (stated, before)] == [5, 3]
    images = {"web": "samovar-web-0123456789ab"}
    assert desired_of(stated, images) == desired_of(before, images)


@pytest.mark.parametrize(
    ("value", "message"), [("24", "an hour is 0 to 23; not 24"), ("noon", "a whole number is expected")]
)
def test_a_wrong_value_names_file_and_line_and_what_is_right(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"envs/dev/config.yaml:5: maintenance_hour: .*{message}"):
        loaded(tmp_path, CONFIG + f"maintenance_hour: {value}\n")


def test_the_schema_that_is_published_has_the_key_with_its_description() -> None:
    field = ExtendedEnvironment.model_json_schema()["properties"]["maintenance_hour"]
    assert (field["default"], field["description"]) == (3, DESCRIPTION)
