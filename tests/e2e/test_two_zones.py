"""An environment of two zones on real machines: the bingos of each zone reach the one database."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest
import yaml

from tests.support.checkout import ENVIRONMENTS
from tests.support.tool import Cli, rolled_out

ZONES = ("ru-central1-a", "ru-central1-b")
EACH = 2
"""Machines of a group in a zone, so that none is alone there."""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("zones")
    config = yaml.safe_load((ENVIRONMENTS / "dev/config.yaml").read_text())
    config["zones"] = list(ZONES)
    for group in ("nginx", "bingo"):
        config["groups"][group]["size"] = EACH * len(ZONES)
    (folder / "two-zones.yaml").write_text(yaml.safe_dump(config))
    with rolled_out(folder, folder / "two-zones.yaml") as tool:
        yield tool


def test_every_bingo_of_either_zone_answers_from_the_database(cli: Cli) -> None:
    status = cli.status_when("dev", lambda status: status["healthy"])
    bingos = next(group["machines"] for group in status["groups"] if group["name"] == "bingo")
    assert Counter(bingo["zone"] for bingo in bingos) == dict.fromkeys(ZONES, EACH)
    for bingo in bingos:
        inside = ["nsenter", "--net", "--target", str(bingo["pid"])]
        ask = ["curl", "--silent", "--fail", "--max-time", "20", "http://127.0.0.1:8080/api/movie/1"]
        assert b'"id":1' in subprocess.check_output([*inside, *ask]).replace(b" ", b""), bingo["name"]
