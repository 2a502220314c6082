"""Variables of an instance template (documented in variables-in-the-template.md): system variables, then the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\{\{([\w.-]+)\}\}|\{([\w.-]+)\}", re.ASCII)


def expand(text: str, context: Mapping[str, str], user_variables: Mapping[str, str]) -> str:
    """Replaces variables in two stages: those of `context` ("instance.index"), then those of the group's list.

    What the first stage yields may name a variable of the second: `{short_{instance.zone_id}}`. `{unknown}` stays as
    it is, and `{{known}}` becomes `{known}`.
    """
    return _stage(_stage(text, context), user_variables)


def _stage(text: str, values: Mapping[str, str]) -> str:
    def replacement(found: re.Match[str]) -> str:
        quoted, plain = found.groups()
        if quoted in values:
            return f"{{{quoted}}}"
        return values.get(plain, found[0])

    return _VARIABLE.sub(replacement, text)
