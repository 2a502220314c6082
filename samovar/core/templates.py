"""The templates of files and pages that the tool writes. A name that a template lacks is an error.

One of them is the project's own, and a project may be somebody else's: a template runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template

NO_FILTERS: Mapping[str, Callable[[str], str]] = MappingProxyType({})


def load_text(file: Path, filters: Mapping[str, Callable[[str], str]] = NO_FILTERS) -> Template:
    """Return the template of a configuration file: nothing is escaped but by `filters`."""
    environment = _environment(file.parent, escape=False)
    environment.filters.update(filters)
    return environment.get_template(file.name)


def load_page(file: Path) -> Template:
    """Return the template of an HTML page: what is inserted is escaped."""
    return load_pages(file.parent).get_template(file.name)


def load_pages(folder: Path) -> Environment:
    """Return what has the templates of HTML pages of a folder: what is inserted is escaped."""
    return _environment(folder, escape=True)


def _environment(folder: Path, *, escape: bool) -> Environment:
    from jinja2 import FileSystemLoader, StrictUndefined  # noqa: PLC0415 - most commands render nothing
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415

    return SandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
