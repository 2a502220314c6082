"""A group asks its machines as the settings of the proxy before their application say."""

from __future__ import annotations

from typing import Any

import pytest

from samovar.core.errors import ConfigError
from samovar.deploy.group_metadata import group_metadata
from samovar.deploy.proxy_settings import proxy_faults
from samovar.deploy.validate import validate
from samovar.images.load import load_images
from samovar.project.balancer import Balancer, BalancerType, Health, Listener
from tests.support.checkout import PROJECT, environment
from tests.support.environments import changed

READY = "/-/ready"


BALANCER = Balancer(type=BalancerType.INTERNAL, listeners={"http": Listener(port=80, target_port=81)})
OWN, TCP = Health(port=9100, path="/own"), Health(type="tcp", port=5432)


@pytest.mark.parametrize(
    ("keys", "ports", "problems"),
    [
        ({}, [80, 8080], []),
        ({}, [80, 9000], ["/-/health is asked at 8080", "other machines of the group ask at 9000"]),
        ({}, [8080], ["/-/ready is asked at 80", "the balancer sends to 80"]),
        ({"health": Health(port=9000), "ports": (9000,)}, [80, 9000], []),
        ({"health": OWN, "ports": ()}, [80], []),
        ({"health": TCP, "ports": (9000, 8000)}, [80, 8000], []),
        ({"health": OWN, "balancer": BALANCER}, [80, 8080], ["the balancer sends to 81"]),
        ({"health": OWN, "balancer": None}, [8080], []),
    ],
)
def test_the_proxy_is_asked_where_it_listens(keys: dict[str, Any], ports: list[int], problems: list[str]) -> None:
    bingo = changed(environment("dev").group("bingo"), **keys)
    faults = [*proxy_faults(bingo, {"ports": ports, "drain": 8})]
    assert [(path, why.partition(":")[0]) for path, why in faults] == [(("ports",), why) for why in problems]


@pytest.mark.parametrize(
    ("size", "health", "drain", "refused"),
    [
        (2, Health(path=READY), 5, False),
        (2, Health(path=READY), 4, True),
        (2, Health(path=READY, interval=5, unhealthy=3), 15, True),
        (2, Health(path=READY, interval=5, unhealthy=3), 16, False),
        (1, Health(path=READY), 0, False),
        (2, Health(type="tcp", interval=7), 8, False),
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
