"""The proxy of a bingo machine, run by the HAProxy of the images: who gets its health pages."""

from __future__ import annotations

from tests.support.edge import baked_image, run_scenario
from tests.support.edge_scenarios import bingo_proxy
from tests.support.roles import rendered

SECRETS = {"postgres_password": "none"}  # pragma: allowlist secret
SETTINGS = 'email: a@example.com\nport: 13526\nlogs: "0123456789"\n'


def configuration() -> str:
    """Return the configuration that the agent writes."""
    return rendered("bingo", SETTINGS, SECRETS)["/etc/haproxy/haproxy.cfg"]


def test_health_pages_are_for_health_checks_and_the_network_alone() -> None:
    statuses = run_scenario(baked_image("samovar-app"), bingo_proxy.health_pages, configuration=configuration())
    assert statuses["allowed"] == ["200"] * 4
    assert statuses["client"] == ["404"] * 2
    assert statuses["world"] == ["404"] * 2
    assert statuses["others"] == ["404"] * 4
    assert statuses["methods"] == ["405"] * 2
