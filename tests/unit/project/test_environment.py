from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.project.balancer import BalancerType, Health
from samovar.project.environment import Environment, environment_names
from samovar.project.environment_options import Operator
from samovar.project.group import Group
from tests.support.checkout import ENVIRONMENTS, ROOT
from tests.support.checkout import environment as load_environment

GOOD = """\
cloud: local
zones: [ru-central1-a]
network: {cidr: 10.30.0.0/16}
groups:
  nginx:
    image: nginx
    size: 2
    machine: {cores: 2, core_fraction: 20, memory: 1G, disk: 5G}
    balancer: {type: external, listeners: {http: 80}}
"""
CLIENT = "  web: {image: web, size: 1, upstreams: {app: nginx}, machine: {core_fraction: 20, memory: 1G, disk: 5G}}\n"


def write(folder: Path, text: str, name: str = "dev") -> Path:
    path = folder / name / "config.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def test_config_is_loaded_into_an_environment(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    environment = load_environment("dev", tmp_path)
    group = environment.group("nginx")
    assert environment.cidr == IPv4Network("10.30.0.0/16")
    assert (group.size, group.machine.memory, group.machine.disk) == (2, 2**30, 5 * 2**30)
    assert group.balancer is not None
    assert (group.balancer.type, group.balancer.listeners["http"].target) == (BalancerType.EXTERNAL, 80)


def test_the_shipped_environments_load() -> None:
    assert "dev" in environment_names(ENVIRONMENTS)
    for name in environment_names(ENVIRONMENTS):
        assert load_environment(name).name == name


def test_reference_explains_every_config_key() -> None:
    reference = (ROOT / "docs/reference/config.md").read_text()
    assert "docs/reference/config.md" in (ENVIRONMENTS / "dev/config.yaml").read_text()
    fields = [*Environment.model_fields.items(), *Group.model_fields.items()]
    keys = {field.alias or name for name, field in fields}
    assert [key for key in sorted(keys) if not re.search(rf"^\| `{key}` .*\| \S+", reference, re.MULTILINE)] == []


def test_unknown_environment_lists_those_that_exist(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ConfigError) as error:
        load_environment("prod", tmp_path)
    assert "no environment prod" in error.value.message
    assert error.value.remedy == "environments: dev"


def test_environment_name_cannot_be_a_path(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ConfigError, match="no environment"):
        load_environment("dev/../dev", tmp_path)


def test_unknown_group_lists_those_that_exist(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ConfigError) as error:
        load_environment("dev", tmp_path).group("web")
    assert "no group web" in error.value.message
    assert "nginx" in error.value.remedy


def test_environment_name_that_the_cloud_would_refuse_is_refused(tmp_path: Path) -> None:
    write(tmp_path, GOOD, name="Dev_1")
    with pytest.raises(ConfigError, match="Dev_1"):
        load_environment("Dev_1", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("size: 2", "size: 2\n    sise: 3", 8, "sise"),
        ("size: 2", "size: two", 7, "size"),
        ("size: 2", "size: 0", 7, "size"),
        ("size: 2", "size: 101", 7, "size"),
        ("cloud: local", "cloud: amazon", 1, "cloud"),
        ("[ru-central1-a]", "[moscow]", 2, "zones"),
        ("[ru-central1-a]", "[ru-central1-a, ru-central1-a]", 2, "each zone stands once"),
        ("[ru-central1-a]", "[]", 2, "zones"),
        ("10.30.0.0/16", "10.30.0.1/16", 3, "host bits"),
        ("10.30.0.0/16", "8.8.0.0/16", 3, "private: part of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16"),
        ("10.30.0.0/16", "127.0.0.0/16", 3, "private"),
        ("10.30.0.0/16", "169.254.0.0/16", 3, "private"),
        ("10.30.0.0/16", "198.18.0.0/16", 3, "private"),
        ("10.30.0.0/16", "172.32.0.0/16", 3, "private"),
        ("10.30.0.0/16", "10.0.0.0/8", 3, "/16 to /24"),
        ("nginx:\n", "Nginx:\n", 5, "Nginx"),
        ("nginx:\n", "rollout-lock:\n", 5, "is reserved"),
        ("cloud: local\n", "cloud: local\nsecrets: {rollout_lock: password}\n", 2, "is reserved"),
        ("cores: 2", "cores: 3", 8, "even number of cores"),
        ("core_fraction: 20", "core_fraction: 30", 8, "per cent"),
        (
            "core_fraction: 20",
            "core_fraction: 100",
            8,
            "have 2G, 4G, 6G, 8G, 10G, 12G, 14G, 16G, 18G, 20G, 22G, 24G, 26G, 28G, 30G, 32G of memory",
        ),
        ("core_fraction: 20", "core_fraction: 5", 8, "20, 50, 100 per cent, and not at 5"),
        ("cores: 2", "cores: 8", 8, "2, 4 cores at 20 per cent, and not 8"),
        ("memory: 1G", "memory: 1GB", 8, "1GB"),
        ("memory: 1G", "memory: 1", 8, "a size is a whole number"),
        ("memory: 1G", "memory: 1T", 8, "512M to 256G"),
        ("disk: 5G", "disk: 100M", 8, "1G to 4T"),
        ("type: external", "type: outside", 9, "type"),
        ("http: 80", "http: {target_port: 80}", 9, "listeners"),
        ("http: 80", "http: 80, https: 80", 9, "port of its own"),
        ("http: 80", "http: 70000", 9, "http"),
        ("zones: [ru-central1-a]\n", "", 1, "zones"),
    ],
)
def test_invalid_config_names_file_line_and_remedy(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as error:
        load_environment("dev", tmp_path)
    assert f"{path}:{line}:" in error.value.message
    assert message in error.value.message
    assert error.value.remedy


def test_an_upstream_without_a_port_is_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        GOOD.replace("size: 2\n", "size: 2\n    upstreams: {app: web}\n")
        + CLIENT.replace("upstreams: {app: nginx}, ", ""),
    )
    with pytest.raises(ConfigError, match=r":8: groups.nginx.upstreams.app: group web has neither a balancer") as error:
        load_environment("dev", tmp_path)
    assert error.value.remedy == "name another group, or give web ports: [PORT], at which its machines answer"


@pytest.mark.parametrize(
    ("upstream", "message"),
    [
        ("web", ":11: groups.web.upstreams.app: nginx asks web asks nginx: each needs the address"),
        ("shop", ":8: groups.nginx.upstreams.app: there is no group and no external server shop"),
    ],
)
def test_circular_and_missing_upstreams_are_refused(tmp_path: Path, upstream: str, message: str) -> None:
    write(tmp_path, GOOD.replace("size: 2\n", f"size: 2\n    upstreams: {{app: {upstream}}}\n") + CLIENT)
    with pytest.raises(ConfigError, match=message):
        load_environment("dev", tmp_path)


@pytest.mark.parametrize("expansion", [0, 2])
def test_a_policy_that_does_not_go_with_data_disks_is_refused(tmp_path: Path, expansion: int) -> None:
    policy = f"    policy: {{max_unavailable: 1, max_expansion: {expansion}}}\n"
    write(tmp_path, GOOD.replace("size: 2", "size: 1") + "    data_disks: {data: {size: 1G}}\n" + policy)
    if not expansion:
        assert load_environment("dev", tmp_path).group("nginx").policy.max_expansion == 0
        return
    with pytest.raises(ConfigError, match=r"nginx.policy.max_expansion: max_expansion is 0 in a group with data disks"):
        load_environment("dev", tmp_path)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ann@example"


def test_a_bake_may_start_from_another_family(tmp_path: Path) -> None:
    assert load_environment("dev").bake_family is None
    write(tmp_path, f"{GOOD}bake: {{family: debian-12}}\n")
    environment = load_environment("dev", tmp_path)
    assert (environment.bake_family, environment.bake_from) == ("debian-12", None)


def test_bake_ssh_from_is_a_range_of_addresses(tmp_path: Path) -> None:
    assert load_environment("dev").bake_from is None
    write(tmp_path, f"{GOOD}bake: {{ssh_from: 198.51.100.0/24}}\n")
    assert load_environment("dev", tmp_path).bake_from == "198.51.100.0/24"


@pytest.mark.parametrize("text", ["198.51.100.7/24", "office", "10", "{}"])
def test_invalid_bake_ssh_from_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, f"{GOOD}bake: {{ssh_from: {text}}}\n")
    with pytest.raises(ConfigError, match="ssh_from"):
        load_environment("dev", tmp_path)


def test_bastion_is_a_group_with_public_addresses(tmp_path: Path) -> None:
    assert load_environment("dev").operator is None
    public = GOOD + "    public: true\n"
    write(tmp_path, f"{public}operator: {{ssh_keys: [{KEY}]}}\n")
    assert load_environment("dev", tmp_path).bastion == "nginx"
    assert load_environment("dev", tmp_path).operator == Operator(ssh_keys=(KEY,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"operator: {{ssh_keys: [{KEY}]}}\n", "the way in leads through a group with `public: true`"),
        (f"    public: true\noperator: {{ssh_keys: [{KEY}], bastion: door}}\n", "the way in leads through"),
        (
            f"    public: true\n{CLIENT}operator: {{ssh_keys: [{KEY}]}}\n",
            "nginx is the upstream of web and cannot be the bastion",
        ),
        ("    public: true\noperator: {ssh_keys: []}\n", "ssh_keys"),
        ("    public: true\noperator: {ssh_keys: [~/.ssh/id_ed25519.pub]}\n", "ssh_keys"),
    ],
)
def test_operator_without_bastion_or_key_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, GOOD + text)
    with pytest.raises(ConfigError, match=message):
        load_environment("dev", tmp_path)


def test_balancer_health_defaults_to_the_groups(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("http: 80}", "http: 80}, health: {path: /-/ready}"))
    group = load_environment("dev", tmp_path).group("nginx")
    assert group.balancer
    assert (group.health, group.balancer_health) == (
        Health(port=80, path="/-/health"),
        Health(port=80, path="/-/ready"),
    )


def test_the_names_of_environment_and_group_fit_into_one_together(tmp_path: Path) -> None:
    environment, group = "e" * 30, "g" * 24
    write(tmp_path, GOOD.replace("nginx:", f"{group}:"), environment)
    assert load_environment(environment, tmp_path).group(group).size == 2
    (tmp_path / "longer").mkdir()
    write(tmp_path / "longer", GOOD.replace("nginx:", f"{group}g:"), environment)
    with pytest.raises(ConfigError, match="together have at most 54 characters"):
        load_environment(environment, tmp_path / "longer")


@pytest.mark.parametrize(("size", "sizes"), [("10G", "93G"), ("100G", "93G or 186G")])
def test_disks_of_some_types_have_sizes_in_steps(tmp_path: Path, size: str, sizes: str) -> None:
    disk = f"    data_disks: {{data: {{size: {size}, type: network-ssd-io-m3}}}}\n"
    write(tmp_path, GOOD.replace("size: 2", "size: 1") + disk)
    with pytest.raises(ConfigError, match=r"data_disks.data.size: .* in steps of 93G") as error:
        load_environment("dev", tmp_path)
    assert error.value.remedy == f"write {sizes}"


@pytest.mark.parametrize(
    ("disks", "message"),
    [
        ("{a: {size: 1G, mount: /etc}}", "groups.nginx.data_disks.a.mount: "),
        ("{a: {size: 1G, owner: 'app:app'}}", "data_disks.a.owner: the image mounts this disk in its own way"),
        ("{a: {size: 1G, mount: /srv, seed: once}}", "data_disks.a.mount: the image mounts a disk that it fills"),
        ("{a: {size: 1G, seed: once}, b: {size: 1G, seed: once}}", "a and b: one disk of a group is seeded"),
        (
            "{a: {size: 1G, mount: /srv}, b: {size: 1G, mount: /srv}}",
            "data_disks.a.mount: two of the group's disks have the mount /srv",
        ),
        ("{a: {size: 1G, on_destroy: no}}", "groups.nginx.data_disks.a.on_destroy: "),
        ("{A: {size: 1G}}", "groups.nginx.data_disks.A"),
        ("{a: {mount: /srv}}", "groups.nginx.data_disks.a.size: the key is missing"),
        ("{a: {size: 1G, mount: /srv, options: 'noatime'}}", "groups.nginx.data_disks.a.options: "),
        (f"{{{'d' * 31}: {{size: 1G}}}}", ""),
    ],
)
def test_data_disks_that_do_not_fit_are_refused(tmp_path: Path, disks: str, message: str) -> None:
    path = write(tmp_path, GOOD.replace("size: 2", "size: 1") + f"    data_disks: {disks}\n")
    if not message:
        assert load_environment("dev", tmp_path).group("nginx").data_disks
        return
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        load_environment("dev", tmp_path)
    assert re.match(rf"{path}:\d+: ", error.value.message)


def test_the_name_of_a_data_disk_fits_with_those_of_environment_and_group(tmp_path: Path) -> None:
    disks = f"    data_disks: {{{'d' * 31}: {{size: 1G}}}}\n"
    write(tmp_path, GOOD.replace("size: 2", "size: 1").replace("nginx:", f"{'g' * 28}:") + disks, "dev")
    with pytest.raises(ConfigError, match="of the disk together have at most 58 characters"):
        load_environment("dev", tmp_path)


def test_a_network_and_subnets_that_exist_are_named_by_id(tmp_path: Path) -> None:
    named = "{id: enp1}\nsubnets: {ru-central1-a: e9b1}"
    write(tmp_path, GOOD.replace("{cidr: 10.30.0.0/16}", named))
    environment = load_environment("dev", tmp_path)
    assert (environment.network.id, environment.cidr, environment.subnets) == ("enp1", None, {"ru-central1-a": "e9b1"})
    write(tmp_path, GOOD.replace("{cidr:", "{id: enp1, cidr:"), "mixed")
    assert load_environment("mixed", tmp_path).cidr == IPv4Network("10.30.0.0/16")


@pytest.mark.parametrize(
    ("network", "line", "message"),
    [
        ("{}", 3, "network: a network has a cidr, or the id of one that exists already"),
        ("{id: enp1}", 1, "subnets: ru-central1-a has no subnet"),
        ("{id: enp1}\nsubnets: {ru-central1-b: e9b1}", 4, "subnets: ru-central1-a has no subnet"),
        ("{id: enp1}\nsubnets: {ru-central1-a: e9b1, ru-central1-b: e2l1}", 4, "ru-central1-b is not in zones"),
        ("{cidr: 10.30.0.0/16}\nsubnets: {ru-central1-a: e9b1}", 4, "write network: {id: ID}"),
        (
            "{id: enp1, cidr: 10.30.0.0/16}\nsubnets: {ru-central1-a: e9b1}",
            4,
            "the range of network.cidr is for new subnets",
        ),
        ("{id: Enp_1}", 3, "network.id"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(tmp_path: Path, network: str, line: int, message: str) -> None:
    path = write(tmp_path, GOOD.replace("{cidr: 10.30.0.0/16}", network))
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        load_environment("dev", tmp_path)
    assert f"{path}:{line}: " in error.value.message


SCALED = "    autoscale: {max_size: 6, cpu_utilization: 75}\n"


def test_a_group_may_be_scaled_by_its_load(tmp_path: Path) -> None:
    write(tmp_path, GOOD + SCALED)
    group = load_environment("dev", tmp_path).group("nginx")
    assert group.autoscale
    assert (group.size, group.largest_size, group.smallest_size(3)) == (2, 6, 3)
    assert (group.autoscale.measurement_duration, group.autoscale.stabilization_duration) == (60, 300)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("{max_size: 6}", "a group is scaled by cpu_utilization, custom_rules, or both"),
        ("{cpu_utilization: 75}", "autoscale.max_size: the key is missing"),
        ("{max_size: 1, cpu_utilization: 75}", "the group begins with 2 machines, and max_size is less"),
        ("{max_size: 101, cpu_utilization: 75}", "autoscale.max_size"),
        ("{max_size: 6, cpu_utilization: 5}", "autoscale.cpu_utilization"),
        ("{max_size: 6, cpu_utilization: 75, measurement_duration: 30}", "autoscale.measurement_duration"),
        ("{max_size: 6, cpu_utilization: 75, min_zone_size: 7}", "1 zone(s) keep 7 machines, and max_size is 6"),
        ("{max_size: 6, custom_rules: [{metric_name: a, rule_type: sum, target: 1}]}", "rule_type"),
        ("{max_size: 6, custom_rules: [{metric_name: '{', rule_type: workload, target: 1}]}", "metric_name"),
    ],
)
def test_rules_of_scaling_that_do_not_fit_are_refused(tmp_path: Path, rules: str, message: str) -> None:
    path = write(tmp_path, f"{GOOD}    autoscale: {rules}\n")
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        load_environment("dev", tmp_path)
    assert re.match(rf"{path}:\d+: ", error.value.message)


def test_a_group_that_is_scaled_by_zone_begins_with_a_machine_in_each(tmp_path: Path) -> None:
    zones = "[ru-central1-a, ru-central1-b, ru-central1-d]"
    text = GOOD.replace("[ru-central1-a]", zones) + "    autoscale: {type: zonal, max_size: 6, cpu_utilization: 75}\n"
    write(tmp_path, text)
    with pytest.raises(ConfigError, match="begins with a machine in each zone: 2 in 3 zones"):
        load_environment("dev", tmp_path)


def test_a_group_with_a_data_disk_is_not_scaled(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("size: 2", "size: 1") + SCALED + "    data_disks: {data: {size: 1G}}\n")
    with pytest.raises(ConfigError, match="its group is not scaled"):
        load_environment("dev", tmp_path)


def test_machines_before_an_internal_balancer_stay_two_a_zone_however_small_the_load(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("external", "internal") + SCALED)
    with pytest.raises(ConfigError, match=re.escape("let autoscale.min_zone_size be 2 or more")):
        load_environment("dev", tmp_path)


def test_a_secret_may_be_one_that_exists(tmp_path: Path) -> None:
    secrets = "secrets: {api_key: {id: e6q1}, word: password}\n"  # pragma: allowlist secret
    write(tmp_path, secrets + GOOD + "    secrets: [api_key, word]\n")
    environment = load_environment("dev", tmp_path)
    assert environment.existing_secrets == {"api_key": "e6q1"}  # pragma: allowlist secret
    assert set(environment.own_secrets) == {"word"}


@pytest.mark.parametrize("secret", ["{id: E6Q}", "{}", "{id: e6q1, kind: password}", "passwort", "[password]"])
def test_a_secret_is_of_a_kind_or_has_an_id(tmp_path: Path, secret: str) -> None:
    path = write(tmp_path, GOOD + f"secrets:\n  api_key: {secret}\n")
    with pytest.raises(ConfigError, match=f"{path}:11: secrets.api_key"):
        load_environment("dev", tmp_path)


def test_a_machine_has_a_platform_with_sizes_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("{cores: 2, core_fraction: 20,", "{platform: standard-v2, core_fraction: 5,"))
    assert load_environment("dev", tmp_path).group("nginx").machine.platform == "standard-v2"
    write(tmp_path, GOOD.replace("{cores: 2,", "{platform: highfreq-v3, cores: 2,"), "fast")
    with pytest.raises(ConfigError, match="highfreq-v3 has cores at 100 per cent, and not at 20"):
        load_environment("fast", tmp_path)
    write(tmp_path, GOOD.replace("{cores: 2,", "{platform: standard-v9, cores: 2,"), "new")
    with pytest.raises(ConfigError, match=re.escape("groups.nginx.machine.platform")):
        load_environment("new", tmp_path)
