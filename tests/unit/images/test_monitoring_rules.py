"""The alerts that the image has are those of the documentation, and each is tried when the image is baked."""

from __future__ import annotations

import re

from samovar.core.paths import LIBRARY
from tests.support.checkout import ROOT

IMAGE = LIBRARY / "images/monitoring"


def names(pattern: str, *texts: str) -> set[str]:
    return {name for text in texts for name in re.findall(pattern, text, re.MULTILINE)}


def test_each_alert_is_documented_and_tried() -> None:
    templates = [(IMAGE / "templates" / name).read_text() for name in ("rules.yml.j2", "objectives.yml.j2")]
    alerts = names(r"- alert: (\w+)", *templates)
    assert alerts
    documented = names(r"^\| `([A-Z]\w+)` \|", (ROOT / "docs/metrics.md").read_text())
    tests = [path.read_text() for path in (IMAGE / "rootfs/usr/lib/samovar/monitoring").glob("*-test.yml")]
    assert alerts == documented == names(r"alertname: (\w+)\n\s+exp_alerts", *tests)
