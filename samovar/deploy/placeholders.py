"""What machines are told of resources that have no id or address yet: a token in the text stands for it.

`<secret dev-certificate>` stands for a secret's id, `<internal-address dev-bingo>` for an address. So the metadata of
what is wanted can be compared with those of what is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from samovar.deploy.specs import Kind, Ref

TOLD = (Kind.SECRET, Kind.RECORD, Kind.INTERNAL_ADDRESS)
TOKEN = re.compile(rf"<({'|'.join(TOLD)}) ([-a-z0-9]+)>")
WORD = re.compile(r"[A-Za-z0-9.]+")


def token(ref: Ref) -> str:
    """What stands for the resource."""
    return f"<{ref.kind} {ref.name}>"


def mentioned(text: str) -> Iterator[Ref]:
    """The resources that a text tells of."""
    for kind, name in TOKEN.findall(text):
        yield Ref(Kind(kind), name)


def told(text: str, value: Callable[[Ref], str]) -> str:
    """The text as machines get it."""
    return TOKEN.sub(lambda found: value(Ref(Kind(found[1]), found[2])), text)


def untold(text: str, refs: Mapping[str, Ref]) -> str:
    """The way back; `refs` gives the resource of each id and address that can stand in a text."""
    return WORD.sub(lambda found: token(refs[found[0]]) if found[0] in refs else found[0], text)
