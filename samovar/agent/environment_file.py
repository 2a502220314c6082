"""The text of a file for systemd's `EnvironmentFile=`: each variable arrives as it was written.

systemd.exec(5) has the grammar: between double quotes a backslash takes the meaning from a quote, a dollar, a backtick
or a backslash, and every other character stands for itself, line breaks too. What systemd would drop is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
SPECIAL = re.compile(r'["\\$`]')
CONTROL = r"\x00-\x08\x0b-\x1f\x7f"
NO_CHARACTERS = r"\ufdd0-\ufdef" + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(0x11))
DROPPED = re.compile(f"[{CONTROL}\ud800-\udfff{NO_CHARACTERS}]")
"""systemd ignores a variable that holds one: control characters but tabs and line breaks, and what Unicode has not."""


def environment_file(variables: Mapping[str, Any]) -> str:
    """One line or more for each variable, in the order of their names. ValueError names the one that cannot arrive."""
    return "".join(f"{_checked(name)}={_quoted(name, value)}\n" for name, value in sorted(variables.items()))


def _checked(name: str) -> str:
    if not NAME.fullmatch(str(name)):
        raise ValueError(f"{name!r} is no name of an environment variable: letters, digits and underscores")
    return name


def _quoted(name: str, value: Any) -> str:
    if not isinstance(value, str | int):
        raise ValueError(f"{name}: {value!r} is no text: write it in quotes")  # noqa: TRY004 - the agent tells it
    text = value if isinstance(value, str) else str(value).lower()  # as YAML writes true and false
    if found := DROPPED.search(text):
        raise ValueError(f"{name}: the character {found[0]!a} does not arrive in a variable")
    return '"' + SPECIAL.sub(r"\\\g<0>", text) + '"'
