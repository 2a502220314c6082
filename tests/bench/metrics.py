"""The cost of metrics: at an edge with its exporters on and off, and on the machine that monitors."""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure
from tests.bench.world import DEV_CONFIG, environment
from tests.support.http_load import get
from tests.support.run_in_machine import run_in_machine

ROUNDS = 5
RATE, SECONDS = "60", "30s"
EXPORTERS = ("mtail", "prometheus-node-exporter", "systemd-journal-upload")
SERVERS = ("nginx", "haproxy")
PAGE = "/long_dummy"
"""The edge answers it from its cache, so that the application is no part of what is measured."""
FILLED = 90.0
"""Seconds in which the application has made the page, which takes it half a minute."""
WRK = ["wrk", "--latency", "--threads", "1", "--connections", "16", "--duration", "6s"]
MONITORED = "  monitoring: {kind: samovar/monitoring, objectives: terms}\n"
UNLIMITED = "    settings: {client_rate: 100000}\n"
DAY = 86400
JOURNAL_SECONDS = 20
WRITTEN = f"journalctl --directory=/var/lib/monitoring/journal --since=-{JOURNAL_SECONDS}s --output=export | wc --bytes"
"""What was written in the last seconds, in a form that is longer than that on the disk."""
SAMPLE_BYTES = 1.7
"""Of Prometheus' own documentation: one or two bytes a sample on the disk."""


def metrics() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="samovar-bench-") as folder:
        config = Path(folder, "config.yaml")
        edges = "    upstreams: {app: bingo}\n"
        config.write_text(DEV_CONFIG.read_text().replace(edges, edges + UNLIMITED) + MONITORED)
        with environment(config) as tool:
            yield from _edge(tool)
            yield from _monitoring(tool)


def _edge(tool: Any) -> Iterator[Figure]:
    where = f"http://{tool.address('dev')}{PAGE}"
    get(tool.address("dev"), PAGE, timeout=FILLED)
    edges = [tool.pid(f"dev-nginx-{index}") for index in (1, 2)]
    off, on, shares, paced = [], [], [], []
    for _ in range(ROUNDS):
        _switch(edges, "stop")
        off.append(_wrk(where))
        alone = _paced(tool, where)
        _switch(edges, "start")
        paced.append((alone, _paced(tool, where)))
        before = _processor(edges, EXPORTERS), _processor(edges, SERVERS)
        on.append(_wrk(where))
        shares.append((_processor(edges, EXPORTERS) - before[0]) / (_processor(edges, SERVERS) - before[1]))
    rate = statistics.median(after[0] / before[0] for before, after in zip(off, on, strict=True))
    yield Figure("requests a second at the edge with exporters on, over off", _of(rate, off, on, 0, "/s"), "0.98")
    late = statistics.median(after[1] / before[1] for before, after in zip(off, on, strict=True))
    yield Figure("p50 at the edge with exporters on, over off", _of(late, off, on, 1, " ms"), "1.02")
    steady = statistics.median(measured / alone for alone, measured in paced)
    both = " over ".join(f"{statistics.median(values):.2f} ms" for values in reversed(list(zip(*paced, strict=True))))
    yield Figure("the same at 120 requests a second, the peak of the terms", f"{steady:.3f} ({both})", "1.02")
    spent = f"{statistics.median(shares):.3f} ({min(shares):.3f}-{max(shares):.3f})"
    yield Figure("processor time of the exporters at the edge, over that of nginx and HAProxy", spent, "0.02")


def _monitoring(tool: Any) -> Iterator[Figure]:
    """Measure the machine that monitors, after a load at the stable rate of the terms."""
    tool.run("load", "dev", "--profile", "terms", "--rate", RATE, "--for", SECONDS, check=False)
    memory = _value(tool, 'sum(process_resident_memory_bytes{group="monitoring"})') / (1 << 20)
    series = _value(tool, "prometheus_tsdb_head_series")
    samples = _value(tool, "rate(prometheus_tsdb_head_samples_appended_total[1m])")
    disk = samples * DAY * SAMPLE_BYTES / (1 << 20)
    what = f"{memory:.0f} MiB resident; {series:.0f} series, {samples:.0f} samples/s, {disk:.0f} MiB a day"
    yield Figure(f"Prometheus and Alertmanager of `dev` at {RATE} requests a second", what)
    written = int(run_in_machine(tool.pid("dev-monitoring-1"), "sh", "-c", WRITTEN)) / JOURNAL_SECONDS
    yield Figure("journals of its six machines meanwhile", f"at most {written * DAY / (1 << 20):.0f} MiB a day")


def _switch(machines: Sequence[int], verb: str) -> None:
    for pid in machines:
        run_in_machine(pid, "systemctl", verb, *EXPORTERS)
    time.sleep(1)


def _processor(machines: Sequence[int], units: Sequence[str]) -> int:
    """Return the processor time of units on machines since their start, in nanoseconds."""
    show = ("systemctl", "show", "--property=CPUUsageNSec", "--value")
    return sum(int(run_in_machine(pid, *show, unit)) for pid in machines for unit in units)


def _of(ratio: float, off: list[tuple[float, float]], on: list[tuple[float, float]], index: int, unit: str) -> str:
    before, after = (statistics.median(values[index] for values in side) for side in (off, on))
    return f"{ratio:.3f} ({after:.4g}{unit} over {before:.4g}{unit})"


def _value(tool: Any, query: str) -> float:
    return float(tool.json("metrics", "dev", "--query", query)[0]["value"])


def _paced(tool: Any, url: str) -> float:
    """Return p50 at the peak of the terms, in milliseconds."""
    report = tool.json("load", "dev", "--profile", "peak", "--for", "8s", "--url", url)
    return float(report["endpoints"][0]["p50_seconds"]) * 1000


def _wrk(url: str) -> tuple[float, float]:
    """Return the requests a second, and p50 in milliseconds."""
    output = subprocess.run([*WRK, url], check=True, capture_output=True, text=True).stdout
    rate, middle = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"50%\s+([\d.]+)(us|ms|s)", output)
    assert rate, output
    assert middle, output
    assert "Non-2xx" not in output, output
    return float(rate[1]), float(middle[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[middle[2]]
