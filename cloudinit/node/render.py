"""From a role and the facts to the files that this machine should have: pure, but for reading the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateError

from .errors import Wrong
from .facts import Machine
from .role import Role, Template


@dataclass(frozen=True)
class File:
    """A file as it should be."""

    path: str
    content: str
    mode: int


def render(
    role: Role, settings: Mapping[str, Any], machine: Machine, load: Callable[[str], str | None]
) -> tuple[File, ...]:
    """The role's files; `load` gives a template's text. Raises Wrong with the template and the name that it lacks."""
    # Configuration files, not HTML: nothing is to be escaped.
    environment = Environment(  # noqa: S701
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(settings=settings, machine=machine)
    return tuple(_render(environment, template) for template in role.templates)


def _render(environment: Environment, template: Template) -> File:
    try:
        content = environment.get_template(template.source).render()
    except (TemplateError, TypeError, ValueError) as error:
        raise Wrong(f"{template.source}: {type(error).__name__}: {error}") from error
    return File(template.target, content, template.mode)
