"""The plan is pure: what it says, and that carrying it out in its order always works and leaves nothing to do."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.core.errors import ConfigError
from samovar.deploy.collisions import check_free
from samovar.deploy.desired import desired
from samovar.deploy.plan import Action, Change, Plan, destruction, early_deletions, late_deletions, plan
from samovar.deploy.protection import lost
from samovar.deploy.specs import Existing, InstanceGroup, Kind, Observed, Ref, Resource
from samovar.project.environment import Balancer as EnvBalancer
from samovar.project.environment import (
    BalancerType,
    CloudKind,
    DataDisk,
    Environment,
    Group,
    Health,
    Machine,
    SecretKind,
)
from tests.support.checkout import PROJECT

GIB = 2**30
SMALL = Machine(cores=2, core_fraction=100, memory=GIB, disk=5 * GIB)
HEALTH = Health(80, "/-/health")
EXTERNAL = EnvBalancer(BalancerType.EXTERNAL, {"http": 80}, HEALTH)
IMAGES = {"nginx": "samovar-nginx-aaaaaaaaaaaa", "bingo": "samovar-bingo-bbbbbbbbbbbb"}
NGINX = Group("nginx", "nginx", 2, SMALL, HEALTH, balancer=EXTERNAL)


def environment(*groups: Group, zones: tuple[str, ...] = ("ru-central1-a",), cidr: str = "10.30.0.0/16") -> Environment:
    return Environment("dev", CloudKind.LOCAL, zones, IPv4Network(cidr), None, groups, project=PROJECT)


DEV = environment(NGINX)
WORD = {"word": SecretKind.PASSWORD}
STORES = Group("stores", "nginx", 1, SMALL, HEALTH, data_disk=DataDisk(GIB, "network-ssd"))


def carried_out(the_plan: Plan, observed: Observed) -> Observed:
    """The plan on a model that refuses what a cloud refuses: references to nothing, deleting what is referred to."""
    there: dict[Ref, Existing] = {existing.ref: existing for existing in observed.resources}

    def delete(existing: Existing) -> None:
        holders = [str(other.ref) for other in there.values() if existing.ref in other.spec.refs()]
        assert not holders, f"{existing.ref} is deleted while {holders} refer to it"
        del there[existing.ref]

    def put(change: Change) -> None:
        assert change.after
        missing = [str(ref) for ref in change.after.spec.refs() if ref not in there]
        assert not missing, f"{change.ref} is made before {missing}"
        if change.action is Action.UPDATE:
            before = there[change.ref]
            changed = {name: getattr(change.after.spec, name) for name in change.fields}
            there[change.ref] = replace(before, spec=replace(before.spec, **changed))
        else:
            assert change.ref not in there
            there[change.ref] = existing_of(change.after)

    for existing in early_deletions(the_plan):
        delete(existing)
    for change in the_plan.changes:
        if change.after:
            put(change)
    for existing in late_deletions(the_plan):
        delete(existing)
    return Observed(observed.environment, tuple(there.values()), observed.images)


def existing_of(resource: Resource) -> Existing:
    return Existing(resource.name, resource.spec, resource.group, f"id-{resource.spec.KIND}-{resource.name}")


def rolled_out(*groups: Group) -> Observed:
    nothing = Observed("dev")
    return carried_out(plan(desired(environment(*groups), IMAGES), nothing), nothing)


def test_from_nothing_everything_is_created_in_an_order_that_works() -> None:
    changes = plan(desired(environment(NGINX), IMAGES), Observed("dev")).changes
    assert {change.action for change in changes} == {Action.CREATE}
    kinds = [change.ref.kind for change in changes]
    assert kinds == sorted(kinds, key=list(Kind).index)
    assert {Kind.ADDRESS, Kind.GATEWAY, Kind.SECURITY_GROUP, Kind.GROUP, Kind.BALANCER} <= {*kinds}


def test_rolled_out_again_there_is_nothing_to_do() -> None:
    the_plan = plan(desired(environment(NGINX), IMAGES), rolled_out(NGINX))
    found = the_plan.to_json()
    assert (found["environment"], found["changes"]) == ("dev", [])
    assert the_plan.summary() == "dev: nothing to do"


def test_a_size_is_updated_in_place() -> None:
    the_plan = plan(desired(environment(replace(NGINX, size=3)), IMAGES), rolled_out(NGINX))
    found = the_plan.to_json()["changes"]
    assert the_plan.summary() == "dev: 1 to update"
    assert found == [
        {"action": "update", "kind": "instance-group", "name": "dev-nginx", "reason": "size: 2 -> 3"},
    ]


def test_a_setting_replaces_machines_and_says_so() -> None:
    changed = replace(NGINX, settings={"title": "tea"})
    (change,) = plan(desired(environment(changed), IMAGES), rolled_out(NGINX)).changes
    assert (change.action, change.fields) == (Action.UPDATE, ("template",))
    assert change.reason == "metadata: samovar-settings; machines are replaced one at a time"


def test_an_image_names_both_sides() -> None:
    newer = {**IMAGES, "nginx": "samovar-nginx-cccccccccccc"}
    (change,) = plan(desired(environment(NGINX), newer), rolled_out(NGINX)).changes
    assert "image: samovar-nginx-aaaaaaaaaaaa -> samovar-nginx-cccccccccccc" in change.reason


def test_a_group_taken_from_the_file_is_deleted_and_the_other_left_alone() -> None:
    bingo = Group("bingo", "bingo", 2, SMALL, HEALTH)
    changes = plan(desired(environment(bingo), IMAGES), rolled_out(NGINX, bingo)).changes
    assert {(change.action, change.ref.name) for change in changes} == {(Action.DELETE, "dev-nginx")}


def test_what_no_rollout_brings_back_is_told_apart_from_what_is_made_anew() -> None:
    bingo = Group("bingo", "bingo", 2, SMALL, HEALTH)
    without = plan(desired(environment(bingo), IMAGES), rolled_out(NGINX, bingo))
    assert [str(existing.ref) for existing in lost(without)] == ["address dev-nginx"]
    moved = plan(desired(environment(NGINX, cidr="10.40.0.0/16"), IMAGES), rolled_out(NGINX))
    assert (len(moved.changes), lost(moved)) == (3, ())


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            replace(DEV, groups=(replace(NGINX, name="groups", secrets=("word",)),), secrets=WORD),
            "service-account dev-groups: the environment and group groups have the same name",
        ),
        (
            replace(DEV, groups=(STORES,), secrets={"stores_seeded": SecretKind.PASSWORD}),
            "data-record dev-stores-seeded: one of its secrets and group stores have the same name",
        ),
    ],
)
def test_two_resources_of_one_name_are_refused_by_name(found: Environment, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as error:
        desired(found, IMAGES)
    assert "another name" in error.value.remedy


def test_what_another_environment_has_is_refused_by_name_and_ones_own_is_not() -> None:
    wanted = desired(environment(NGINX), IMAGES)
    mine = rolled_out(NGINX)
    check_free(wanted, mine)
    address = Ref(Kind.ADDRESS, "dev-nginx")
    check_free(wanted, replace(mine, others=((address, "dev-x"),)))
    with pytest.raises(ConfigError, match="dev: the folder has these already: address dev-nginx belongs to dev-x"):
        check_free(wanted, Observed("dev", others=((address, "dev-x"), (Ref(Kind.ADDRESS, "other"), ""))))


def test_a_machine_that_is_merely_busy_is_not_given_up_at_once_and_one_with_data_later_still() -> None:
    stores = Group("postgres", "nginx", 1, SMALL, HEALTH, data_disk=DataDisk(GIB, "network-ssd"))
    wanted = desired(environment(NGINX, stores), IMAGES).resources
    checks = {found.group: found.spec.check for found in wanted if isinstance(found.spec, InstanceGroup)}
    patience = {name: check.interval * check.unhealthy for name, check in checks.items()}
    assert patience == {"nginx": 10, "postgres": 30}
    assert all(check.interval > check.timeout and check.unhealthy <= 10 for check in checks.values()), (
        "the API's bounds"
    )


def test_a_new_range_replaces_the_subnet_and_all_that_stands_on_it() -> None:
    moved = plan(desired(environment(NGINX, cidr="10.40.0.0/16"), IMAGES), rolled_out(NGINX))
    assert {(change.action, change.ref.kind) for change in moved.changes} == {
        (Action.REPLACE, Kind.SUBNET),
        (Action.REPLACE, Kind.GROUP),
        (Action.REPLACE, Kind.BALANCER),
    }
    assert [existing.ref.kind for existing in early_deletions(moved)] == [Kind.BALANCER, Kind.GROUP, Kind.SUBNET]


def test_another_zone_leaves_the_subnets_that_are_there() -> None:
    zones = ("ru-central1-b", "ru-central1-a")
    changes = plan(desired(environment(NGINX, zones=zones), IMAGES), rolled_out(NGINX)).changes
    assert [(change.action, change.ref.name) for change in changes if change.ref.kind is Kind.SUBNET] == [
        (Action.CREATE, "dev-ru-central1-b")
    ]
    assert not [change for change in changes if change.ref.kind is Kind.ADDRESS]


groups = st.builds(
    Group,
    name=st.just(""),
    image=st.sampled_from(sorted(IMAGES)),
    size=st.integers(1, 4),
    machine=st.sampled_from([SMALL, replace(SMALL, cores=4)]),
    health=st.sampled_from([HEALTH, Health(8080, "/ready")]),
    public=st.booleans(),
    balancer=st.sampled_from(
        [None, EXTERNAL, EnvBalancer(BalancerType.EXTERNAL, {"http": 8080, "https": 443}, HEALTH)]
    ),
    settings=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 2)),
)
environments = st.builds(
    lambda found, zones, cidr: environment(
        *(replace(group, name=name) for name, group in found.items()), zones=tuple(zones), cidr=cidr
    ),
    st.dictionaries(st.sampled_from(["nginx", "bingo", "web"]), groups, min_size=1),
    st.permutations(["ru-central1-a", "ru-central1-b", "ru-central1-d"]).flatmap(
        lambda zones: st.integers(1, 3).map(lambda count: zones[:count])
    ),
    st.sampled_from(["10.30.0.0/16", "10.40.0.0/20"]),
)


@given(environments, environments)
def test_any_plan_can_be_carried_out_and_leaves_nothing_to_do(first: Environment, second: Environment) -> None:
    observed = Observed("dev")
    for wanted in (desired(first, IMAGES), desired(second, IMAGES)):
        observed = carried_out(plan(wanted, observed), observed)
        assert plan(wanted, observed).changes == ()


@given(environments, st.data())
def test_a_rollout_that_was_cut_short_is_finished_by_the_next(first: Environment, data: st.DataObject) -> None:
    wanted = desired(first, IMAGES)
    whole = plan(wanted, Observed("dev"))
    cut = data.draw(st.integers(0, len(whole.changes)))
    half = carried_out(replace(whole, changes=whole.changes[:cut]), Observed("dev"))
    rest = plan(wanted, half)
    assert len(rest.changes) == len(whole.changes) - cut
    assert plan(wanted, carried_out(rest, half)).changes == ()


@given(environments)
def test_destroy_leaves_nothing_in_an_order_that_works(first: Environment) -> None:
    nothing = Observed("dev")
    there = carried_out(plan(desired(first, IMAGES), nothing), nothing)
    assert carried_out(destruction(there), there).resources == ()
