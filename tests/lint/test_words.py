"""Names and docstrings in the field's own words: nothing that a cloud engineer has to guess."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.lint.words import findings, modules
from tests.support.checkout import ROOT

# What has not been written anew yet; each line goes when its folder is clean.
PENDING = (
    "samovar/cli",
    "samovar/cloud",
    "samovar/cloudinit",
    "samovar/images",
    "samovar/project",
)
# A pattern of folders prescribes these names.
PATTERN = {"__init__", "__main__", "rpc", "model", "controller"}


def test_names_and_docstrings_are_plain() -> None:
    checked = [path for path in modules(ROOT / "samovar") if not _pending(path)]
    wrong = [finding for path in checked for finding in findings(path)]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_base_names_are_unique_in_a_layer() -> None:
    layers = (path for path in (ROOT / "samovar").iterdir() if path.is_dir() and not _has_pending(path))
    for layer in sorted(layers):
        names = Counter(module.stem for module in modules(layer) if module.stem not in PATTERN)
        assert [name for name, count in names.items() if count > 1] == [], layer.name


def _pending(path: Path) -> bool:
    return any(path.is_relative_to(ROOT / folder) for folder in PENDING)


def _has_pending(layer: Path) -> bool:
    return any((ROOT / folder).is_relative_to(layer) for folder in PENDING)
