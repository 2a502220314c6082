"""The stand-in's rules: what it reads, what it derives, whom it makes wait, and when and how it fails."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.standin.cli import main
from images.standin.config import Cluster, Config, ConfigFault, Host, dump, load_config
from images.standin.faults import Fate, Faults, fate
from images.standin.identity import log_folder, port
from images.standin.limiter import Limiter
from images.standin.log import Log
from images.standin.tables import COUNTS, tables
from images.standin.tuning import OPERATIONS, Fault, Tuning, read_tuning

CONFIG = """
student_email: someone@example.com
postgres_cluster:
  hosts:
    - address: 10.0.0.1
      port: 5432
    - {address: 10.0.0.2, port: 5433}
  user: bingo
  password: hidden
  db_name: bingo
  ssl_mode: require
  use_closest_node: false
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_the_configuration_is_read_as_the_binary_reads_it(tmp_path: Path) -> None:
    hosts = (Host("10.0.0.1", 5432), Host("10.0.0.2", 5433))
    cluster = Cluster(hosts, "bingo", "hidden", "bingo", "require")
    assert load_config(written(tmp_path, CONFIG)) == Config("someone@example.com", cluster)


def test_what_is_printed_can_be_read_and_hides_the_password(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, CONFIG))
    printed = dump(config)
    assert "hidden" not in printed
    assert load_config(written(tmp_path, printed)).postgres_cluster.hosts == config.postgres_cluster.hosts
    assert load_config(written(tmp_path, "")) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("student_mail: x", "student_mail: unknown"),
        ("student_email: 7", "student_email: must be of the kind of 'test@example.com'"),
        ("postgres_cluster: {port: 1}", r"postgres_cluster\.port: unknown"),
        ("postgres_cluster: {hosts: []}", "hosts: must be a list"),
        ("postgres_cluster: {hosts: [{port: x}]}", r"postgres_cluster\.hosts\.0\.port: must be"),
        ("postgres_cluster: {ssl_mode: maybe}", "ssl_mode: must be one of"),
        ("- 1", "the file: must be a mapping"),
        ("a: [", "while parsing"),
    ],
)
def test_a_bad_configuration_names_its_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigFault, match=message):
        load_config(written(tmp_path, text))


@given(st.emails())
def test_port_and_log_folder_follow_from_the_email(email: str) -> None:
    assert 10_000 <= port(email) < 30_000
    assert log_folder(email).parent == Path("/opt/bongo/logs")
    assert len(log_folder(email).name) == 10
    assert int(log_folder(email).name, 16) >= 0
    assert (port(email), log_folder(email)) == (port(email), log_folder(email))


def test_another_email_has_another_port_and_folder() -> None:
    emails = [f"{number}@example.com" for number in range(50)]
    assert len({log_folder(email) for email in emails}) == 50
    assert len({port(email) for email in emails}) > 45


def test_who_comes_too_often_waits_and_whoever_would_wait_too_long_is_shed() -> None:
    limiter = Limiter(rate=10, patience=5)
    waits = [limiter.wait(0.0) for _ in range(70)]
    assert waits[:30] == [0.0] * 10 + [1.0] * 10 + [2.0] * 10
    assert waits[59] == 5.0
    assert waits[60:] == [None] * 10


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=300))
def test_in_no_second_are_more_served_than_the_limit(gaps: list[float]) -> None:
    limiter, now, turns = Limiter(rate=10, patience=5), 0.0, []
    for gap in gaps:
        now += gap
        if (wait := limiter.wait(now)) is not None:
            turns.append(now + wait)
    assert all(wait is None or 0 <= wait <= 5 for wait in [limiter.wait(now)])
    assert turns == sorted(turns)
    assert all(turns[place + 10] - turns[place] >= 1 - 1e-9 for place in range(len(turns) - 10))


def test_below_the_limit_nobody_waits() -> None:
    limiter = Limiter(rate=10)
    assert [limiter.wait(number / 9.9) for number in range(100)] == [0.0] * 100


def test_instances_started_together_fail_together_and_within_the_time_that_was_seen() -> None:
    fates = [fate(1_700_000_000 + 10.0 * number, Tuning()) for number in range(200)]
    assert all(found is not None and 1320 <= found.after <= 1500 for found in fates)
    assert fate(1_700_000_001, Tuning()) == fate(1_700_000_009, Tuning()) == fates[0]
    assert {found.fault for found in fates if found} == set(Fault)
    assert {found.code for found in fates if found} == {0, 1}
    assert any(one != other for one, other in pairwise(fates))


def test_without_a_lifetime_it_does_not_fail() -> None:
    assert fate(0, Tuning(lifetime=None)) is None
    assert fate(0, Tuning(faults=())) is None
    assert fate(0, Tuning(lifetime=(3, 3), faults=(Fault.BAD,))) in {Fate(3, Fault.BAD, code) for code in (0, 1)}


async def test_its_clock_makes_it_feel_bad(tmp_path: Path) -> None:
    faults = Faults(Tuning(lifetime=(0.01, 0.01), faults=(Fault.BAD,)), Log(tmp_path))
    await asyncio.wait_for(faults.clock(), 5)
    assert faults.bad
    assert json.loads((tmp_path / "main.log").read_text())["msg"] == "I feel bad"


def test_its_settings_come_from_the_environment() -> None:
    assert read_tuning({}) == Tuning()
    assert read_tuning({"BINGO_LIFETIME": " "}) == Tuning()
    environ = {
        "BINGO_LIFETIME": "10-20.5",
        "BINGO_FAULTS": "bad exit",
        "BINGO_OPERATIONS": "7=die 8=memory",
        "BINGO_LONG_DUMMY": "0.5",
        "BINGO_GROWTH": "1",
        "BINGO_SCALE": "100",
        "BINGO_PROBE": "127.0.0.1:1",
    }
    assert read_tuning(environ) == Tuning(
        lifetime=(10, 20.5),
        faults=(Fault.BAD, Fault.EXIT),
        operations={7: Fault.DIE, 8: Fault.MEMORY},
        long_dummy=(0.5, 0.5),
        growth=1,
        scale=100,
        probe=("127.0.0.1", 1),
    )
    assert read_tuning({"BINGO_LIFETIME": "off"}).lifetime is None


@pytest.mark.parametrize(
    "setting", ["BINGO_LIFETIME=x", "BINGO_LIFETIME=3-1", "BINGO_FAULTS=none", "BINGO_OPERATIONS=1", "BINGO_PROBE=x"]
)
def test_a_bad_setting_is_named(setting: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(ValueError, match=setting):
        read_tuning({name: value})


def test_each_way_to_fail_has_its_number() -> None:
    assert dict(OPERATIONS) == {1_000_001: "exit", 1_000_002: "die", 1_000_003: "bad", 1_000_004: "memory"}


def test_the_tables_have_the_rows_of_the_binary_and_each_session_has_its_movie_and_customer() -> None:
    assert [table.count for table in tables()] == [29_022, 500_000, 5_000_000] == list(COUNTS)
    assert [table.count for table in tables(100)] == [290, 5_000, 50_000]
    for scale in (1, 100):
        movies, customers, sessions = tables(scale)
        for number in (*range(1, 2000), sessions.count):
            _, _, customer, movie = sessions.row(number).rstrip("\n").split("\t")
            assert 1 <= int(customer) <= customers.count
            assert 1 <= int(movie) <= movies.count


def test_the_rows_are_what_copy_takes() -> None:
    for table in tables():
        columns = table.columns.count(", ") + 1
        for number in (1, 2, 29_022):
            row = table.row(number)
            assert row.startswith(f"{number}\t")
            assert row.endswith("\n")
            assert row.count("\t") == columns - 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["version"], "bingo 1.0.0"),
        (["help"], "print_default_config"),
        ([], "prepare_db"),
        (["completion"], "complete -W"),
    ],
)
def test_what_it_says_to_anyone(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run_server", "prepare_db", "print_current_config", "print_default_config"])
def test_root_is_refused(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert main([command]) == 1
    assert "Didn't your mom teach you" in capsys.readouterr().err
