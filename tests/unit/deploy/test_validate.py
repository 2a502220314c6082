"""The templates of roles are compiled once, and where nothing can be kept, each time."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import jinja2
import pytest

from samovar.deploy.group_metadata import group_metadata
from samovar.deploy.validate import validate
from samovar.images.load import load_images
from tests.support.checkout import PROJECT, environment


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
