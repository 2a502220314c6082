"""The small files of a home: private, whole, and never taken for what they are not."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from samovar.cloud.local_daemon import find, read_endpoint
from samovar.core.errors import HostError
from samovar.core.local_clouds import Endpoint
from samovar.localcloud.api.audit_log import AuditLog, Event
from samovar.localcloud.api.pki import ensure_pki
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.home.home import Home
from samovar.localcloud.sockets.ports import ports_of


@pytest.fixture
def home(tmp_path: Path) -> Home:
    created = Home(tmp_path / "home")
    created.make()
    return created


def endpoint(pid: int) -> Endpoint:
    return Endpoint(pid, 7, "127.0.0.1:1", "127.0.0.1:2", "ca", "token", "key", "cloud", "folder", "zone", "oauth")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("was_a_home", [True, False])
def test_a_lax_home_is_closed_to_others(home: Home, *, was_a_home: bool) -> None:
    if not was_a_home:
        for folder in home.root.iterdir():
            folder.rmdir()
    home.root.chmod(0o755)
    home.make()
    assert mode(home.root) == 0o700
    home.write_endpoint(endpoint(1))
    assert mode(home.endpoint_file) == 0o600
    AuditLog(home.calls).note(Event(0.0, "x.Create", "somebody", "OK"))
    assert mode(home.calls) == 0o600


def test_an_open_folder_that_may_be_more_than_a_home_is_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "of-others").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(HostError, match="is open to other users") as refused:
        Home(tmp_path).make()
    assert f"chmod 700 {tmp_path}" in refused.value.remedy
    assert mode(tmp_path) == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["of-others"]


@pytest.mark.parametrize(
    "torn", ["", "{", "[]", '{"grpc": 1}', '{"grpc": 0, "rest": "x"}', '{"grpc": 1, "rest": 99999}']
)
def test_torn_ports_are_chosen_anew_and_kept(home: Home, torn: str) -> None:
    file = home.root / "ports.json"
    file.write_text(torn)
    ports = ports_of(file)
    assert ports_of(file) == ports
    assert json.loads(file.read_text()) == {"grpc": ports.grpc, "rest": ports.rest}
    assert mode(file) == 0o600


@pytest.mark.parametrize("secret", [b"", b"x" * 31])
def test_a_short_token_secret_is_refused(home: Home, secret: bytes) -> None:
    file = home.pki / "token-secret"
    file.write_bytes(secret)
    with pytest.raises(HostError, match="anybody could sign tokens"):
        Tokens(file)
    file.unlink()
    Tokens(file)
    assert (len(file.read_bytes()), mode(file)) == (32, 0o600)


@pytest.mark.parametrize("name", ["ca.pem", "api.pem", "api-key.pem"])
def test_a_torn_certificate_or_key_is_named_with_the_remedy(home: Home, name: str) -> None:
    ensure_pki(home.pki)
    assert {mode(file) for file in home.pki.iterdir()} == {0o600}
    (home.pki / name).write_bytes(b"")
    with pytest.raises(HostError, match=name) as refused:
        ensure_pki(home.pki)
    assert f"delete {home.pki}/*.pem" in refused.value.remedy


@pytest.mark.parametrize("torn", ["", "{", "[]", "{}", '{"grpc": "127.0.0.1:1"}'])
def test_a_torn_endpoint_file_is_ignored(home: Home, torn: str) -> None:
    home.write_endpoint(endpoint(1))
    assert read_endpoint(home.root) is not None
    home.endpoint_file.write_text(torn)
    assert read_endpoint(home.root) is None


def test_a_reused_pid_is_not_the_daemon(home: Home) -> None:
    """The pid of a dead daemon was given to another home's: its command line says localcloud as well."""
    command = [sys.executable, "-c", "input()", "-m", "localcloud"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        home.write_endpoint(endpoint(other.pid))
        assert find(home.root) is None
        (home.root / "lock").touch()
        assert find(home.root) is None
        other.communicate()
    home.write_endpoint(endpoint(os.getpid()))
    with (home.root / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        actual = find(home.root)
        assert actual is not None
        assert actual.pid == os.getpid()
    assert find(home.root) is None
