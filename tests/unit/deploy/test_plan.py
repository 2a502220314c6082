"""The plan is pure: what it says, and that carrying it out in its order always works and leaves nothing to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.core.errors import ConfigError
from samovar.deploy.plan import Action, Plan, Step, destruction, plan, stages
from samovar.deploy.preconditions import check_free, irreplaceable, warn_of_foreign_groups
from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.registry import namespace
from samovar.deploy.resources.resource import Existing, Kind, Observed, Ref, Resource, Spec
from samovar.project.balancer import Balancer as EnvBalancer
from samovar.project.balancer import BalancerType, Health, Listener
from samovar.project.data_disk import DataDisk
from samovar.project.environment import Environment
from samovar.project.environment_options import SecretKind
from samovar.project.group import Group
from samovar.project.machine import Machine
from tests.support.environments import changed, desired_of, make_environment, make_group

SMALL = Machine.model_validate({"memory": "2G", "disk": "5G"})
EXTERNAL = EnvBalancer(type=BalancerType.EXTERNAL, listeners={"http": Listener(port=80)})
INTERNAL = EnvBalancer(type=BalancerType.INTERNAL, listeners={"http": Listener(port=80)})
IMAGES = {"nginx": "samovar-nginx-aaaaaaaaaaaa", "bingo": "samovar-bingo-bbbbbbbbbbbb"}
NGINX = make_group("nginx", image="nginx", size=2, machine=SMALL, balancer=EXTERNAL)


def environment(*groups: Group, zones: tuple[str, ...] = ("ru-central1-a",), cidr: str = "10.30.0.0/16") -> Environment:
    return make_environment("dev", *groups, zones=zones, network={"cidr": cidr})


DEV = environment(NGINX)
WORD = {"word": SecretKind.PASSWORD}
DISK = DataDisk.model_validate({"size": "1G", "seed": "once"})
STORES = make_group("stores", image="nginx", size=1, machine=SMALL, data_disks={"data": DISK})


def carry_out(steps: Iterable[Step], observed: Observed) -> Observed:
    """The steps on a model that refuses what a cloud refuses: references to nothing, deleting what is referred to.

    And a name that is taken, also by a resource of another kind that the API does not tell apart.
    """
    there: dict[Ref, Existing[Spec]] = {existing.ref: existing for existing in observed.resources}
    for step in steps:
        match step.action:
            case Action.DELETE:
                holders = [str(other.ref) for other in there.values() if step.ref in held(other.spec)]
                assert not holders, f"{step.ref} is deleted while {holders} refer to it"
                del there[step.ref]
            case Action.CREATE:
                taken = {(namespace(ref.kind), ref.name) for ref in there}
                assert (namespace(step.kind), step.name) not in taken, f"{step.ref}: the name is taken"
                there[step.ref] = existing_of(created(step, there))
            case Action.UPDATE:
                before, after = there[step.ref], created(step, there)
                changed = {name: getattr(after.spec, name) for name in step.fields}
                there[step.ref] = replace(before, spec=replace(before.spec, **changed))
    return Observed(observed.environment, tuple(there.values()), observed.images)


def held(spec: Spec) -> set[Ref]:
    """Return what cannot be deleted before: the cloud does not know that metadata of machines name an address."""
    in_metadata = spec.template.metadata_refs if isinstance(spec, InstanceGroup) else ()
    return {*spec.refs()}.difference(in_metadata)


def created(step: Step, there: Mapping[Ref, Existing[Spec]]) -> Resource[Spec]:
    assert step.desired
    missing = [str(ref) for ref in step.desired.spec.refs() if ref not in there]
    assert not missing, f"{step.ref} is created before {missing}"
    return step.desired


def existing_of(resource: Resource[Spec]) -> Existing[Spec]:
    return Existing(resource.name, resource.spec, resource.group, f"id-{resource.spec.KIND}-{resource.name}")


def rolled_out(*groups: Group) -> Observed:
    nothing = Observed("dev")
    return carry_out(plan(desired_of(environment(*groups), IMAGES), nothing).all_steps, nothing)


def test_the_groups_of_another_project_are_not_deleted_without_a_warning() -> None:
    def warnings(before: Environment, after: Environment) -> list[str]:
        nothing = Observed("dev")
        observed = carry_out(plan(desired_of(before, IMAGES), nothing).all_steps, nothing)
        return list(warn_of_foreign_groups(plan(desired_of(after, IMAGES), observed), observed))

    shop = environment(make_group("shop", image="nginx", size=2, machine=SMALL, balancer=EXTERNAL))
    (warning,) = warnings(DEV, shop)
    assert "dev-nginx" in warning
    assert "rename its folder in envs/" in warning
    assert warnings(DEV, environment(NGINX, STORES)) == []
    assert warnings(environment(NGINX, STORES), DEV) == []
    assert warnings(DEV, environment(NGINX, cidr="10.31.0.0/16")) == [], "it is replaced, and still there"


def test_a_first_plan_creates_everything_in_stages() -> None:
    steps = plan(desired_of(environment(NGINX), IMAGES), Observed("dev")).all_steps
    assert {step.action for step in steps} == {Action.CREATE}
    for stage in stages(steps):
        kinds = [step.ref.kind for step in stage]
        assert kinds == sorted(kinds, key=list(Kind).index)
    kinds = [step.ref.kind for step in steps]
    assert {Kind.ADDRESS, Kind.GATEWAY, Kind.SECURITY_GROUP, Kind.INSTANCE_GROUP, Kind.LOAD_BALANCER} <= {*kinds}


def test_a_second_plan_has_nothing_to_do() -> None:
    the_plan = plan(desired_of(environment(NGINX), IMAGES), rolled_out(NGINX))
    assert (the_plan.environment, the_plan.all_steps) == ("dev", ())
    assert the_plan.summary() == "dev: nothing to do"


def test_a_new_size_is_an_update() -> None:
    the_plan = plan(desired_of(environment(changed(NGINX, size=3)), IMAGES), rolled_out(NGINX))
    (step,) = the_plan.all_steps
    assert the_plan.summary() == "dev: 1 to update"
    assert (step.action, step.ref, step.reason) == (
        Action.UPDATE,
        Ref(Kind.INSTANCE_GROUP, "dev-nginx"),
        "size: 2 -> 3",
    )


def test_a_new_setting_names_the_metadata_key_and_the_replacement() -> None:
    titled = changed(NGINX, settings={"title": "tea"})
    (step,) = plan(desired_of(environment(titled), IMAGES), rolled_out(NGINX)).all_steps
    assert (step.action, step.fields) == (Action.UPDATE, ("template",))
    assert step.reason == "metadata: samovar-settings; machines are replaced one at a time"


def test_a_new_image_names_the_old_one() -> None:
    newer = {**IMAGES, "nginx": "samovar-nginx-cccccccccccc"}
    (step,) = plan(desired_of(environment(NGINX), newer), rolled_out(NGINX)).all_steps
    assert "image: samovar-nginx-aaaaaaaaaaaa -> samovar-nginx-cccccccccccc" in step.reason


def test_a_removed_group_is_deleted_alone() -> None:
    bingo = make_group("bingo", image="bingo", size=2, machine=SMALL)
    steps = plan(desired_of(environment(bingo), IMAGES), rolled_out(NGINX, bingo)).all_steps
    assert {(step.action, step.ref.name) for step in steps} == {(Action.DELETE, "dev-nginx")}


def test_replacements_are_not_irreplaceable_deletions() -> None:
    bingo = make_group("bingo", image="bingo", size=2, machine=SMALL)
    without = plan(desired_of(environment(bingo), IMAGES), rolled_out(NGINX, bingo))
    assert [str(existing.ref) for existing in irreplaceable(without)] == ["address dev-nginx"]
    moved = plan(desired_of(environment(NGINX, cidr="10.40.0.0/16"), IMAGES), rolled_out(NGINX))
    assert (len(moved.replaced), irreplaceable(moved)) == (3, ())


@pytest.mark.parametrize(
    ("conflicting", "message"),
    [
        (
            changed(DEV, groups=(changed(NGINX, name="groups", secrets={"word": "word"}),), secrets=WORD),
            "service-account dev-groups: the environment and group groups have the same name",
        ),
        (
            changed(DEV, groups=(STORES,), secrets={"stores_seeded": SecretKind.PASSWORD}),
            "seed-record dev-stores-seeded: one of its secrets and group stores have the same name",
        ),
    ],
)
def test_two_resources_of_one_name_are_refused(conflicting: Environment, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as error:
        desired_of(conflicting, IMAGES)
    assert "another name" in error.value.remedy


def test_a_resource_of_another_environment_is_refused() -> None:
    desired = desired_of(environment(NGINX), IMAGES)
    mine = rolled_out(NGINX)
    check_free(desired, mine)
    address = Ref(Kind.ADDRESS, "dev-nginx")
    check_free(desired, replace(mine, others=((address, "dev-x"),)))
    with pytest.raises(ConfigError, match="dev: the folder has these already: address dev-nginx belongs to dev-x"):
        check_free(desired, Observed("dev", others=((address, "dev-x"), (Ref(Kind.ADDRESS, "other"), ""))))


def test_a_resource_that_may_have_lost_its_labels_is_refused_with_the_labels_that_bring_it_back() -> None:
    """A second group under another name would stand beside the first one."""
    group = Ref(Kind.INSTANCE_GROUP, "dev-nginx")
    with pytest.raises(ConfigError, match="dev-nginx belongs to an owner that the tool does not know") as unknown:
        check_free(desired_of(environment(NGINX), IMAGES), Observed("dev", others=((group, ""),)))
    labels = "env=dev, group=nginx, managed-by=samovar"
    assert unknown.value.remedy.endswith(
        f"if {group} is this environment's own and lost its labels, put them back in the cloud: {labels}"
    )
    with pytest.raises(ConfigError) as foreign:
        check_free(desired_of(environment(NGINX), IMAGES), Observed("dev", others=((group, "dev-x"),)))
    assert "labels" not in foreign.value.remedy


def test_health_checks_tolerate_busy_machines_and_longer_with_data() -> None:
    stores = make_group("postgres", image="nginx", size=1, machine=SMALL, data_disks={"data": DISK})
    desired = desired_of(environment(NGINX, stores), IMAGES).resources
    checks = {resource.group: resource.spec.check for resource in desired if isinstance(resource.spec, InstanceGroup)}
    tolerated = {name: check.interval * check.unhealthy for name, check in checks.items()}
    assert tolerated == {"nginx": 10, "postgres": 30}
    assert all(check.interval > check.timeout and check.unhealthy <= 10 for check in checks.values()), (
        "the API's bounds"
    )


BALANCERS = {Kind.ADDRESS: EXTERNAL, Kind.INTERNAL_ADDRESS: INTERNAL}


@pytest.mark.parametrize(("before", "after"), [tuple(BALANCERS), tuple(reversed(BALANCERS))])
def test_an_address_goes_before_one_of_the_other_kind_gets_its_name(before: Kind, after: Kind) -> None:
    asking = make_group("web", image="nginx", size=1, machine=SMALL, upstreams={"app": "nginx"})
    observed = rolled_out(changed(NGINX, balancer=BALANCERS[before]), asking)
    desired = desired_of(environment(changed(NGINX, balancer=BALANCERS[after]), asking), IMAGES)
    the_plan = plan(desired, observed)
    former, new = Ref(before, "dev-nginx"), Ref(after, "dev-nginx")
    balancer = Ref(Kind.LOAD_BALANCER, "dev-nginx")
    kinds = (*BALANCERS, Kind.LOAD_BALANCER)
    assert [(step.action, step.ref) for step in the_plan.all_steps if step.kind in kinds] == [
        (Action.DELETE, balancer),
        (Action.DELETE, former),
        (Action.CREATE, new),
        (Action.CREATE, balancer),
    ]
    assert the_plan.steps[1].reason == f"{new} takes its name"
    assert plan(desired, carry_out(the_plan.all_steps, observed)).all_steps == ()


def test_a_new_cidr_replaces_the_subnet_and_its_dependents() -> None:
    moved = plan(desired_of(environment(NGINX, cidr="10.40.0.0/16"), IMAGES), rolled_out(NGINX))
    replaced = [Kind.LOAD_BALANCER, Kind.INSTANCE_GROUP, Kind.SUBNET]
    assert [(step.action, step.ref.kind) for step in moved.all_steps] == [
        *((Action.DELETE, kind) for kind in replaced),
        *((Action.CREATE, kind) for kind in reversed(replaced)),
    ]
    assert moved.summary() == "dev: 3 to replace"
    assert all(step.reason.startswith("replaced") for step in moved.all_steps)


def test_a_new_zone_keeps_the_existing_subnets() -> None:
    zones = ("ru-central1-b", "ru-central1-a")
    steps = plan(desired_of(environment(NGINX, zones=zones), IMAGES), rolled_out(NGINX)).all_steps
    assert [(step.action, step.ref.name) for step in steps if step.ref.kind is Kind.SUBNET] == [
        (Action.CREATE, "dev-ru-central1-b")
    ]
    assert not [step for step in steps if step.ref.kind is Kind.ADDRESS]


groups = st.builds(
    make_group,
    name=st.just("unnamed"),
    image=st.sampled_from(sorted(IMAGES)),
    size=st.integers(6, 8),
    machine=st.sampled_from([SMALL, changed(SMALL, core_fraction=50)]),
    health=st.sampled_from([Health(), Health(port=8080, path="/ready")]),
    public=st.booleans(),
    ports=st.just((8080,)),
    balancer=st.sampled_from(
        [
            None,
            EXTERNAL,
            INTERNAL,
            EnvBalancer(
                type=BalancerType.EXTERNAL, listeners={"http": Listener(port=8080), "https": Listener(port=443)}
            ),
        ]
    ),
    settings=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 2)),
)


def asked(name: str, members: Mapping[str, Group]) -> dict[str, str]:
    """Ask each group before one's own in the alphabet: the metadata name its address if its balancer is internal."""
    return {other: other for other in members if other < name}


environments = st.builds(
    lambda members, zones, cidr: environment(
        *(changed(group, name=name, upstreams=asked(name, members)) for name, group in members.items()),
        zones=tuple(zones),
        cidr=cidr,
    ),
    st.dictionaries(st.sampled_from(["nginx", "bingo", "web"]), groups, min_size=1),
    st.permutations(["ru-central1-a", "ru-central1-b", "ru-central1-d"]).flatmap(
        lambda zones: st.integers(1, 3).map(lambda count: zones[:count])
    ),
    st.sampled_from(["10.30.0.0/16", "10.40.0.0/20"]),
)


def in_any_order(the_plan: Plan, random: Random) -> list[Step]:
    """The steps of a stage are carried out at the same time: so in any order."""
    return [step for stage in stages(the_plan.all_steps) for step in random.sample(stage, len(stage))]


@given(environments, environments, st.randoms())
def test_any_plan_can_be_carried_out_and_leaves_nothing_to_do(
    first: Environment, second: Environment, random: Random
) -> None:
    observed = Observed("dev")
    for desired in (desired_of(first, IMAGES), desired_of(second, IMAGES)):
        observed = carry_out(in_any_order(plan(desired, observed), random), observed)
        assert plan(desired, observed).all_steps == ()


@given(environments, environments, st.randoms(), st.data())
def test_an_interrupted_rollout_is_finished_by_the_next(
    first: Environment, second: Environment, random: Random, data: st.DataObject
) -> None:
    before = carry_out(plan(desired_of(first, IMAGES), Observed("dev")).all_steps, Observed("dev"))
    desired = desired_of(second, IMAGES)
    steps = in_any_order(plan(desired, before), random)
    cut = data.draw(st.integers(0, len(steps)))
    half = carry_out(steps[:cut], before)
    rest = plan(desired, half)
    assert plan(desired, carry_out(rest.all_steps, half)).all_steps == ()


@given(environments, st.data())
def test_an_interrupted_first_rollout_has_only_the_rest_to_do(first: Environment, data: st.DataObject) -> None:
    desired = desired_of(first, IMAGES)
    steps = plan(desired, Observed("dev")).all_steps
    cut = data.draw(st.integers(0, len(steps)))
    rest = plan(desired, carry_out(steps[:cut], Observed("dev")))
    assert len(rest.all_steps) == len(steps) - cut


@given(environments, st.randoms())
def test_destruction_leaves_nothing_in_any_order_of_a_stage(first: Environment, random: Random) -> None:
    nothing = Observed("dev")
    there = carry_out(plan(desired_of(first, IMAGES), nothing).all_steps, nothing)
    assert carry_out(in_any_order(destruction(there), random), there).resources == ()


PLAIN = DataDisk.model_validate({"size": "1G"})
PASSING = DataDisk.model_validate({"size": "1G", "on_destroy": "delete"})


def test_each_data_disk_of_a_group_is_attached_by_its_name_and_one_is_recorded() -> None:
    for disks, kinds in (({"rows": DISK, "files": PLAIN}, {Kind.SEED_RECORD}), ({"rows": PLAIN}, set[Kind]())):
        group = changed(STORES, data_disks=disks)
        resources = desired_of(environment(group), IMAGES).resources
        (spec,) = [resource.spec for resource in resources if isinstance(resource.spec, InstanceGroup)]
        assert spec.template.data_disks == tuple(sorted(f"{name}=dev-stores-{name}" for name in disks))
        assert {resource.spec.KIND for resource in resources} & {Kind.SEED_RECORD} == kinds
        assert ("seeded" in dict(spec.template.metadata).get("samovar-settings", "")) is bool(kinds)
        assert (spec.template.service_account == "dev-stores") is bool(kinds)  # machines that read no secret have none


def settled(group: Group) -> Observed:
    steps = plan(desired_of(environment(group), IMAGES), Observed("dev")).all_steps
    return carry_out(steps, Observed("dev"))


def test_a_disk_that_is_removed_from_a_group_is_kept_and_named() -> None:
    two = changed(STORES, data_disks={"data": DISK, "files": PASSING})
    taken = plan(desired_of(environment(STORES), IMAGES), settled(two))
    assert [(each.kind, each.name) for each in taken.kept] == [(Kind.DISK, "dev-stores-files")]
    (step,) = taken.all_steps
    assert step.reason.startswith("data_disks: data=dev-stores-data, files=dev-stores-files -> data=dev-stores-data;")
    again = plan(desired_of(environment(two), IMAGES), carry_out(taken.all_steps, settled(two)))
    assert (again.kept, [step.kind for step in again.all_steps]) == ((), [Kind.INSTANCE_GROUP])


def test_a_destruction_deletes_disks_with_on_destroy_delete_and_their_records() -> None:
    seeded = DataDisk.model_validate({"size": "1G", "seed": "once", "on_destroy": "delete"})
    passing = settled(changed(STORES, data_disks={"data": seeded, "files": PLAIN}))
    assert [each.name for each in destruction(passing).kept] == ["dev-stores-files"]
    kept = settled(changed(STORES, data_disks={"data": DISK, "files": PASSING}))
    assert {each.name for each in destruction(kept).kept} == {"dev-stores-data", "dev-stores-seeded"}
    assert destruction(kept, delete_data=True).kept == ()
    assert "dev-stores-files" not in {each.name for each in destruction(kept).kept}


def test_a_change_of_on_destroy_replaces_no_machine() -> None:
    steps = plan(
        desired_of(environment(changed(STORES, data_disks={"data": PASSING})), IMAGES),
        settled(changed(STORES, data_disks={"data": PLAIN})),
    ).all_steps
    assert [(step.ref, step.reason) for step in steps] == [
        (Ref(Kind.DISK, "dev-stores-data"), "on_destroy: keep -> delete")
    ]
