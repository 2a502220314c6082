"""The examples of docs/extending.md and of other pages, which tests follow."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path

from tests.support.checkout import ROOT


def yaml_blocks(heading: str, page: str = "extending") -> list[str]:
    """Return the YAML examples of a section of docs/PAGE.md, in their order."""
    return _blocks(heading, "yaml", page)


def python_blocks(heading: str) -> list[str]:
    """Return the Python examples of a section, in their order."""
    return _blocks(heading, "python")


def _blocks(heading: str, language: str, page: str = "extending") -> list[str]:
    section = _section(heading, page)
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```", section, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks]


def shell_blocks(page: Path) -> list[str]:
    """Return the commands of a page that can be pasted, in their order."""
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def _section(heading: str, page: str = "extending") -> str:
    text = (ROOT / f"docs/{page}.md").read_text()
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def drill_project(folder: Path) -> str:
    """Make a project of its own in `folder`, with the drill of the documentation as `mine`; returns its path."""
    for name in ("groups", "loads"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "samovar.yaml").touch()
    (folder / "drills").mkdir()
    (folder / "drills/mine.yaml").write_text(yaml_blocks("A drill")[0])
    return str(folder)
