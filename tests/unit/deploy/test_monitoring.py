"""A group that monitors: the rules by which it reaches all others, and what machines are told of it."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from samovar.deploy.group_metadata import machine_metadata
from samovar.deploy.plan import plan
from samovar.deploy.resources.resource import Observed
from samovar.deploy.resources.security_group import HEALTH_CHECKS
from samovar.deploy.security_rules import rules
from samovar.project.environment import Environment
from samovar.project.environment_options import Operator
from samovar.project.group import Group
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed, desired_of, make_environment, make_group

DEV = load_environment("dev")
MACHINE = {"cores": 2, "core_fraction": 20, "memory": "1G", "disk": "10G"}
RANGE = "10.30.0.0/16"


def monitoring(**fields: object) -> Group:
    return make_group(
        "watch",
        **{"image": "watch", "size": 1, "machine": MACHINE, "health": {"port": 9090}, "monitors": True} | fields,
    )


def shop(**fields: object) -> Group:
    return make_group("shop", **{"image": "shop", "size": 2, "machine": MACHINE, "exporters": {"api": 9000}} | fields)


def small(*groups: Group, **fields: object) -> Environment:
    return make_environment(
        "small", *groups, **{"cloud": "local", "zones": ["ru-central1-a"], "network": {"cidr": RANGE}} | fields
    )


def ports(environment: Environment, group: str, *, inbound: bool) -> set[tuple[int, str]]:
    matching = rules(environment, environment.group(group), (RANGE,))
    return {(rule.port, rule.peer) for rule in matching if rule.inbound is inbound and rule.port != 123}


def monitoring_setting(environment: Environment, group: str) -> object:
    metadata = machine_metadata(environment, environment.group(group))
    return yaml.safe_load(metadata.get("samovar-settings", "{}")).get("monitoring")


def test_exporters_are_open_to_the_group_that_monitors_alone() -> None:
    environment = small(shop(), monitoring(exporters={"prometheus": 9090}))
    assert ports(environment, "shop", inbound=True) == {
        (80, HEALTH_CHECKS),
        (9000, "small-watch"),
        (9100, "small-watch"),
    }
    assert ports(environment, "shop", inbound=False) == {(19532, RANGE)}
    assert ports(environment, "watch", inbound=True) == {(9090, HEALTH_CHECKS), (19532, RANGE)}
    assert ports(environment, "watch", inbound=False) == {(9000, RANGE), (9090, RANGE), (9100, RANGE)}


def test_an_environment_without_monitoring_has_no_rules_and_metadata_for_it() -> None:
    environment = small(shop())
    assert ports(environment, "shop", inbound=True) == {(80, HEALTH_CHECKS)}
    assert ports(environment, "shop", inbound=False) == set()
    assert monitoring_setting(environment, "shop") is None
    assert all(monitoring_setting(DEV, group.name) is None for group in DEV.groups)


def test_metadata_name_the_collector_to_machines_and_the_machines_to_the_collector() -> None:
    environment = small(shop(), monitoring())
    assert monitoring_setting(environment, "shop") == {"collector": "watch"}
    assert monitoring_setting(environment, "watch") == {
        "collector": "watch",
        "targets": [
            {"group": "shop", "machines": 8, "size": 2, "exporters": {"node": 9100, "api": 9000}},
            {"group": "watch", "machines": 8, "size": 1, "exporters": {"node": 9100}},
        ],
    }


def test_objectives_are_the_bounds_of_a_load_profile_by_the_names_of_routes() -> None:
    environment = small(shop(), monitoring(objectives="terms"))
    setting = monitoring_setting(environment, "watch")
    assert isinstance(setting, dict)
    assert {"method": "GET", "route": "/api/movie/:id", "errors": 0.01, "quantile": 0.9, "seconds": 0.4} in setting[
        "objectives"
    ]
    assert {"method": "POST", "route": "/api/session", "errors": 0.01} in setting["objectives"]


def test_security_groups_name_each_other_in_no_circle() -> None:
    """The environment has a bastion, which reaches the group that reaches all."""
    environment = small(
        shop(public=True), monitoring(), operator=Operator(ssh_keys=("ssh-ed25519 AAAA",), bastion="shop")
    )
    assert (22, RANGE) in ports(environment, "watch", inbound=True)
    images = {name: f"samovar-{name}-0123456789ab" for name in ("shop", "watch")}
    assert plan(desired_of(environment, images, ranges=(RANGE,)), Observed("small")).steps


def test_two_groups_that_monitor_are_refused() -> None:
    with pytest.raises(ValidationError, match="watch and other: one group monitors"):
        small(shop(), monitoring(), changed(monitoring(), name="other"))


def test_the_group_that_monitors_is_nobodys_upstream() -> None:
    with pytest.raises(ValidationError, match="watch monitors this group, and cannot be its upstream"):
        small(shop(upstreams={"graphs": "watch"}), monitoring())


def test_the_kind_of_the_library_needs_one_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("envs") / "dev"
    folder.mkdir()
    text = (DEV.project.envs / "dev/config.yaml").read_text()
    (folder / "config.yaml").write_text(f"{text}  monitoring: {{kind: samovar/monitoring}}\n")
    environment = load_environment("dev", folder.parent)
    group = environment.monitoring
    assert group
    assert (group.name, group.image, group.size, bool(group.data_disks)) == (
        "monitoring",
        "samovar-monitoring",
        1,
        True,
    )
