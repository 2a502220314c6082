"""The syntax of nftables that a network's rules are written in."""

from __future__ import annotations

from collections.abc import Iterable

from samovar.localcloud.network.names import BRIDGES

FROM_MACHINES, TO_MACHINES = f'iifname "{BRIDGES}*"', f'oifname "{BRIDGES}*"'


def chain(name: str, rules: Iterable[str], hook: str = "") -> str:
    """A chain: at a hook of the kernel, or without one for other chains to go to."""
    head = f"\t\ttype {hook}; policy accept;\n" if hook else ""
    body = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n{head}{body}\t}}\n"


def set_of(elements: Iterable[object]) -> str:
    """An anonymous set, or a map of `key : value`."""
    return "{ " + ", ".join(map(str, elements)) + " }"
