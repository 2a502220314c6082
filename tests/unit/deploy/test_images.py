"""Images by content, and settings checked before any machine is made."""

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest

from samovar.core.constants import GIB
from samovar.core.errors import CloudError, ConfigError, ExitCode
from samovar.deploy.disk_sizes import check_boot_disks
from samovar.deploy.resources.resource import Existing, Observed
from samovar.deploy.resources.seed_record import SeedRecord
from samovar.deploy.rollout import image_names, load_desired, require_images
from samovar.deploy.seeding import check_data_formats
from samovar.project.environment import Environment
from samovar.project.environment_options import SecretKind
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed
from tests.support.tool import EDGES


@pytest.fixture
def dev() -> Environment:
    return load_environment("edges", EDGES.parents[1])


def with_nginx(dev: Environment, **changes: object) -> Environment:
    return changed(dev, groups=(changed(dev.group("nginx"), **changes),))


def without_secrets(environment: Environment, name: str) -> Environment:
    groups = (changed(group, secrets={}) if group.name == name else group for group in environment.groups)
    return changed(environment, groups=tuple(groups))


def test_image_names_follow_the_projects_content(dev: Environment) -> None:
    (name,) = image_names(load_desired(dev))
    assert name.startswith("samovar-edge-")
    assert len(name) == len("samovar-edge-") + 12


def test_a_missing_image_names_the_command_that_bakes_it(dev: Environment) -> None:
    desired = load_desired(dev)
    (name,) = image_names(desired)
    with pytest.raises(CloudError) as error:
        require_images(desired, Observed("dev", images=(("samovar-edge-000000000000", "img-1"),)))
    assert name in error.value.message
    assert error.value.remedy == "samovar bake --env edges"
    require_images(desired, Observed("dev", images=((name, "img-1"),)))


def test_a_boot_disk_that_is_too_small_for_its_image_is_an_error_with_both_sizes(dev: Environment) -> None:
    desired = load_desired(dev)
    (name,) = image_names(desired)
    with pytest.raises(
        ConfigError, match=rf"groups.nginx.machine.disk: the boot disk has 5G, and {name} needs 10G"
    ) as error:
        check_boot_disks(dev, desired, Observed("dev", min_disk_sizes=((name, 10 * GIB),)))
    assert "machine: {disk: 10G}" in error.value.remedy
    check_boot_disks(dev, desired, Observed("dev", min_disk_sizes=((name, 5 * GIB),)))


@pytest.mark.parametrize(("before", "refused"), [("postgresql-16", True), ("postgresql-17", False), ("", False)])
def test_an_image_of_another_data_format_than_that_of_the_rows_is_refused(*, before: str, refused: bool) -> None:
    dev = load_environment("dev")
    record = SeedRecord(readers=(), disk="dev-postgres-data", seeded=True, data_format=before)
    observed = Observed("dev", (Existing("dev-postgres-seeded", record, "postgres"),))
    with (
        pytest.raises(ConfigError, match="rows of postgresql-16, and its image reads postgresql-17")
        if refused
        else nullcontext()
    ):
        check_data_formats(dev, load_desired(dev), observed)


def test_an_unknown_image_lists_the_existing_ones(dev: Environment) -> None:
    with pytest.raises(ConfigError) as error:
        load_desired(with_nginx(dev, image="apache"))
    assert "groups.nginx.image: there is no image apache" in error.value.message
    assert "samovar/edge" in error.value.remedy


@pytest.mark.parametrize(
    ("settings", "message"), [({"titel": "tea"}, "settings.titel: unknown"), ({"timeout": "tea"}, "timeout")]
)
def test_validate_refuses_settings_that_the_agent_would_refuse(
    dev: Environment, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        load_desired(with_nginx(dev, settings=settings))
    assert re.match(rf"{EDGES}:\d+: groups.nginx.settings", error.value.message)
    assert error.value.code is ExitCode.CONFIG


def test_validate_refuses_a_group_without_a_required_secret() -> None:
    dev = load_environment("dev")
    assert load_desired(dev).resources
    with pytest.raises(ConfigError, match=r"config.yaml:\d+: groups.bingo.secrets: postgres_password is mis") as error:
        load_desired(without_secrets(dev, "bingo"))
    assert "add secrets: {postgres_password: SECRET} to the group" in error.value.remedy


def test_validate_refuses_a_group_without_a_required_upstream() -> None:
    dev = load_environment("dev")
    groups = (changed(group, upstreams={}) if group.name == "bingo" else group for group in dev.groups)
    with pytest.raises(ConfigError, match=r"config.yaml:\d+: groups.bingo.upstreams: database is missing") as error:
        load_desired(changed(dev, groups=tuple(groups)))
    assert "add upstreams: {database: GROUP} to the group" in error.value.remedy


@pytest.mark.parametrize(
    ("name", "key", "knows"),
    [
        ("bingo", "upstreams", "database"),
        ("nginx", "secrets", "certificate"),
    ],
)
def test_validate_refuses_names_that_the_role_does_not_know(name: str, key: str, knows: str) -> None:
    dev = load_environment("dev")
    groups = (changed(each, **{key: {"other": "postgres"}}) if each.name == name else each for each in dev.groups)
    dev = changed(dev, groups=tuple(groups), secrets={**dev.secrets, "postgres": SecretKind.PASSWORD})
    with pytest.raises(ConfigError, match=rf"config.yaml:\d+: groups.{name}.{key}.other: the role of .*asks") as error:
        load_desired(dev)
    assert error.value.remedy == f"it knows: {knows}"


def test_validate_accepts_edges_without_a_certificate() -> None:
    dev = load_environment("dev")
    assert load_desired(without_secrets(dev, "nginx")).resources


def test_validate_refuses_an_image_without_a_role(dev: Environment) -> None:
    with pytest.raises(ConfigError, match="no role"):
        load_desired(with_nginx(dev, image="samovar-base"))
