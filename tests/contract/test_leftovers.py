"""The check that a cloud has left nothing finds what bears its number."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.leftovers import leftovers
from tests.support.lab import Lab, network


async def test_links_routes_and_namespaces_of_a_cloud_are_found_and_those_of_others_are_not(lab: Lab) -> None:
    nowhere, prefix = Path("/no-such-home"), f"samovar-{lab.number}"
    assert leftovers(nowhere, prefix) == []
    await lab.fabric.apply(network(10, forwards=(lab.balancer(10),)))
    found = leftovers(nowhere, prefix)
    assert f"link smv{lab.number}h1" in found
    assert f"network namespace {prefix}-1" in found
    assert [line for line in found if line.startswith(f"route {lab.public(5)} ")]
    assert leftovers(nowhere, prefix[:-1]) == []
