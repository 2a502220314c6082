"""What others say may repeat a secret: a check that fails quotes the line that it dislikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .facts import Secret

SHORTEST = 4
"""Characters: less than this is found everywhere by chance."""


def hide(text: str, secrets: Mapping[str, Secret]) -> str:
    """`text` without any line of any secret."""
    for line in sorted(_lines(secrets), key=len, reverse=True):
        text = text.replace(line, "***")
    return text


def _lines(secrets: Mapping[str, Secret]) -> Iterator[str]:
    for secret in secrets.values():
        for entry in [secret] if isinstance(secret, str) else secret.values():
            yield from (line for line in map(str.strip, entry.splitlines()) if len(line) >= SHORTEST)
