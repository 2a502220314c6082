"""The metrics of the watchdog, as prometheus-node-exporter reads them."""

from __future__ import annotations

from pathlib import Path

from samovar.watchdog.metrics import Restarts
from samovar.watchdog.policy import Cause


def test_restarts_are_counted_by_cause_from_zero(tmp_path: Path) -> None:
    file = tmp_path / "metrics/watchdog.prom"
    restarts = Restarts(file, "shop.service")
    assert file.read_text().splitlines()[2:] == [
        'samovar_watchdog_restarts_total{name="shop.service",cause="errors"} 0',
        'samovar_watchdog_restarts_total{name="shop.service",cause="silence"} 0',
        'samovar_watchdog_restarts_total{name="shop.service",cause="memory"} 0',
        'samovar_watchdog_restarts_total{name="shop.service",cause="lifetime"} 0',
    ]
    restarts.count(Cause.MEMORY)
    restarts.count(Cause.MEMORY)
    assert 'samovar_watchdog_restarts_total{name="shop.service",cause="memory"} 2' in file.read_text().splitlines()
    assert [path.name for path in file.parent.iterdir()] == ["watchdog.prom"]
