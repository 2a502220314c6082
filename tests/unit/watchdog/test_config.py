"""The watchdog reads what the role of the library renders."""

from __future__ import annotations

import pytest

from tests.support.roles import watchdog_config


def test_by_default_nothing_is_renewed_and_no_logs_are_rotated() -> None:
    read = watchdog_config(8080)
    assert (read.port, read.health, read.scheduled, read.log_files) == (8080, "", False, ())
    assert (read.name, read.limits.lifetime, read.limits.memory) == ("shop", None, 700)


def test_settings_are_read() -> None:
    read = watchdog_config(
        3000, health="/ok", stable=3, lifetime=[2, 4], errors=[3], log_files=["/var/log/a"], memory=0.5
    )
    assert (read.health, read.stable, read.log_files) == ("/ok", 3, ("/var/log/a",))
    assert (read.limits.lifetime, read.limits.errors, read.limits.memory) == ((2, 4), (3, 3), 500)


@pytest.mark.parametrize(
    ("port", "schedule", "symptom"),
    [
        (8080, "", "shop has not answered"),
        (0, "", "shop has not stayed up"),
        (0, "hourly", "shop has not succeeded"),
    ],
)
def test_the_symptom_of_an_application_fits_its_port_and_schedule(port: int, schedule: str, symptom: str) -> None:
    assert watchdog_config(port, schedule=schedule, hold=30).limits.symptom == symptom


def test_a_run_by_a_schedule_is_killed_where_it_has_to_end() -> None:
    """One that were stopped would be started again at once, and would not have failed."""
    assert watchdog_config(0, schedule="hourly", stop=9).stop == 0
    assert watchdog_config(0, stop=9, hold=30).stop == 9
