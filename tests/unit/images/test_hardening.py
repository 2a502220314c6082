"""Units are hardened, and each image checks that with its own systemd when it is baked."""

from __future__ import annotations

import pytest

from samovar.images.load import load_images
from tests.support.checkout import PROJECT

DROP_IN = "/usr/lib/samovar/hardening.conf"
UNITS = {
    "samovar-base": {"samovar-agent.service", "prometheus-node-exporter.service", "systemd-journal-upload.service"},
    "samovar-app": {
        "haproxy.service",
        "samovar-watchdog.service",
        "samovar-rotate.service",
        "samovar-schedule.service",
        "samovar-leave.service",
    },
    "bingo": {"bingo.service"},
    "samovar-edge": {"nginx.service", "haproxy.service", "edge.service", "warm.service", "mtail.service"},
    "samovar-monitoring": {
        "prometheus.service",
        "prometheus-alertmanager.service",
        "systemd-journal-remote.service",
        "systemd-journal-gatewayd.service",
    },
    "samovar-postgres": {"postgres.service", "health.service", "prometheus-postgres-exporter.service"},
}
THRESHOLDS = {"samovar-base": 35}


@pytest.mark.parametrize("name", UNITS)
def test_each_image_checks_the_hardening_of_its_units(name: str) -> None:
    image = load_images(PROJECT)[name]
    hardened = {link.target.split("/")[-2].removesuffix(".d") for link in image.links if link.points_to == DROP_IN}
    assert hardened == UNITS[name]
    head = ("systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLDS.get(name, 30)}")
    (checked,) = (set(command[4:]) for command in image.commands if tuple(command[:4]) == head)
    assert checked == UNITS[name]
