"""A group asks its machines as the settings of the proxy before their application say."""

from __future__ import annotations

from typing import Any

import pytest

from samovar.core.errors import ConfigError
from samovar.deploy.group_metadata import group_metadata
from samovar.deploy.proxy_settings import proxy_faults
from samovar.deploy.validate import validate
from samovar.images.load import load_images
from samovar.project.balancer import Health
from tests.support.checkout import PROJECT, environment
from tests.support.environments import changed

READY = "/-/ready"


@pytest.mark.parametrize(
    ("keys", "ports", "message"),
    [
        ({}, [80, 8080], ""),
        ({}, [80, 9000], "/-/health is asked at 8080: name that port, or another one in `health`"),
        ({}, [8080], "/-/ready is asked at 80: name that port, or another one in `health`"),
        ({"health": Health(port=9000)}, [80, 9000], ""),
        ({"health": Health(port=9100, path="/own")}, [80], ""),
        ({"health": Health(type="tcp", port=5432)}, [80], ""),
    ],
)
def test_pages_of_the_proxy_are_asked_where_it_listens(keys: dict[str, Any], ports: list[int], message: str) -> None:
    bingo = changed(environment("dev").group("bingo"), **keys)
    faults = [*proxy_faults(bingo, {"ports": ports, "drain": 8})]
    assert faults == ([(("ports",), message)] if message else [])


@pytest.mark.parametrize(
    ("size", "health", "drain", "refused"),
    [
        (2, Health(path=READY), 5, False),
        (2, Health(path=READY), 4, True),
        (2, Health(path=READY, interval=5, unhealthy=3), 15, True),
        (2, Health(path=READY, interval=5, unhealthy=3), 16, False),
        (1, Health(path=READY), 0, False),
    ],
)
def test_a_machine_that_stops_serves_on_until_the_balancer_has_noticed(
    size: int, health: Health, drain: int, *, refused: bool
) -> None:
    bingo = environment("dev").group("bingo")
    assert bingo.balancer
    group = changed(bingo, size=size, balancer=changed(bingo.balancer, health=health))
    assert [path for path, _ in proxy_faults(group, {"ports": [80, 8080], "drain": drain})] == [("drain",)] * refused


def test_plan_refuses_them() -> None:
    dev = environment("dev")
    bingo = changed(dev.group("bingo"), settings={**dev.group("bingo").settings, "ports": [80, 9000]})
    dev = changed(dev, groups=(dev.group("postgres"), bingo))
    with pytest.raises(ConfigError, match=r"settings\.ports: /-/health is asked at 8080"):
        validate(dev, load_images(PROJECT), group_metadata(dev))
