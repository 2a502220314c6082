"""The terms at the peak and at the stable rate, and what the way through the service costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench.figure import Figure
from tests.bench.promises.world import World
from tests.support.checkout import ROOT
from tests.support.checkout import environment as load_environment

HALF = 0.5
PAGE = "/api/movie/1"
RATE, SECONDS = 50, 20


def peak(world: World) -> Iterator[Figure]:
    yield from _terms(world, 120, "60s")


def stable(world: World) -> Iterator[Figure]:
    yield from _terms(world, 60, "10m")


def overhead(world: World) -> Iterator[Figure]:
    """Both over new and kept connections in the same proportion, one after the other, so that the host is as busy."""
    pairs = [(_through(world), _direct(world)) for _ in range(world.runs)]
    for name in ("p50_seconds", "p90_seconds"):
        between = [(through[name] - direct[name]) * 1000 for through, direct in pairs]
        direct_ms = [direct[name] * 1000 for _, direct in pairs]
        what = f"`GET {PAGE}` through edge, balancers and node, over bingo asked directly: {name[:3]}"
        yield Figure(
            what, f"{spread(between)} ms more (directly {spread(direct_ms)} ms)", "3 ms more" if "50" in name else ""
        )


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the median, the least and the greatest value."""
    middle = sorted(values)[len(values) // 2]
    least, most = min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f}-{most:.{digits}f})" if len(values) > 1 else f"{middle:.{digits}f}"


def _terms(world: World, rate: int, seconds: str) -> Iterator[Figure]:
    actual = [
        world.ask("load", world.environment, "--profile", "terms", "--rate", str(rate), "--for", seconds)
        for _ in range(world.runs)
    ]
    kept = sum(report["slo_met"] for report in actual)
    spare = sum(all(map(_to_spare, report["endpoints"])) for report in actual)
    what = f"terms at {rate} a second for {seconds}"
    yield Figure(what, f"hold in {kept} of {world.runs} runs, with half to spare in {spare}", f"{world.runs}")
    for same in zip(*(report["endpoints"] for report in actual), strict=True):
        yield Figure(f"{what}: `{same[0]['endpoint']}`", _endpoint(same), _aim(same[0]["slo"]))


def _endpoint(runs: Sequence[Any]) -> str:
    sent = sum(run["sent"] for run in runs)
    failed = sum(sum(run["errors"].values()) for run in runs)
    kinds = ", ".join(sorted({kind for run in runs for kind in run["errors"]}))
    latencies = [f"{name[:3]} {_milliseconds([run[name] for run in runs])}" for name in ("p50_seconds", "p90_seconds")]
    return f"{', '.join(latencies)}; {failed} of {sent} failed{f' ({kinds})' if kinds else ''}"


def _milliseconds(values: Sequence[float | None]) -> str:
    measured = [value * 1000 for value in values if value is not None]
    return f"{spread(measured, 0)} ms" if len(measured) == len(values) else "-"


def _to_spare(endpoint: Any) -> bool:
    bound, errors = endpoint["slo"], sum(endpoint["errors"].values())
    swift = bound["seconds"] is None or (bound["measured_seconds"] or bound["seconds"]) <= bound["seconds"] * HALF
    return bool(swift and errors <= bound["errors"] * HALF * endpoint["sent"])


def _aim(bound: Any) -> str:
    limit = [f"p{bound['quantile'] * 100:g} {bound['seconds'] * HALF * 1000:.0f} ms"] if bound["quantile"] else []
    return ", ".join([*limit, f"errors {bound['errors'] * HALF:.1%}"])


def _through(world: World) -> Any:
    url = f"http://{world.address()}{PAGE}"
    load = ("--profile", "stable", "--rate", str(RATE), "--for", f"{SECONDS}s", "--url", url)
    return world.ask("load", world.environment, *load)["endpoints"][0]


def _direct(world: World) -> Any:
    port = load_environment(world.environment, world.tool.envs).group("bingo").settings["port"]
    within = ["nsenter", "--target", str(world.machines("bingo")[0]["pid"]), "--net"]
    asked = [
        sys.executable,
        "-m",
        "tests.bench.promises.direct",
        f"http://127.0.0.1:{port}{PAGE}",
        str(RATE),
        str(SECONDS),
    ]
    done = subprocess.run([*within, *asked], cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["endpoints"][0]
