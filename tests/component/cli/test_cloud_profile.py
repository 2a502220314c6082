"""`cloud up --like`: shown, kept over restarts of the daemon, and ended."""

from __future__ import annotations

from samovar.core.errors import ExitCode
from tests.support.tool import Cli

CHOSEN = {"name": "yandex", "pace": 0.01, "seed": 5}


def test_a_profile_is_kept_until_it_is_ended(cli: Cli) -> None:
    refused = cli.run("cloud", "up", "--machines", "simulated", "--pace", "0.5", check=False)
    assert refused.code != ExitCode.OK
    assert "--pace and --seed are for a profile" in refused.stderr
    started = cli.run("cloud", "up", "--machines", "simulated", "--like", "yandex", "--pace", "0.01", "--seed", "5")
    assert "like yandex, pace 0.01, seed 5" in started.stderr
    assert cli.json("cloud", "status")["profile"] == CHOSEN
    cli.run("cloud", "down")
    assert "like yandex, pace 0.01, seed 5" in cli.run("cloud", "up").stderr
    assert "yandex, pace 0.01, seed 5" in cli.run("cloud", "status").stdout
    cli.run("cloud", "down")
    assert "like" not in cli.run("cloud", "up", "--like", "none").stderr
    assert cli.json("cloud", "status")["profile"] is None
