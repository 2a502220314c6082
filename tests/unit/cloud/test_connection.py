from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from samovar.cloud.connection import Access, to_environment, trust_loopback
from samovar.cloud.credentials import find_access
from samovar.cloud.local_admin import HostMachine, pick
from samovar.cloud.local_daemon import find, find_or_start, read_endpoint
from samovar.core.errors import ConfigError, HostError

YC = {"YC_TOKEN": "t1.a.b", "YC_FOLDER_ID": "folder-1", "YC_ENDPOINT": "127.0.0.1:1", "SSL_CERT_FILE": "/ca.pem"}


def test_access_survives_the_variables(tmp_path: Path) -> None:
    access = find_access(YC, home=tmp_path)
    assert (access.endpoint, access.folder_id, access.ca) == ("127.0.0.1:1", "folder-1", Path("/ca.pem"))
    assert find_access(to_environment(access), home=tmp_path) == access


def test_a_missing_ca_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        _ = Access("x", "f", ca=tmp_path / "ca.pem", token="t1.a.b").roots


def test_the_token_is_not_shown(tmp_path: Path) -> None:
    assert "t1.a.b" not in repr(find_access(YC, home=tmp_path))


def test_loopback_is_added_to_no_proxy() -> None:
    variables = {"no_proxy": "example.org"}
    trust_loopback(variables)
    trust_loopback(variables)
    assert variables["no_proxy"] == "example.org,localhost,127.0.0.1"


def endpoint_file(home: Path, pid: int) -> None:
    content = {
        "pid": pid, "number": 1, "grpc": "127.0.0.1:1", "rest": "127.0.0.1:2", "ca": "/ca", "token": "t1.a.b",
        "key_file": "/key", "cloud_id": "c", "folder_id": "f", "zone": "ru-central1-a",
    }  # fmt: skip
    (home / "endpoint.json").write_text(json.dumps(content))


def test_a_missing_or_torn_endpoint_file_is_no_daemon(tmp_path: Path) -> None:
    assert read_endpoint(tmp_path) is None
    (tmp_path / "endpoint.json").write_text('{"pid": 1, "num')
    assert read_endpoint(tmp_path) is None


def test_a_reused_pid_is_no_daemon(tmp_path: Path) -> None:
    endpoint_file(tmp_path, os.getpid())
    assert read_endpoint(tmp_path) is not None
    assert find(tmp_path) is None


def test_without_root_the_local_cloud_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="root"):
        find_or_start(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_a_daemon_that_fails_to_start_shows_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho the port is taken\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(HostError) as error:
        find_or_start(tmp_path / "home")
    assert "ended with 7" in error.value.message
    assert "the port is taken" in error.value.message
    assert "daemon.log" in error.value.remedy


MACHINES = (
    HostMachine("i1", "dev-nginx-1", "nginx-1", 11, running=True),
    HostMachine("i2", "prod-nginx-1", "nginx-1", 12, running=True),
    HostMachine("i3", "dev-nginx-2", "nginx-2", 13, running=True),
    HostMachine("i4", "dev-nginx-2", "nginx-2", None, running=False),
)


@pytest.mark.parametrize(("expected", "actual"), [("i1", "i1"), ("dev-nginx-1", "i1"), ("nginx-2", "i3")])
def test_a_machine_is_picked_by_id_name_or_hostname(expected: str, actual: str) -> None:
    assert pick(MACHINES, expected).id == actual


@pytest.mark.parametrize(("expected", "message"), [("nginx-1", "more than one"), ("i4", "no machine i4")])
def test_an_ambiguous_machine_name_is_refused(expected: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        pick(MACHINES, expected)
    assert "dev-nginx-1" in error.value.remedy
