"""The linters, run as tests over everything that git knows: a finding is shown as the linter shows it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

LONGEST_MODULE = 300
LONGEST_OF_TESTS = 400
MOST_ANY = 12
"""Annotations with the name Any: where stubs of protobuf, SQLite or an SDK give no type, or a caller states it."""
DIGESTS = {".lock", ".sum"}
"""Files of nothing but names and digests, by the ends of their names."""
BIN = Path(sys.executable).parent
SHELL = re.compile(r"#!\s*(/usr/bin/env\s+|/bin/|/usr/bin/)(ba|da)?sh\b")
MACHINE_PATH = re.compile(r"(^|[^.\w])/(work|farm)/|/home/\w")
# On a node the agent has what cloud-init brings to every image, and nothing else.
OF_A_NODE = sys.stdlib_module_names | {"jinja2", "yaml"}


def committed(*patterns: str) -> list[Path]:
    """Return every file of the checkout that is, or is about to be, in git."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """Return the text of a file; empty for a binary one."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def lint(*argv: str | Path) -> None:
    ended = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True)
    if ended.returncode:
        pytest.fail(f"{argv[0]} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}", pytrace=False)


def fail_on(findings: list[str]) -> None:
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def test_ruff() -> None:
    lint(BIN / "ruff", "check")


def test_ruff_format() -> None:
    lint(BIN / "ruff", "format", "--check")


def test_mypy() -> None:
    lint(BIN / "mypy")


def test_layers() -> None:
    lint(BIN / "lint-imports", "--no-logo")


def test_shellcheck() -> None:
    scripts = [path for path in committed() if path.suffix == ".sh" or (not path.suffix and SHELL.match(text_of(path)))]
    assert ROOT / "scripts/setup.sh" in scripts
    assert ROOT / ".ci/run" in scripts
    lint(BIN / "shellcheck", *scripts)


def test_no_secrets() -> None:
    """A finding that is none is marked where it stands: `pragma: allowlist secret`, with the reason."""
    checked = [path.relative_to(ROOT) for path in committed() if path.suffix not in DIGESTS and text_of(path)]
    lint(BIN / "detect-secrets-hook", "--no-verify", *checked)


def test_no_path_of_a_machine() -> None:
    fail_on(
        [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
            for path in committed()
            for number, line in enumerate(text_of(path).splitlines(), 1)
            if MACHINE_PATH.search(line)
        ]
    )


def test_no_long_module() -> None:
    fail_on(
        [
            f"{path.relative_to(ROOT)}: {lines} lines, and {longest} are the most"
            for path in committed("*.py", "*.sh")
            for longest in [LONGEST_MODULE if (ROOT / "samovar") in path.parents else LONGEST_OF_TESTS]
            if (lines := len(text_of(path).splitlines())) > longest
        ]
    )


def annotations_of(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the annotations of arguments, results and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield node.annotation
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            yield node.returns


def names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def test_few_annotations_are_any() -> None:
    places = [
        f"{path.relative_to(ROOT)}:{annotation.lineno}"
        for path in committed("samovar/**/*.py")
        for annotation in annotations_of(ast.parse(path.read_text()))
        if "Any" in names(annotation)
    ]
    fail_on(places if len(places) > MOST_ANY else [])


def test_no_value_is_cast() -> None:
    fail_on(
        [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for path in committed("samovar/**/*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and "cast" in names(node.func)
        ]
    )


def imported(path: Path) -> set[str]:
    """Return the top-level names that a module imports from outside its own package."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    above = {".." for node in nodes if isinstance(node, ast.ImportFrom) and node.level > 1}
    return {name.partition(".")[0] for name in plain | froms} | above


def test_the_programs_of_the_images_know_nothing_of_the_engine() -> None:
    fail_on([str(path.relative_to(ROOT)) for path in committed("images/**/*.py") if "samovar" in imported(path)])


def test_programs_of_a_node_import_only_what_every_image_has() -> None:
    modules = committed("samovar/agent/*.py", "samovar/watchdog/*.py")
    assert modules
    fail_on([f"{path.relative_to(ROOT)}: {name}" for path in modules for name in sorted(imported(path) - OF_A_NODE)])
