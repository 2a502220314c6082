"""The keys of `images/<name>/role.yaml`, for its reference and its JSON Schema.

The agent in the machine reads the file (`samovar.agent.role`), and the tool reads it by the same code. A test holds the
keys here to the agent's.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from samovar.project.fields import Mode, Owner, Strict, Target

Need = Literal["required", "optional"]
"""Whether an environment must give what a role asks for."""


class RoleTemplate(Strict):
    """A template that the agent renders."""

    source: str = Field(description="a file of templates/")
    target: Target = Field(description="the path of what is rendered")
    mode: Mode = Field(default="0644", description="permissions")
    owner: Owner | None = Field(default=None, description="user and group; without it root's")
    units: tuple[str, ...] | None = Field(
        default=None, description="the units of the role that use the file; without it all of them"
    )
    on_change: Literal["reload", "restart"] | None = Field(
        default=None, description="how those units take a change; without it as the role's `on_change` says"
    )


class Role(Strict):
    """The role of the machines of an image: what the agent in them renders, checks and reloads."""

    templates: tuple[RoleTemplate, ...] = Field(default=(), description="the templates")
    check: tuple[str, ...] = Field(
        default=(), description="a command, as a list of words, that must accept what was rendered before it is used"
    )
    units: tuple[str, ...] = Field(default=(), description="systemd units that are reloaded when their files change")
    on_change: Literal["reload", "restart"] = Field(default="restart", description="how the units take a change")
    defaults: dict[str, object] = Field(
        default={}, description="the settings and their defaults; null where the environment must give a value"
    )
    settings: dict[str, dict[str, object]] = Field(
        default={},
        description="a JSON Schema of each setting whose form its default does not show; `plan` checks it, and a fault "
        "is shown with the `description` there",
    )
    peers: bool = Field(default=False, description="`true` if the templates need the other machines of the group")
    upstreams: dict[str, Need] = Field(
        default={},
        description="the services that the machines ask, by the names that the templates use; an environment binds "
        'each to a group or to a server outside. `required`, or `optional`; `"*": optional` for any other name',
    )
    secrets: dict[str, Need] = Field(
        default={},
        description="the secrets that the templates use, each `required` or `optional`; "
        '`"*": optional` for any other name',
    )
