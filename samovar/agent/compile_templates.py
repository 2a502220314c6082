"""Keeps the templates of an image as byte code, so that no boot compiles them. The last script of a bake runs it."""

from __future__ import annotations

from pathlib import Path

from .agent import TEMPLATES
from .render import BYTECODE, compile_templates


def main() -> None:
    """Compile all templates that the image has."""
    folder = Path(TEMPLATES)
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    compile_templates(names, lambda name: (folder / name).read_text(), Path(BYTECODE))


if __name__ == "__main__":
    main()
