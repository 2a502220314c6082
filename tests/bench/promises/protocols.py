"""The cost of each protocol, and the cached page after a while in which nobody asked for it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from samovar.core.output import PlainReporter
from samovar.images.builders.local import bake_local
from tests.bench.figure import Figure
from tests.bench.promises.load import spread
from tests.bench.promises.world import World
from tests.support.checkout import PROJECT
from tests.support.curl import OFFERS, curl, latencies

PROTOCOLS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "http": ("http", ()),
    "https": ("https", ()),
    "HTTP/2": ("https", ("--http2",)),
}
BY_CURL: Mapping[str, tuple[str, ...]] = {"HTTP/2": ("--http2",), "HTTP/3": ("--http3-only", "--max-time", "1")}
NUMBER, RATE = 300, 50
"""Of requests by curl, and how many of them in a second."""
QUIET = 95.0
"""Seconds after which no client's request left an answer: a minute from the end of a fetch, which takes up to 30 s."""
TIMEOUT = ("--max-time", "90")
"""Of curl, in seconds: a cold cache takes as long as its first answer."""
PING, LONG = "/ping", "/long_dummy"


def protocols(world: World) -> Iterator[Figure]:
    """Every other connection is new, TLS handshake included."""
    for name in PROTOCOLS:
        actual = [_ask(world, name, PING, rate=50, seconds=10) for _ in range(world.runs)]
        yield Figure(f"`GET {PING}` over {name}", _shown(actual))
        warm = [_ask(world, name, LONG, rate=50, seconds=10) for _ in range(world.runs)]
        yield Figure(f"`GET {LONG}` over {name}, cache warm", _shown(warm))
    for name in PROTOCOLS:
        time.sleep(QUIET)
        first = _ask(world, name, LONG, rate=1, seconds=1)
        yield Figure(f"`GET {LONG}` over {name} after {QUIET:.0f} s without a client", f"{first['max_seconds']:.1f} s")
    yield from _by_curl(world)


def _by_curl(world: World) -> Iterator[Figure]:
    """The load generator has no QUIC and the balancer no UDP: curl asks an edge at its own address, HTTP/2 as well.

    Over HTTP/3 curl 8.14 does not always send its QPACK encoder stream, without which no server can read the request
    (github.com/curl/curl/issues/21463): these requests are given up after a second, and counted.
    """
    (image,) = bake_local(PROJECT, ["samovar-base"], reporter=PlainReporter())
    url = f"https://{world.address()}{PING}"
    _, (_, edge) = curl(image.raw, url, url, options=OFFERS)
    for path in (PING, LONG):
        latencies(image.raw, edge, path, *TIMEOUT)
        for name, options in BY_CURL.items():
            asked = partial(latencies, image.raw, edge, path, *options, number=NUMBER, rate=RATE)
            runs = [asked(may_fail=name == "HTTP/3") for _ in range(world.runs)]
            warm = ", cache warm" if path == LONG else ""
            what = f"`GET {path}`{warm}, by curl over {name}, each over a new connection"
            given_up = sum(NUMBER - len(run) for run in runs)
            left_out = f"; {given_up} of {NUMBER * len(runs)} given up" if given_up else ""
            yield Figure(what, _quantiles(runs) + left_out)
    for name, options in BY_CURL.items():
        time.sleep(QUIET)
        first = next(iter(latencies(image.raw, edge, LONG, *options, *TIMEOUT, may_fail=True)), math.nan)
        yield Figure(f"`GET {LONG}` after {QUIET:.0f} s without a client, by curl over {name}", f"{first:.1f} s")


def _quantiles(runs: Sequence[Sequence[float]]) -> str:
    """Return the quantiles in milliseconds by curl's own clock, which knows nothing of a request's schedule."""
    tenths = [[each * 1000 for each in statistics.quantiles(run, n=10)] for run in runs]
    return f"p50 {spread([run[4] for run in tenths])} ms, p90 {spread([run[8] for run in tenths])} ms"


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
