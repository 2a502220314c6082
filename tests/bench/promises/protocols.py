"""What each protocol costs, with the cache cold and warm."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.bench.figure import Figure
from tests.bench.promises.load import spread
from tests.bench.promises.world import World

PROTOCOLS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "http": ("http", ()),
    "https": ("https", ()),
    "HTTP/2": ("https", ("--http2",)),
}
COLD = 62.0
"""Seconds after which nothing of the cache may be served any more."""
PING, LONG = "/ping", "/long_dummy"


def protocols(world: World) -> Iterator[Figure]:
    """Every other connection is new, TLS handshake included."""
    for name in PROTOCOLS:
        found = [_ask(world, name, PING, rate=50, seconds=10) for _ in range(world.runs)]
        yield Figure(f"`GET {PING}` over {name}", _shown(found))
        warm = [_ask(world, name, LONG, rate=50, seconds=10) for _ in range(world.runs)]
        yield Figure(f"`GET {LONG}` over {name}, cache warm", _shown(warm))
    for name in PROTOCOLS:
        time.sleep(COLD)
        cold = _ask(world, name, LONG, rate=1, seconds=1)
        yield Figure(f"`GET {LONG}` over {name}, cache cold", f"{cold['worst_seconds']:.1f} s")


def _ask(world: World, name: str, path: str, *, rate: int, seconds: int) -> Any:
    scheme, options = PROTOCOLS[name]
    url = f"{scheme}://{world.address()}{path}"
    load = ("--profile", "stable", "--rate", str(rate), "--for", f"{seconds}s", "--url", url, *options)
    return world.ask("load", world.environment, *load)["endpoints"][0]


def _shown(runs: list[Any]) -> str:
    """Milliseconds; a quantile that failed is none."""
    return ", ".join(
        f"{name[:3]} {spread([run[name] * 1000 for run in runs if run[name] is not None] or [0.0])} ms"
        for name in ("p50_seconds", "p90_seconds")
    )
