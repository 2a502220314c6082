"""Placeholders in the metadata of machines, for resources whose id or address is not known yet.

`<secret dev-certificate>` stands for a secret's id, `<internal-address dev-app>` for an address. So the metadata of
desired machines can be compared with those of existing ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from samovar.deploy.resources.resource import Kind, Ref

KINDS = (Kind.SECRET, Kind.SEED_RECORD, Kind.INTERNAL_ADDRESS)
PLACEHOLDER = re.compile(rf"<({'|'.join(KINDS)}) ([-a-z0-9]+)>")
WORD = re.compile(r"[A-Za-z0-9.]+")


def placeholder(ref: Ref) -> str:
    """Return the text that stands for the resource."""
    return f"<{ref.kind} {ref.name}>"


def find_placeholders(texts: Iterable[str]) -> tuple[Ref, ...]:
    """Return the resources that the texts name, each once and sorted."""
    return tuple(sorted({Ref(Kind(kind), name) for text in texts for kind, name in PLACEHOLDER.findall(text)}))


def resolve_placeholders(text: str, value: Callable[[Ref], str]) -> str:
    """Return the text as machines get it, with the `value` of each resource."""
    return PLACEHOLDER.sub(lambda match: value(Ref(Kind(match[1]), match[2])), text)


def restore_placeholders(text: str, refs: Mapping[str, Ref]) -> str:
    """Return the text with placeholders in the place of ids and addresses, which are the keys of `refs`."""
    return WORD.sub(lambda match: placeholder(refs[match[0]]) if match[0] in refs else match[0], text)
