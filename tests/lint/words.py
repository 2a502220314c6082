"""Finds names and docstrings that a reader from the field could not guess; run by path, it prints them.

python -m tests.lint.words samovar/cloud samovar/cli
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Each says a mood, a body or a speech, never what the value is. The right name is the thing's own: `image`, `missing`.
BANNED = frozenset(
    {
        "told",
        "untold",
        "tell",
        "tells",
        "said",
        "say",
        "says",
        "heard",
        "hear",
        "hears",
        "voice",
        "talk",
        "talks",
        "ear",
        "excuse",
        "hand",
        "hands",
        "eye",
        "eyes",
        "face",
        "mouth",
        "ground",
        "door",
        "doors",
        "parcel",
        "oven",
        "wave",
        "keeper",
        "falling",
        "rising",
        "patience",
        "begun",
        "found",
        "wanted",
        "known",
        "made",
        "seen",
        "sight",
        "looked",
        "gone",
        "stood",
        "stays",
        "whole",
        "untouched",
        "somebody",
        "nobody",
        "anybody",
        "whoever",
    }
)
GIVEN = re.compile("not_found|connection_made", re.IGNORECASE)
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# A first line that begins with one of these is a fragment: "Of a load that has ended.", "What is missing.".
FRAGMENT = re.compile(
    r"^(About|After|As|At|Before|Between|By|During|For|From|How|If|In|Into|Like|Of|On|Only|Out|Over|So|That|Through|To|"
    r"Under|Until|What|Whatever|When|Where|Whether|Which|Who|Whoever|Whose|Why|With|Within|Without)\b"
)

# A function's first line says what a call does, in the imperative: "Return ...", not "Returns ...". The words that are
# excepted are nouns.
THIRD_PERSON = re.compile(
    r"^(?!(Agents|Copies|Creations|Disks|Fields|Files|Folders|Its|Machines|Milliseconds|Packets|Ports|Ranges|Seconds)\b)"
    r"[A-Z][a-z]*[a-rt-z]s\b"
)


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each class, function, argument, variable and field that the module binds."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case _:
                pass


def banned_words(name: str) -> set[str]:
    """Return the banned words of a name, but of those that gRPC and asyncio give."""
    return {word.lower() for word in WORD.findall(GIVEN.sub("", name))} & BANNED


def documented(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield the module and each class and function that has a docstring, with that."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node, text


def private_words(path: Path) -> list[str]:
    """List the names of one module that hold a banned word, each as `file:line: what`."""
    tree = ast.parse(path.read_text())
    return [f"{path}:{line}: {name}: a private word" for line, name in bound_names(tree) if banned_words(name)]


def unclear_docstrings(path: Path) -> list[str]:
    """List the docstrings of one module that are no sentence, or describe a function in the third person, likewise."""
    return [
        f"{path}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]!r}: {fault}"
        for node, text in documented(ast.parse(path.read_text()))
        if (fault := _fault(node, text))
    ]


def _fault(node: ast.AST, text: str) -> str:
    if FRAGMENT.match(text) or not text.split("\n\n", maxsplit=1)[0].rstrip().endswith((".", ":", "?")):
        return "not a sentence"
    if _is_helper(node) and THIRD_PERSON.match(text):
        return "not in the imperative"
    return ""


def _is_helper(node: ast.AST) -> bool:
    """Return whether it is a function whose docstring says what a call does; that of a test says why."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("test_")


def modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py")) if root.is_dir() else [root]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        for module in modules(Path(argument)):
            sys.stdout.writelines(f"{finding}\n" for finding in (*private_words(module), *unclear_docstrings(module)))
