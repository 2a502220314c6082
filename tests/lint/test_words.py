"""Names and docstrings in the field's own words: nothing that a cloud engineer has to guess."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.lint.words import modules, private_words, unclear_docstrings
from tests.support.checkout import ROOT

# A pattern of folders prescribes these names.
PATTERN = {"__init__", "__main__", "rpc", "model", "controller"}

# The words of the service that this checkout's project is. The engine is of no use to others if it knows them.
OF_THE_SAMPLE = re.compile(
    r"bingo|pgdata(?!base)|cinema|movie|customer|stand-?in\b|_dummy|[\s'\"]/operation\b", re.IGNORECASE
)
OF_POSTGRESQL = ("samovar/library/images/postgres/",)
"""Where `pgdata` is the program that makes the data disk ready."""


def test_the_engine_does_not_know_the_words_of_the_sample_service() -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "samovar"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    findings = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in (ROOT / name for name in names if name and not name.endswith((".binpb", ".sum")))
        if path.is_file()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if OF_THE_SAMPLE.search(_without_pgdata(path, line))
    ]
    fail_on(findings)


def _without_pgdata(path: Path, line: str) -> str:
    own = str(path.relative_to(ROOT)).startswith(OF_POSTGRESQL)
    return line.replace("pgdata", "") if own else line


@pytest.mark.parametrize("folder", ["samovar", "images", "tools", "tests"])
def test_names_are_plain(folder: str) -> None:
    fail_on([finding for path in modules(ROOT / folder) for finding in private_words(path)])


@pytest.mark.parametrize("folder", ["samovar", "images", "tools", "tests"])
def test_docstrings_are_sentences(folder: str) -> None:
    fail_on([finding for path in modules(ROOT / folder) for finding in unclear_docstrings(path)])


def fail_on(findings: list[str]) -> None:
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def test_base_names_are_unique_in_a_layer() -> None:
    for layer in sorted(path for path in (ROOT / "samovar").iterdir() if path.is_dir()):
        names = Counter(module.stem for module in modules(layer) if module.stem not in PATTERN)
        assert [name for name, count in names.items() if count > 1] == [], layer.name
