"""The picture as security groups, and what machines are told of what has no id yet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envs.load import load_environment
from groups.certificate import self_signed
from groups.desired import desired, metadata
from groups.foundation import CHECKS, SELF, TCP, UDP, WORLD, Rule
from groups.plan import levels, plan
from groups.rules import rules
from groups.spec import Kind, Observed, Ref
from groups.told import mentioned, token, told, untold

DEV = load_environment("dev")
IMAGES = {name: f"samovar-{name}-0123456789ab" for name in ("nginx", "bingo", "postgres-small")}
OUT = {Rule(inbound=False, port=443, peer=WORLD), Rule(inbound=False, port=0, peer="10.30.0.0/16")}


def inbound(group: str, protocol: str = TCP) -> set[tuple[int, str]]:
    found = rules(DEV, DEV.group(group))
    assert {rule for rule in found if not rule.inbound} == OUT
    return {(rule.port, rule.peer) for rule in found if rule.inbound and rule.protocol == protocol}


def test_the_world_reaches_the_edges_and_nothing_behind_them() -> None:
    assert inbound("nginx") == {(80, WORLD), (443, WORLD), (8081, SELF), (80, CHECKS)}
    assert inbound("nginx", UDP) == {(443, WORLD)}
    assert inbound("bingo") == {(80, "dev-nginx"), (8080, "dev-nginx"), (80, CHECKS)}
    assert inbound("postgres") == {(5432, "dev-bingo"), (80, CHECKS)}


def test_what_does_not_wait_for_each_other_is_made_in_one_step() -> None:
    steps = levels(plan(desired(DEV, IMAGES), Observed("dev")))
    assert {Kind.NETWORK, Kind.GATEWAY, Kind.ADDRESS, Kind.DISK} <= {change.ref.kind for change in steps[0]}
    place = {change.ref: number for number, step in enumerate(steps) for change in step}
    for step in steps:
        for change in step:
            assert change.after
            assert all(place[ref] < place[change.ref] for ref in change.after.spec.refs())


def test_machines_are_told_of_what_they_ask_by_tokens() -> None:
    text = metadata(DEV, DEV.group("nginx"))["samovar-settings"]
    assert {*mentioned(text)} == {Ref(Kind.SECRET, "dev-certificate"), Ref(Kind.INTERNAL_ADDRESS, "dev-bingo")}
    assert "upstream: <internal-address dev-bingo>:80\n" in text
    assert "bingo: 8\n" in text
    assert "nginx: 8\n" in text


@given(st.lists(st.sampled_from(["a: ", "10.30.0.44", "e6q1x ", "\n", ":80 "])))
def test_what_was_told_is_found_again(parts: list[str]) -> None:
    refs = {"10.30.0.4": Ref(Kind.INTERNAL_ADDRESS, "dev-bingo"), "e6q": Ref(Kind.SECRET, "dev-certificate")}
    values = {ref: value for value, ref in refs.items()}
    text = " ".join([*parts, *map(token, values)])
    assert untold(told(text, values.__getitem__), refs) == text


def test_a_certificate_is_for_every_address_and_the_domain() -> None:
    from cryptography import x509  # noqa: PLC0415 - only here

    made = self_signed(["127.66.2.1"], "tea.example.org")
    names = x509.load_pem_x509_certificate(made.cert.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(name.value) for name in names.value] == ["127.66.2.1", "tea.example.org"]
    assert "PRIVATE" in made.key
    assert "PRIVATE" not in repr(made)
