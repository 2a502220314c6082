"""The picture as security groups, and what machines are told of what has no id yet."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import HealthCheckSpec
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck as BalancerCheck

from samovar.core.constants import ANY_IPV4
from samovar.deploy.group_metadata import machine_metadata
from samovar.deploy.plan import plan, stages
from samovar.deploy.resources.health_check import HealthCheck, build_health_check, read_health_check
from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.load_balancer import LoadBalancer
from samovar.deploy.resources.resource import (
    Kind,
    Observed,
    Ref,
    find_placeholders,
    placeholder,
    resolve_placeholders,
    restore_placeholders,
)
from samovar.deploy.resources.secret import self_signed
from samovar.deploy.resources.security_group import HEALTH_CHECKS, ICMP, SELF, TCP, UDP
from samovar.deploy.security_rules import rules
from samovar.images.definition import family
from samovar.project.balancer import Balancer, BalancerType, Health, Listener
from samovar.project.environment import Environment
from samovar.project.environment_options import ExternalServer, Operator
from samovar.project.group import Egress, Ingress
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed, desired_of

DEV = load_environment("dev")
IMAGES = {name: f"{family(name)}-0123456789ab" for name in ("samovar-edge", "bingo", "postgres-small")}
NONE = Balancer(type=BalancerType.INTERNAL, listeners={"http": Listener(port=80)})
INSIDE = "10.30.0.0/16"


def ports(group: str, environment: Environment = DEV, *, inbound: bool, protocol: str = TCP) -> set[tuple[int, str]]:
    matching = rules(environment, environment.group(group), [INSIDE])
    return {(rule.port, rule.peer) for rule in matching if rule.inbound is inbound and rule.protocol == protocol}


def test_inbound_rules_expose_the_edges_alone() -> None:
    assert ports("nginx", inbound=True) == {(80, ANY_IPV4), (443, ANY_IPV4), (8081, SELF), (80, HEALTH_CHECKS)}
    assert ports("nginx", inbound=True, protocol=UDP) == {(443, ANY_IPV4)}
    assert ports("bingo", inbound=True) == {
        (80, "dev-nginx"),
        (8080, "dev-nginx"),
        (8080, SELF),  # past the balancer, as the edges do
        (80, HEALTH_CHECKS),  # the balancer's, which may ask where its listener leads
        (8080, HEALTH_CHECKS),  # the group's, which may not
    }
    assert ports("postgres", inbound=True) == {(5432, "dev-bingo"), (80, HEALTH_CHECKS)}


def test_outbound_rules_lead_to_upstreams_and_to_lockbox() -> None:
    assert ports("nginx", inbound=False) == {(80, INSIDE), (8080, INSIDE), (8081, SELF), (443, ANY_IPV4)}
    assert ports("bingo", inbound=False) == {(5432, INSIDE), (8080, SELF), (443, ANY_IPV4)}
    assert ports("postgres", inbound=False) == {(443, ANY_IPV4)}
    alone = changed(DEV, groups=(changed(DEV.group("nginx"), upstreams={}, secrets={}, ports=()),))
    assert ports("nginx", alone, inbound=False) == set()


@pytest.mark.parametrize(("group", "inbound"), [("nginx", {(0, ANY_IPV4)}), ("bingo", set()), ("postgres", set())])
def test_rules_admit_ntp_from_each_machine_and_icmp_to_an_edge(group: str, inbound: set[tuple[int, str]]) -> None:
    assert (123, ANY_IPV4) in ports(group, inbound=False, protocol=UDP)
    assert ports(group, inbound=True, protocol=ICMP) == inbound


def test_outbound_rules_lead_to_servers_outside_and_to_what_egress_names() -> None:
    bingo = changed(
        DEV.group("bingo"),
        upstreams={"database": "warehouse", "cache": "redis"},
        ports=(),
        egress=(Egress(port=514, protocol="udp", to="198.51.100.0/24"),),  # type: ignore[arg-type] # as a file has it
        secrets={},
    )
    external = {
        "warehouse": ExternalServer(host="c-1.rw.mdb.example.net", port=6432),
        "redis": ExternalServer(host="192.0.2.7", port=6379),
    }
    outside = changed(DEV, groups=(bingo,), external=external)
    assert ports("bingo", outside, inbound=False) == {(6432, ANY_IPV4), (6379, "192.0.2.7/32")}
    assert (514, "198.51.100.0/24") in ports("bingo", outside, inbound=False, protocol=UDP)
    settings = yaml.safe_load(machine_metadata(outside, bingo)["samovar-settings"])
    assert settings["upstreams"] == {
        "database": {"address": "c-1.rw.mdb.example.net:6432"},
        "cache": {"address": "192.0.2.7:6379"},
    }


def test_ingress_lets_in_the_ranges_that_it_names() -> None:
    ways = ({"port": 5432}, {"port": 514, "protocol": "udp"})
    office = tuple(Ingress.model_validate({**way, "from": "10.8.0.0/16"}) for way in ways)
    opened = changed(DEV, groups=tuple(changed(group, ingress=office) for group in DEV.groups))
    for name in ("nginx", "bingo", "postgres"):
        assert ports(name, opened, inbound=True) - ports(name, inbound=True) == {(5432, "10.8.0.0/16")}
        assert (514, "10.8.0.0/16") in ports(name, opened, inbound=True, protocol=UDP)
        assert ports(name, opened, inbound=False) == ports(name, inbound=False)


def test_the_balancers_health_check_may_have_its_own_port() -> None:
    balancer = changed(NONE, health=Health(port=8081, path="/-/ready"))
    moved = changed(DEV, groups=(changed(DEV.group("bingo"), balancer=balancer, upstreams={}),))
    assert {(8080, HEALTH_CHECKS), (8081, HEALTH_CHECKS)} <= ports("bingo", moved, inbound=True)


def test_a_listener_may_lead_to_another_port_of_the_machines() -> None:
    balancer = Balancer(type=BalancerType.INTERNAL, listeners={"redis": Listener(port=6379, target_port=7000)})
    groups = [changed(each, balancer=balancer, ports=()) if each.name == "bingo" else each for each in DEV.groups]
    moved = changed(DEV, groups=tuple(groups))
    assert (7000, "dev-nginx") in ports("bingo", moved, inbound=True)
    assert (6379, "dev-nginx") not in ports("bingo", moved, inbound=True)
    assert {(6379, INSIDE), (7000, INSIDE)} <= ports("nginx", moved, inbound=False)
    balancers = [each.spec for each in desired_of(moved, IMAGES).resources if isinstance(each.spec, LoadBalancer)]
    listeners = {(each.name, each.port, each.target_port) for spec in balancers for each in spec.listeners}
    assert ("redis", 6379, 7000) in listeners


@pytest.mark.parametrize("path", ["/healthz", ""])
def test_a_check_of_a_page_or_of_a_port_is_read_as_it_was_written(path: str) -> None:
    check = HealthCheck(8080, path, interval=7, timeout=3, unhealthy=4, healthy=3)
    assert read_health_check(build_health_check(HealthCheckSpec(), check)) == check
    assert read_health_check(build_health_check(BalancerCheck(), check)) == check


def test_ssh_is_open_to_the_bastion_alone_and_only_with_an_operator() -> None:
    for group in DEV.groups:
        assert 22 not in {port for port, _ in ports(group.name, inbound=True)}
    open_ = changed(DEV, operator=Operator(ssh_keys=("ssh-ed25519 AAAA",), bastion="nginx"))
    assert ports("nginx", open_, inbound=True) - ports("nginx", inbound=True) == {(22, ANY_IPV4)}
    assert ports("nginx", open_, inbound=False) - ports("nginx", inbound=False) == {(22, INSIDE)}
    for name in ("bingo", "postgres"):
        assert ports(name, open_, inbound=True) - ports(name, inbound=True) == {(22, "dev-nginx")}
        assert ports(name, open_, inbound=False) == ports(name, inbound=False)


def test_only_machines_with_secrets_get_tokens() -> None:
    for resource in desired_of(DEV, IMAGES).resources:
        if isinstance(resource.spec, InstanceGroup):
            assert resource.spec.template.token_forms == ("gce",)
    bare = changed(DEV, groups=(changed(DEV.group("nginx"), upstreams={}, secrets={}, ports=()),))
    (group,) = [each.spec for each in desired_of(bare, IMAGES).resources if isinstance(each.spec, InstanceGroup)]
    assert (group.template.token_forms, group.template.service_account) == ((), "")


def test_independent_resources_share_a_stage() -> None:
    steps = [*stages(plan(desired_of(DEV, IMAGES), Observed("dev")).steps)]
    assert {Kind.NETWORK, Kind.GATEWAY, Kind.ADDRESS, Kind.DISK} <= {step.ref.kind for step in steps[0]}
    place = {step.ref: number for number, stage in enumerate(steps) for step in stage}
    for stage in steps:
        for step in stage:
            assert step.desired
            assert all(place[ref] < place[step.ref] for ref in step.desired.spec.refs())


def test_metadata_has_placeholders_for_secrets_and_upstreams() -> None:
    text = machine_metadata(DEV, DEV.group("nginx"))["samovar-settings"]
    assert {*find_placeholders([text])} == {
        Ref(Kind.SECRET, "dev-certificate"),
        Ref(Kind.INTERNAL_ADDRESS, "dev-bingo"),
    }
    assert yaml.safe_load(text)["upstreams"] == {
        "app": {"address": "<internal-address dev-bingo>:80", "group": "bingo", "machines": 8}
    }
    assert yaml.safe_load(text)["peers"] == {"group": "nginx", "machines": 8}


@given(st.lists(st.sampled_from(["a: ", "10.30.0.44", "e6q1x ", "\n", ":80 "])))
def test_placeholders_are_restored_after_they_were_resolved(parts: list[str]) -> None:
    refs = {"10.30.0.4": Ref(Kind.INTERNAL_ADDRESS, "dev-bingo"), "e6q": Ref(Kind.SECRET, "dev-certificate")}
    values = {ref: value for value, ref in refs.items()}
    text = " ".join([*parts, *map(placeholder, values)])
    assert restore_placeholders(resolve_placeholders(text, values.__getitem__), refs) == text


def test_a_self_signed_certificate_covers_addresses_and_domain() -> None:
    from cryptography import x509  # noqa: PLC0415 - only here

    certificate = self_signed(["127.66.2.1"], "tea.example.org")
    names = x509.load_pem_x509_certificate(certificate.cert.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(name.value) for name in names.value] == ["127.66.2.1", "tea.example.org"]
    assert "PRIVATE" in certificate.key
    assert "PRIVATE" not in repr(certificate)
