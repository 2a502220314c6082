"""The daemon as a process: found by its file, one a home, gone without a trace, and plain about what it lacks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from samovar.core.errors import ExitCode
from samovar.localcloud.home.home import Home, QuotaSet
from samovar.localcloud.quota_manager.model import NOTE
from samovar.localcloud.store.store import Store
from tests.support.checkout import ROOT
from tests.support.tool import Cli

UNPRIVILEGED = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def _daemon(home: Path, *prefix: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "samovar.localcloud", "--home", str(home)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def _runs(pid: int) -> bool:
    """A zombie does not: it has no command line any more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def test_cloud_up_and_cloud_down(cli: Cli) -> None:
    cli.run("cloud", "up")
    status = cli.json("cloud", "status")
    endpoint = cli.endpoint()
    assert status["running"]
    assert status["pid"] == endpoint["pid"]
    assert _runs(status["pid"])
    for file in (endpoint["key_file"], cli.home / "cloud.sqlite", cli.home / "endpoint.json"):
        assert Path(file).stat().st_mode & 0o077 == 0, file
    cli.run("cloud", "down")
    assert not _runs(status["pid"])
    assert cli.json("cloud", "status")["running"] is False


def _exported(text: str) -> set[str]:
    return {line.removeprefix("export ").partition("=")[0] for line in text.splitlines() if line.startswith("export ")}


def test_env_points_any_client_at_it_with_one_credential(cli: Cli) -> None:
    exported = cli.run("cloud", "env").stdout
    where = {"YC_ENDPOINT", "SSL_CERT_FILE", "YC_CLOUD_ID", "YC_FOLDER_ID", "YC_ZONE"}
    assert _exported(exported) == where | {"YC_TOKEN"}
    by_key = cli.run("cloud", "env", "--auth", "key").stdout
    assert _exported(by_key) == where | {"YC_SERVICE_ACCOUNT_KEY_FILE"}
    assert "unset YC_TOKEN" in by_key
    assert f"YC_TOKEN={cli.endpoint()['oauth_token']}" in cli.run("cloud", "env", "--auth", "oauth").stdout
    shown = subprocess.run(
        ["bash", "-c", 'eval "$1"; echo "$YC_ENDPOINT $YC_TOKEN"', "bash", exported],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert shown == [cli.endpoint()["grpc"], cli.endpoint()["token"]]


def test_a_killed_daemon_comes_back_at_the_same_address(cli: Cli) -> None:
    cli.run("cloud", "up")
    before = cli.endpoint()
    os.kill(before["pid"], signal.SIGKILL)
    cli.run("cloud", "up")
    after = cli.endpoint()
    assert (after["grpc"], after["token"], after["number"]) == (before["grpc"], before["token"], before["number"])
    assert after["pid"] != before["pid"]


def test_a_second_daemon_for_the_same_home_is_refused(cli: Cli) -> None:
    cli.run("cloud", "up")
    ended = _daemon(cli.home)
    assert ended.returncode == ExitCode.LOCKED
    assert "a daemon runs in" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_working_directory_is_not_imported_from(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/samovar/localcloud").mkdir(parents=True)
    for file in ("samovar/__init__.py", "samovar/localcloud/__init__.py", "samovar/localcloud/__main__.py"):
        (tmp_path / "elsewhere" / file).write_text("raise SystemExit('another program')")
    command: list[str | Path] = [cli.root / "cli.py", "--home", cli.home, "cloud", "up"]
    ended = subprocess.run(command, cwd=tmp_path / "elsewhere", capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_port_in_use_is_named_with_the_remedy(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "ports.json").write_text(json.dumps({"grpc": port, "rest": port}))
        ended = _daemon(tmp_path)
    assert ended.returncode == ExitCode.HOST
    assert f"127.0.0.1:{port} is in use" in ended.stderr
    assert "remedy: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_root_up_is_refused(tmp_path: Path) -> None:
    ended = _daemon(tmp_path / "home", *UNPRIVILEGED, "env", "PYTHONDONTWRITEBYTECODE=1")
    assert ended.returncode == ExitCode.HOST, ended.stderr
    assert "this user is not root" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_daemon_serves_after_random_bytes_to_its_rest_port(cli: Cli) -> None:
    cli.run("cloud", "up")
    host, _, port = cli.endpoint()["rest"].partition(":")
    for size in (1, 1000, 100_000):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(os.urandom(size))
    began = time.monotonic()
    assert cli.json("cloud", "status")["running"]
    assert time.monotonic() - began < 20
    assert "Traceback" not in (cli.home / "daemon.log").read_text()


def test_a_dead_port_is_an_error_with_a_remedy(cli: Cli) -> None:
    """A machine of the cloud cannot be killed where no cloud runs."""
    ended = cli.run("cloud", "kill", "dev-nginx-1", check=False)
    assert ended.code not in {ExitCode.OK, ExitCode.USAGE}
    assert "remedy" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_quotas_are_chosen_when_it_starts_and_kept(cli: Cli) -> None:
    cli.run("cloud", "up", "--quotas", "default")
    refused = cli.run("cloud", "up", "--quotas", "raised", check=False)
    assert refused.code == ExitCode.HOST
    assert "runs already" in refused.stderr
    assert "cloud down" in refused.stderr
    store = Store(Home(cli.home).database)
    assert store.noted(*NOTE, QuotaSet.RAISED.value) == QuotaSet.DEFAULT.value
    store.close()
