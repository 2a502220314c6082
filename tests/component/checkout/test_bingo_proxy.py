"""The proxy of a bingo machine, run by the HAProxy of the images: who gets its health pages."""

from __future__ import annotations

from samovar.agent.inputs import Facts, Machine, Upstream
from samovar.agent.render import render
from samovar.agent.role import read_role, read_settings
from tests.support.checkout import ROOT
from tests.support.edge import edge_image, run_scenario
from tests.support.edge_scenarios import bingo_proxy

IMAGE = ROOT / "images/bingo"
MACHINE = Machine(id="one", name="bingo-1", hostname="bingo-1.internal", address="10.0.0.9", zone="ru-central1-a")
SETTINGS = 'email: a@example.com\nport: 13526\nlogs: "0123456789"\n'


def configuration() -> str:
    """Return the configuration that the agent writes."""
    role = read_role((IMAGE / "role.yaml").read_text(), "role.yaml")
    facts = Facts(MACHINE, "bingo", SETTINGS, upstreams={"database": Upstream()}, secrets={"postgres_password": "none"})
    settings = read_settings(SETTINGS, role.defaults)
    files = render(role, settings, facts, lambda name: (IMAGE / "templates" / name).read_text())
    return next(file.content for file in files if file.path.endswith("haproxy.cfg"))


def test_health_pages_are_for_health_checks_and_edges_alone() -> None:
    seen = run_scenario(edge_image(), bingo_proxy.health_pages, configuration=configuration())
    assert seen["allowed"] == ["200"] * 4
    assert seen["client"] == ["404"] * 2
    assert seen["others"] == ["404"] * 4
    assert seen["methods"] == ["405"] * 2
