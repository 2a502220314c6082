"""Runs `ip`, `bridge`, `nft` and `conntrack`: a call is one process, in a network namespace or on the host.

nsenter and not `ip netns exec`, which mounts /sys anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from typing import Any, TypedDict

from samovar.core.errors import ProcessFailed
from samovar.core.process import run_async
from samovar.localcloud.network.links import CurrentLinks, Link
from samovar.localcloud.network.names import NETNS_DIR, PUBLIC


class _Address(TypedDict):
    family: str
    local: str
    prefixlen: int


class _Interface(TypedDict):
    """An interface as `ip -json address show` has it."""

    ifname: str
    flags: list[str]
    addr_info: list[_Address]


async def batch(program: str, lines: Sequence[str], namespace: str | None = None) -> None:
    """Run lines by `ip -batch` or `bridge -batch`; it stops at the first that fails, and the error shows it."""
    if lines:
        await run_async((*_enter(namespace), program, "-batch", "-"), stdin="\n".join(lines))


async def load_rules(text: str, namespace: str) -> None:
    """Load a ruleset in one transaction: all of it or nothing."""
    await run_async((*_enter(namespace), "nft", "-f", "-"), stdin=text)


async def current_links(namespace: str, machines: frozenset[str]) -> CurrentLinks:
    """Read the links of a network's namespace; `machines` are the namespaces of its machines that exist."""
    argv = (*_enter(namespace), "ip", "-j", "-batch", "-")
    shown = _documents((await run_async(argv, stdin="address show\nneigh show nud permanent\n")).stdout)
    interfaces, neighbours = next(shown), next(shown)
    return CurrentLinks(
        links={interface["ifname"]: _link(interface) for interface in interfaces},
        neighbours=frozenset((entry["dev"], entry["dst"]) for entry in neighbours),
        namespaces=machines,
    )


async def routed(host_link: str) -> frozenset[IPv4Address]:
    """Return the public addresses whose route on the host leads into this link."""
    answer = await run_async(("ip", "-j", "route", "show", "table", "local", "dev", host_link))
    return frozenset(IPv4Address(route["dst"]) for route in json.loads(answer.stdout or "[]"))


async def routed_into(link_prefix: str) -> frozenset[IPv4Address]:
    """Return the public addresses that the host routes into a link of such a name. The first route counts."""
    answer = await run_async(("ip", "-j", "-4", "route", "show", "table", "local", "root", str(PUBLIC)))
    links: dict[str, str] = {}
    for route in json.loads(answer.stdout or "[]"):
        links.setdefault(route["dst"], route.get("dev", ""))
    ours = (address for address, link in links.items() if link.startswith(link_prefix))
    return frozenset(IPv4Address(address) for address in ours if "/" not in address)


async def drop_flows(namespace: str, target: IPv4Address) -> None:
    """End the flows that address translation sends to `target`.

    conntrack calls it a failure when there are none, and gives up the rest when one ends by itself meanwhile.
    """
    try:
        await run_async((*_enter(namespace), "conntrack", "-D", "--reply-src", str(target), "--dst-nat"))
    except ProcessFailed as failure:
        if "such conntrack doesn't exist" in failure.output:
            await drop_flows(namespace, target)
        elif " 0 flow entries" not in failure.output:
            raise


async def take_down(namespace: str, port: str) -> None:
    """Take a link down; one that is gone is down."""
    try:
        await run_async((*_enter(namespace), "ip", "link", "set", port, "down"))
    except ProcessFailed as failure:
        if "Cannot find device" not in failure.output:
            raise


def _enter(namespace: str | None) -> tuple[str, ...]:
    return ("nsenter", f"--net={NETNS_DIR / namespace}") if namespace else ()


def _link(interface: _Interface) -> Link:
    addresses = frozenset(
        f"{entry['local']}/{entry['prefixlen']}" for entry in interface["addr_info"] if entry["family"] == "inet"
    )
    return Link(up="UP" in interface["flags"], addresses=addresses)


def _documents(text: str) -> Iterator[Any]:
    """Yield the JSON values that stand one after the other in `text`."""
    decoder, rest = json.JSONDecoder(), text.lstrip()
    while rest:
        value, end = decoder.raw_decode(rest)
        yield value
        rest = rest[end:].lstrip()
