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
GIVEN = re.compile("not_found|connection_made")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# A first line that begins with one of these is a fragment: "Of a load that has ended.", "What is missing.".
FRAGMENT = re.compile(
    r"^(About|After|As|At|Before|Between|By|During|For|From|How|If|In|Into|Like|Of|On|Only|Out|Over|So|That|Through|To|"
    r"Under|Until|What|Whatever|When|Where|Whether|Which|Who|Whoever|Whose|Why|With|Within|Without)\b"
)


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields the line and the name of each class, function, argument, variable and field that the module binds."""
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
    """Returns the banned words of a name, but of those that gRPC and asyncio give."""
    return {word.lower() for word in WORD.findall(GIVEN.sub("", name))} & BANNED


def documented(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields the line and the docstring of the module and of each class and function that has one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def private_words(path: Path) -> list[str]:
    """Lists the names of one module that hold a banned word, each as `file:line: what`."""
    tree = ast.parse(path.read_text())
    return [f"{path}:{line}: {name}: a private word" for line, name in bound_names(tree) if banned_words(name)]


def fragments(path: Path) -> list[str]:
    """Lists the docstrings of one module that are no sentence, likewise."""
    tree = ast.parse(path.read_text())
    return [
        f"{path}:{line}: {text.splitlines()[0]!r}: not a sentence"
        for line, text in documented(tree)
        if FRAGMENT.match(text) or not text.split("\n\n")[0].rstrip().endswith((".", ":", "?"))
    ]


def modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py")) if root.is_dir() else [root]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        for module in modules(Path(argument)):
            sys.stdout.writelines(f"{finding}\n" for finding in (*private_words(module), *fragments(module)))
