"""Settings are held against the schemas of their role before any machine is made; templates are compiled once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jinja2
import pytest

from samovar.core.errors import ConfigError
from samovar.deploy.group_metadata import group_metadata
from samovar.deploy.validate import check_settings, validate
from samovar.images.load import load_images
from tests.support.checkout import PROJECT, ROOT, environment


def compiled() -> int:
    """Return how many templates are compiled while `dev` is checked."""
    dev = environment("dev")
    images, metadata, plain = load_images(PROJECT), group_metadata(dev), jinja2.Environment.compile
    with patch.object(jinja2.Environment, "compile", autospec=True, side_effect=plain) as spy:
        validate(dev, images, metadata)
    return spy.call_count


def test_templates_are_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled() > 0
    assert compiled() == 0


def test_without_a_place_for_them_templates_are_compiled_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled() == compiled() > 0


PATH = {"type": "string", "pattern": "^/", "description": "a path that begins with /"}
CACHE = {"type": "object", "properties": {"fresh": {"type": "integer"}}, "required": ["fresh"]}
ROUTE = {"type": "object", "properties": {"path": PATH, "cache": CACHE}, "additionalProperties": False}
SCHEMAS: dict[str, Any] = {"routes": {"type": "array", "items": ROUTE}}


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ({"path": "api"}, r"groups.bingo.settings.routes.1.path: 'api' does not .*; it is a path that begins with /"),
        ({"path": "/", "cache": {}}, "groups.bingo.settings.routes.1.cache: 'fresh' is a required property"),
        ({"pth": "/"}, r"groups.bingo.settings.routes.1: Additional properties .*'pth' was unexpected"),
        ("/", "groups.bingo.settings.routes.1: '/' is not of type 'object'"),
    ],
)
def test_a_setting_that_its_schema_refuses_is_named_with_its_place(route: object, message: str) -> None:
    dev = environment("dev")
    with pytest.raises(ConfigError, match=rf"envs/dev/config.yaml:\d+: {message}") as error:
        check_settings(dev, dev.group("bingo"), {"routes": [{"path": "/"}, route]}, SCHEMAS)
    assert "group bingo" in error.value.remedy


def test_a_setting_of_the_kind_is_named_in_its_file() -> None:
    dev = environment("dev")
    lines = (ROOT / "groups/edge.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "path: /api/movie," in text)
    place = re.escape(f"{ROOT}/groups/edge.yaml:{line}: settings.routes.1.path: 'api'")
    with pytest.raises(ConfigError, match=f"^{place}"):
        check_settings(dev, dev.group("nginx"), {"routes": [{"path": "/"}, {"path": "api"}]}, SCHEMAS)


def test_each_fault_has_a_line() -> None:
    dev = environment("dev")
    with pytest.raises(ConfigError) as error:
        check_settings(dev, dev.group("bingo"), {"routes": [{"path": "a"}, {"path": "b"}]}, SCHEMAS)
    assert len(error.value.message.splitlines()) == 2


def test_settings_without_a_schema_are_free() -> None:
    dev = environment("dev")
    check_settings(dev, dev.group("bingo"), {"routes": [{"path": "/"}], "drain": "?"}, SCHEMAS)
    check_settings(dev, dev.group("bingo"), {"routes": "?"}, {})


def test_a_value_that_is_excluded_is_refused_in_words() -> None:
    dev = environment("dev")
    schemas = {"schedule": {"not": {"pattern": "^25"}, "description": "a time"}}
    with pytest.raises(ConfigError, match=r"settings\.schedule: '25:00' is not possible; it is a time\n"):
        check_settings(dev, dev.group("bingo"), {"schedule": "25:00"}, schemas)
