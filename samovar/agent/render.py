"""From a role and the facts to the files that this machine should have: pure, but for reading the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateError

from .environment_file import environment_file
from .errors import Wrong
from .facts import Facts
from .role import Role, Template


@dataclass(frozen=True)
class File:
    """A file as it should be; `owner` is `user:group`, or None for whoever writes it. Its content may be a secret."""

    path: str
    content: str = field(repr=False)
    mode: int
    owner: str | None = None


def render(
    role: Role, settings: Mapping[str, Any], facts: Facts, load: Callable[[str], str | None]
) -> tuple[File, ...]:
    """The role's files; `load` gives a template's text. Raises Wrong with the template and the name that it lacks.

    Templates know `settings`, `machine`, `peers` and `secrets`; one that must do without a secret asks whether it is
    defined. The filter `environment_file` makes of a mapping what systemd reads as `EnvironmentFile=`.
    """
    # Configuration files, not HTML: nothing is to be escaped.
    environment = Environment(  # noqa: S701
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["environment_file"] = environment_file
    environment.globals.update(settings=settings, machine=facts.machine, peers=facts.peers, secrets=facts.secrets)
    return tuple(_render(environment, template) for template in role.templates)


def _render(environment: Environment, template: Template) -> File:
    try:
        content = environment.get_template(template.source).render()
    except (TemplateError, TypeError, ValueError) as error:
        raise Wrong(f"{template.source}: {type(error).__name__}: {error}") from error
    return File(template.target, content, template.mode, template.owner)
