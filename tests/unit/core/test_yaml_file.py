"""A person's YAML file becomes a model, or an error that names file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from samovar.core.errors import ConfigError
from samovar.core.yaml_file import load_model


class Machine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cores: int = 2
    memory: str = "1G"


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int
    machine: Machine = Machine()
    ports: list[int] = []

    @field_validator("size")
    @classmethod
    def _some(cls, value: int) -> int:
        if value < 1:
            message = "a group has at least one machine"
            raise ValueError(message)
        return value


class Environment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    groups: dict[str, Group]


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_a_good_file_is_a_model(tmp_path: Path) -> None:
    path = written(tmp_path, "groups:\n  nginx:\n    size: 2\n    ports: [80, 443]\n")
    assert load_model(path, Environment) == Environment(groups={"nginx": Group(size=2, ports=[80, 443])})


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (
            "groups:\n  nginx:\n    size: 2\n    machine:\n      core: 2\n",
            "config.yaml:5: groups.nginx.machine.core: unknown key",
            "did you mean cores? known keys there: cores, memory",
        ),
        (
            "groups:\n  nginx:\n    size: two\n",
            "config.yaml:3: groups.nginx.size: a whole number is expected; not 'two'",
            "correct",
        ),
        ("groups:\n  nginx:\n    size: 0\n", "config.yaml:3: groups.nginx.size: a group has at least", "correct"),
        ("groups:\n  nginx:\n    ports: []\n", "config.yaml:2: groups.nginx.size: the key is missing", "add what"),
        (
            "groups:\n  nginx:\n    size: 1\n    ports:\n      - 80\n      - x\n",
            "config.yaml:6: groups.nginx.ports.1: a whole number is expected; not 'x'",
            "correct",
        ),
        ("groups: {}\ngroups: {}\n", "config.yaml:2: groups: the key stands twice", "keep one"),
        ("a: ☃☃☃☃☃\nb: x\ngroups: \x07\n", "config.yaml:3: not YAML: control characters", "remove that character"),
        ("groups: {<<: {a: {size: 1}}, a: {size: x}}\n", "config.yaml:1: groups.a.size: a whole number", "correct"),
        ("groups:\n\tnginx: {}\n", "config.yaml:2: not YAML: ", "mend"),
        ("groups: !python/name:os.system\n", "config.yaml:1: not YAML: could not determine", "mend"),
        ("", "config.yaml:1: groups: the key is missing", "add what"),
        ("- groups\n", "config.yaml:1: a mapping of keys to values is expected; not a list", "correct"),
        ("groups: &a {b: *a}\n", "config.yaml:1: an alias (*) is not taken here", "write it out"),
        ("groups:\n  a: &a {size: 1}\n  b: *a\n", "config.yaml:3: an alias", "write it out"),
        ("groups:\n  a: &a {size: 1}\n  b:\n    <<: *a\n", "config.yaml:4: an alias", "write it out"),
        ("groups:\n  " + "[" * 100 + "]" * 100, "config.yaml:2: this is nested more than 20 deep", "flat"),
        ("groups: " + "{a: " * 30 + "1" + "}" * 30, "config.yaml:1: this is nested more than 20 deep", "flat"),
        ("groups:\n" + "".join(" " * n + "- \n" for n in range(200)), "config.yaml:", ""),
        ("a: " + "x" * (1 << 20), "config.yaml: larger than 1 MiB", "elsewhere"),
        ("groups: " + "9" * 5000, "config.yaml", ""),
    ],
)
def test_each_fault_names_line_key_and_remedy(tmp_path: Path, text: str, message: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(written(tmp_path, text), Environment)
    assert f"{tmp_path}/{message}" in caught.value.message
    assert remedy in caught.value.remedy


def test_every_fault_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(written(tmp_path, "groups:\n  a: {size: x}\n  b: {size: 1, colour: red}\n"), Environment)
    assert [line.split(": ")[0][-2:] for line in caught.value.message.splitlines()] == [":2", ":3"]


def test_a_missing_file_has_the_remedy_of_its_reader(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file") as caught:
        load_model(tmp_path / "none.yaml", Environment, remedy="add it")
    assert caught.value.remedy == "add it"


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_model(path, Environment)
