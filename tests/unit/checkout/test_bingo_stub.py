"""The stub of bingo: its configuration, settings, rate limit, planned failures and tables."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.bingo.stub.cli import main
from images.bingo.stub.config import Cluster, Config, Host, InvalidConfig, dump, load_config
from images.bingo.stub.faults import FaultInjector, PlannedFailure, planned_failure
from images.bingo.stub.identity import log_folder, port
from images.bingo.stub.limiter import Limiter
from images.bingo.stub.log import Log
from images.bingo.stub.settings import OPERATIONS, Fault, Settings, read_settings
from images.bingo.stub.tables import ROW_COUNTS, tables

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


def test_load_config_reads_every_key(tmp_path: Path) -> None:
    hosts = (Host("10.0.0.1", 5432), Host("10.0.0.2", 5433))
    cluster = Cluster(hosts, "bingo", "hidden", "bingo", "require")
    assert load_config(written(tmp_path, CONFIG)) == Config("someone@example.com", cluster)


def test_dump_hides_the_password_and_can_be_read_again(tmp_path: Path) -> None:
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
def test_load_config_names_an_invalid_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
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


def test_limiter_delays_and_then_rejects_requests() -> None:
    limiter = Limiter(rate=10, max_wait=5)
    waits = [limiter.wait(0.0) for _ in range(70)]
    assert waits[:30] == [0.0] * 10 + [1.0] * 10 + [2.0] * 10
    assert waits[59] == 5.0
    assert waits[60:] == [None] * 10


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=300))
def test_limiter_never_admits_more_than_its_rate_in_a_second(gaps: list[float]) -> None:
    limiter, now, turns = Limiter(rate=10, max_wait=5), 0.0, []
    for gap in gaps:
        now += gap
        if (wait := limiter.wait(now)) is not None:
            turns.append(now + wait)
    assert all(wait is None or 0 <= wait <= 5 for wait in [limiter.wait(now)])
    assert turns == sorted(turns)
    assert all(turns[place + 10] - turns[place] >= 1 - 1e-9 for place in range(len(turns) - 10))


def test_limiter_admits_at_once_below_its_rate() -> None:
    limiter = Limiter(rate=10)
    assert [limiter.wait(number / 9.9) for number in range(100)] == [0.0] * 100


def test_planned_failure_is_shared_by_instances_started_together() -> None:
    failures = [planned_failure(1_700_000_000 + 10.0 * number, Settings()) for number in range(200)]
    assert all(failure is not None and 1320 <= failure.after <= 1500 for failure in failures)
    assert planned_failure(1_700_000_001, Settings()) == planned_failure(1_700_000_009, Settings()) == failures[0]
    assert {failure.fault for failure in failures if failure} == set(Fault)
    assert {failure.code for failure in failures if failure} == {0, 1}
    assert any(one != other for one, other in pairwise(failures))


def test_planned_failure_is_none_without_a_lifetime() -> None:
    assert planned_failure(0, Settings(lifetime=None)) is None
    assert planned_failure(0, Settings(faults=())) is None
    assert planned_failure(0, Settings(lifetime=(3, 3), faults=(Fault.BAD,))) in {
        PlannedFailure(3, Fault.BAD, code) for code in (0, 1)
    }


async def test_run_timer_injects_the_planned_failure(tmp_path: Path) -> None:
    injector = FaultInjector(Settings(lifetime=(0.01, 0.01), faults=(Fault.BAD,)), Log(tmp_path))
    await asyncio.wait_for(injector.run_timer(), 5)
    assert injector.failing
    assert json.loads((tmp_path / "main.log").read_text())["msg"] == "I feel bad"


def test_read_settings_reads_the_environment() -> None:
    assert read_settings({}) == Settings()
    assert read_settings({"BINGO_LIFETIME": " "}) == Settings()
    environ = {
        "BINGO_LIFETIME": "10-20.5",
        "BINGO_FAULTS": "bad exit",
        "BINGO_OPERATIONS": "7=die 8=memory",
        "BINGO_LONG_DUMMY": "0.5",
        "BINGO_GROWTH": "1",
        "BINGO_SCALE": "100",
        "BINGO_PROBE": "127.0.0.1:1",
    }
    assert read_settings(environ) == Settings(
        lifetime=(10, 20.5),
        faults=(Fault.BAD, Fault.EXIT),
        operations={7: Fault.DIE, 8: Fault.MEMORY},
        long_dummy=(0.5, 0.5),
        growth=1,
        scale=100,
        probe=("127.0.0.1", 1),
    )
    assert read_settings({"BINGO_LIFETIME": "off"}).lifetime is None


@pytest.mark.parametrize(
    "setting", ["BINGO_LIFETIME=x", "BINGO_LIFETIME=3-1", "BINGO_FAULTS=none", "BINGO_OPERATIONS=1", "BINGO_PROBE=x"]
)
def test_read_settings_names_an_invalid_variable(setting: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(ValueError, match=setting):
        read_settings({name: value})


def test_each_fault_has_its_operation_number() -> None:
    assert dict(OPERATIONS) == {1_000_001: "exit", 1_000_002: "die", 1_000_003: "bad", 1_000_004: "memory"}


def test_tables_have_the_row_counts_of_the_binary_and_valid_references() -> None:
    assert [table.count for table in tables()] == [29_022, 500_000, 5_000_000] == list(ROW_COUNTS)
    assert [table.count for table in tables(100)] == [290, 5_000, 50_000]
    for scale in (1, 100):
        movies, customers, sessions = tables(scale)
        for number in (*range(1, 2000), sessions.count):
            _, _, customer, movie = sessions.row(number).rstrip("\n").split("\t")
            assert 1 <= int(customer) <= customers.count
            assert 1 <= int(movie) <= movies.count


def test_rows_have_the_format_of_copy() -> None:
    for table in tables():
        columns = table.columns.count(", ") + 1
        for number in (1, 2, 29_022):
            row = table.row(number)
            assert row.startswith(f"{number}\t")
            assert row.endswith("\n")
            assert row.count("\t") == columns - 1


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["version"], "bingo 1.0.0"),
        (["help"], "print_default_config"),
        ([], "prepare_db"),
        (["completion"], "complete -W"),
    ],
)
def test_commands_that_need_no_configuration_print(
    argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 0
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run_server", "prepare_db", "print_current_config", "print_default_config"])
def test_root_may_not_start_it(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert main([command]) == 1
    assert "Didn't your mom teach you" in capsys.readouterr().err
