"""The templates of files and pages that the tool writes. A name that a template lacks is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

NO_FILTERS: Mapping[str, Callable[[str], str]] = MappingProxyType({})


def load_text(file: Path, filters: Mapping[str, Callable[[str], str]] = NO_FILTERS) -> Template:
    """Return the template of a configuration file: nothing is escaped but by `filters`."""
    return _load(file, filters, escape=False)


def load_page(file: Path) -> Template:
    """Return the template of an HTML page: what is inserted is escaped."""
    return _load(file, NO_FILTERS, escape=True)


def _load(file: Path, filters: Mapping[str, Callable[[str], str]], *, escape: bool) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - most commands render nothing

    environment = Environment(
        loader=FileSystemLoader(file.parent),
        autoescape=escape,  # noqa: S701 - `load_text` is for what is no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment.get_template(file.name)
