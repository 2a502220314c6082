"""Another bingo than the stub, by its url and sha256: baked, seeded with, rolled out and asked.

A checkout of its own, in which nothing else is changed, and a cache in which only what lies below it is baked.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samovar.core.output import PlainReporter
from samovar.core.paths import cache_dir
from samovar.core.waiting import Pending, wait_for
from samovar.images.builders.local import bake_local
from tests.support.checkout import PROJECT, ROOT, project_in
from tests.support.https import make_certificate, serving
from tests.support.other_bingo import FATAL, VERSION, logs, port
from tests.support.tool import TIMEOUT, Cli

PROGRAM = ROOT / "tests/support/other_bingo.py"
SHA256 = hashlib.sha256(PROGRAM.read_bytes()).hexdigest()
EMAIL = "other@example.com"
SHIPPED = re.compile(r"^  zipapp:\n(    .*\n)+", re.MULTILINE)
SETTINGS = 'settings: {email: dev@samovar.example, port: 12271, logs: "68ce701e6d"}'
BELOW = ("samovar-base", "samovar-app", "samovar-edge", "samovar-postgres")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of this one, with a cache of its own."""
    folder = tmp_path_factory.mktemp("other")
    baked = bake_local(PROJECT, BELOW, reporter=PlainReporter())
    stocked = cache_dir()
    unneeded = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
    shutil.copytree(ROOT, folder / "checkout", ignore=unneeded)
    (folder / "checkout/.venv").symlink_to(ROOT / ".venv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        (cache_dir() / "images").mkdir(parents=True)
        (cache_dir() / "apt").symlink_to(stocked / "apt")
        for file in (file for image in baked for file in (image.raw, image.raw.with_suffix(".json"))):
            (cache_dir() / "images" / file.name).symlink_to(file)
        yield folder / "checkout"


@pytest.fixture(scope="module")
def cli(checkout: Path) -> Iterator[Cli]:
    tool = Cli(checkout.parent / "home", checkout / "envs", checkout)
    try:
        yield tool
    finally:
        tool.discard()


def ship(checkout: Path, url: str) -> None:
    """Write down url and sha256, and nothing else."""
    definition = checkout / "images/bingo/image.yaml"
    by_url = f"  url: {url}\n  sha256: {SHA256}\n"
    text, replaced = SHIPPED.subn(by_url, (ROOT / "images/bingo/image.yaml").read_text())
    assert replaced == 1
    definition.write_text(text)


def ask(address: str, path: str, method: str = "GET", body: object = None) -> Any:
    """The JSON of an answer of 200, or nothing yet."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        text = response.read()
        return json.loads(text) if response.status == 200 else Pending(f"{path}: {response.status} {text[:200]!r}")
    except (OSError, http.client.HTTPException) as error:
        return Pending(f"{path}: {error}")
    finally:
        connection.close()


def answer(address: str, path: str, method: str = "GET", body: object = None) -> Any:
    return wait_for(path, lambda: ask(address, path, method, body), timeout=TIMEOUT, interval=0.2)


def test_bingo_by_url_and_sha256_is_baked_seeded_rolled_out_and_answers(
    cli: Cli, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.edit("dev", SETTINGS, f'settings: {{email: {EMAIL}, port: {port(EMAIL)}, logs: "{logs(EMAIL)}"}}')
    certificate = make_certificate(tmp_path)
    with serving(PROGRAM.parent, certificate) as number:
        ship(checkout, f"https://127.0.0.1:{number}/{PROGRAM.name}")
        assert "certificate verify failed" in cli.run("bake", "--env", "dev", check=False).stderr
        with monkeypatch.context() as trust:
            trust.setenv("SSL_CERT_FILE", str(certificate))
            cli.run("bake", "--env", "dev")
    cli.run("rollout", "dev", "--yes")
    address = cli.address("dev")
    assert answer(address, "/") == VERSION
    assert answer(address, "/ping") == "pong"
    assert answer(address, "/db_dummy")
    assert answer(address, "/long_dummy")
    assert len(answer(address, "/api/session")) == 50_000
    assert answer(address, "/api/movie/7")[0][0] == "7"
    written = answer(address, "/api/session", "POST", {"customer_id": 9, "movie_id": 7})["id"]
    assert answer(address, f"/api/session/{written}")[0][0] == str(written)
    ask(address, "/operation", "POST", {"operation": FATAL})
    assert answer(address, f"/api/session/{written}")
    cli.status_when("dev", lambda status: status["healthy"])
    assert cli.json("plan", "dev")["steps"] == []
    log = Path(f"/proc/{cli.pid('dev-bingo-1')}/root/opt/bongo/logs/{logs(EMAIL)}/main.log")
    assert "GET /ping" in log.read_text()


def test_the_same_file_from_elsewhere_is_the_same_image(cli: Cli, checkout: Path) -> None:
    ship(checkout, PROGRAM.as_uri())
    assert "nothing to do" in cli.run("bake", "--env", "dev").stderr
    shutil.rmtree(cache_dir() / "applications")
    for image in (cache_dir() / "images").glob("bingo-*.raw"):
        image.unlink()
    bake_local(project_in(checkout), ["bingo"], reporter=PlainReporter())
    assert (cache_dir() / "applications" / SHA256).read_bytes() == PROGRAM.read_bytes()
    assert cli.json("plan", "dev")["steps"] == []
