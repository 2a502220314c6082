"""The documentation says what the code does: generated pages are fresh, links lead somewhere, examples exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import rich_click as click
import yaml
from jsonschema import Draft202012Validator

from samovar.cli.main import cli
from tests.support.checkout import ROOT

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("examples/*/README.md"))]
COMMAND = re.compile(r"(?:cli\.py|(?<![\w./-])samovar) ([a-z-][^`\n]*)")
TEST = re.compile(r"(?<![\w/])(tests/[\w./*-]*[\w*])")
END = re.compile(r"\s[#|<>]|&&|;|\)|,|\.\.\.| \\\\")
"""What ends a command: the rest of a line of a shell, or of a sentence."""


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_generated_pages_are_fresh(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "tools/docs.py", tmp_path], check=True)
    written = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert written
    stale = [
        str(path) for path, text in written.items() if not (DOCS / path).exists() or (DOCS / path).read_text() != text
    ]
    assert not stale, "run make docs"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_to_a_section_name_its_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]*)\)", page.read_text())
    assert [link for link in links if link[1] not in anchors(page.parent / link[0] if link[0] else page)] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_tests_that_are_named_exist(page: Path) -> None:
    named = {match[1] for match in TEST.finditer(page.read_text())}
    assert [path for path in sorted(named) if not any(ROOT.glob(path))] == []
    names = set(re.findall(r"(?<![\w/])(?<!def )test_\w+(?![\w.])", page.read_text()))
    assert sorted(names - names_of_tests()) == []


@cache
def names_of_tests() -> frozenset[str]:
    """Return the names of all tests."""
    files = (ROOT / "tests").rglob("test_*.py")
    return frozenset(name for file in files for name in re.findall(r"def (test_\w+)", file.read_text()))


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_and_options_that_are_named_exist(page: Path) -> None:
    commands = [END.split(command)[0] for command in COMMAND.findall(page.read_text()) if "OPTIONS" not in command]
    assert {command: wrong for command in commands if (wrong := unknown_word(command))} == {}


def unknown_word(command: str) -> str | None:
    """The first word that the command line would refuse as a command or an option; None where there is none."""
    at: click.Command = cli
    words = iter(shlex.split(command))
    for word in words:
        if word == "--" or at.name == "ssh":
            return None
        if word.startswith("-"):
            option = next((param for param in at.params if word.partition("=")[0] in param.opts), None)
            if option is None and word != "--help":
                return word
            if isinstance(option, click.Option) and not option.is_flag and "=" not in word:
                next(words, None)
        elif isinstance(at, click.Group):
            if word not in at.commands:
                return word
            at = at.commands[word]
    return None


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in readme] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "envs/*/config.yaml",
        "groups/*.yaml",
        "images/*/image.yaml",
        "images/*/role.yaml",
        "loads/*.yaml",
        "drills/*.yaml",
    ],
)
def test_the_shipped_files_name_their_schema(pattern: str) -> None:
    files = sorted(ROOT.glob(pattern))
    assert files
    for file in files:
        first = file.read_text().splitlines()[0]
        match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert match, file
        schema = (file.parent / match[1]).resolve()
        assert schema.parent == DOCS / "reference"
        assert schema.is_file()


FILES = {
    "config": ["envs/*/config.yaml", "tests/envs/*/config.yaml"],
    "group-kind": ["groups/*.yaml"],
    "image": ["images/*/image.yaml", "samovar/library/images/*/image.yaml", "tests/images/*/image.yaml"],
    "role": ["images/*/role.yaml"],
    "load-profile": ["loads/*.yaml"],
    "drill": ["drills/*.yaml"],
}


@pytest.mark.parametrize("name", FILES)
def test_the_published_schemas_accept_the_shipped_files(name: str) -> None:
    validator = Draft202012Validator(json.loads((DOCS / f"reference/{name}.schema.json").read_text()))
    files = [file for pattern in FILES[name] for file in ROOT.glob(pattern)]
    assert files
    errors = {str(file): [*validator.iter_errors(yaml.safe_load(file.read_text()))] for file in files}
    assert {file: actual for file, actual in errors.items() if actual} == {}


@pytest.mark.parametrize("name", FILES)
def test_the_published_schemas_explain_each_key(name: str) -> None:
    schema = json.loads((DOCS / f"reference/{name}.schema.json").read_text())
    models = {"": schema, **schema.get("$defs", {})}
    keys = {
        f"{model}.{key}": value for model, each in models.items() for key, value in each.get("properties", {}).items()
    }
    assert keys
    assert [key for key, value in keys.items() if not value.get("description")] == []


def _properties(model: Mapping[str, Any]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = model.get("properties", {})
    return properties


def test_the_published_schema_refuses_what_the_tool_refuses() -> None:
    validator = Draft202012Validator(json.loads((DOCS / "reference/config.schema.json").read_text()))
    config = yaml.safe_load((ROOT / "envs/dev/config.yaml").read_text())
    config["groups"]["nginx"] |= {"sizes": 3, "machine": {"cores": 3}}
    paths = [list(error.absolute_path) for error in validator.iter_errors(config)]
    assert sorted(paths, key=len) == [["groups", "nginx"], ["groups", "nginx", "machine", "cores"]]
