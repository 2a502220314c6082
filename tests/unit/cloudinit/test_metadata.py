from __future__ import annotations

from typing import Any

import pytest
import yaml

from samovar.cloudinit.metadata import Api, instance_metadata, user_data
from samovar.core.errors import ConfigError

KEY = 'ssh-ed25519 AAAAC3Nz operator "of" #1: all'


def test_user_data_is_a_cloud_config_without_users() -> None:
    text = user_data()
    assert text.startswith("#cloud-config\n")
    config = yaml.safe_load(text)
    assert config["users"] == []
    assert config["preserve_hostname"] is False
    assert "ssh_authorized_keys" not in text


def test_operator_keys_belong_to_one_user() -> None:
    (user,) = yaml.safe_load(user_data(operator_keys=[KEY]))["users"]
    assert user["name"] == "operator"
    assert user["ssh_authorized_keys"] == [KEY]


def test_metadata_has_role_settings_and_api() -> None:
    settings = {"port": 8080, "hosts": ["a", "b"], "nested": {"on": True, "motto": "two\nlines: yes"}}
    metadata = instance_metadata("nginx", settings, Api("https://api.internal:443", "-----BEGIN\nAA==\n-----END\n"))
    assert metadata["samovar-role"] == "nginx"
    assert metadata["user-data"] == user_data()
    assert yaml.safe_load(metadata["samovar-settings"]) == settings
    assert yaml.safe_load(metadata["samovar-api"])["ca"] == "-----BEGIN\nAA==\n-----END\n"
    assert not any(set("{}") & set(value) for value in metadata.values())


def test_metadata_has_peers_upstreams_and_secret_ids() -> None:
    peers, upstreams = {"group": "bingo", "machines": 8}, {"database": {"group": "postgres", "machines": 8}}
    metadata = instance_metadata("bingo", {"port": 80}, peers=peers, upstreams=upstreams, secrets={"phrase": "e6q1"})
    assert yaml.safe_load(metadata["samovar-settings"]) == {
        "port": 80,
        "peers": peers,
        "upstreams": upstreams,
        "secrets": {"phrase": "e6q1"},
    }
    assert "{" not in metadata["samovar-settings"]
    assert "samovar-settings" in instance_metadata("bingo", {}, peers=peers)


@pytest.mark.parametrize("key", ["peers", "upstreams", "secrets"])
def test_setting_with_a_reserved_name_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f"settings.{key}"):
        instance_metadata("bingo", {key: 1})


def test_metadata_omits_empty_values() -> None:
    assert set(instance_metadata("nginx", {})) == {"user-data", "samovar-role", "enable-oslogin"}


def test_settings_are_rendered_in_a_stable_order() -> None:
    """Changed metadata replaces machines; a changed order of keys must not."""
    one = instance_metadata("nginx", {"a": 1, "b": {"c": 2, "d": 3}})
    assert one == instance_metadata("nginx", {"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"log": {"format": "{instance.tag}"}}, r"settings\.log\.format"),
        ({"hosts": ["a", "}"]}, r"settings\.hosts\.1"),
        ({"empty": {}}, r"settings\.empty"),
        ({"{key}": 1}, "settings"),
    ],
)
def test_braces_in_settings_are_refused_with_their_place(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        instance_metadata("nginx", settings)


def test_braces_in_an_operators_key_are_refused() -> None:
    with pytest.raises(ConfigError, match="user-data"):
        instance_metadata("nginx", {}, cloud_config=user_data(operator_keys=["ssh-ed25519 AAAA {instance.tag}"]))


def test_too_long_metadata_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"samovar-settings.*256 KB"):
        instance_metadata("nginx", {"page": "ü" * (128 * 1024)})
    assert instance_metadata("nginx", {"page": "u" * (128 * 1024)})


def test_too_large_metadata_is_refused() -> None:
    with pytest.raises(ConfigError, match="512 KB"):
        instance_metadata("nginx", {"page": "u" * 262_100}, Api("https://a", "a" * 262_100))
