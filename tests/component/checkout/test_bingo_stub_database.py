"""The stub of bingo against a real PostgreSQL: answers, streamed lists, and the choice of the primary."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path

import pytest

from samovar.core.output import PlainReporter
from samovar.core.waiting import Pending, wait_for
from samovar.images.builders.local import bake_local
from tests.support.bingo import Bingo, bingo, make_bingo
from tests.support.checkout import PROJECT
from tests.support.postgres import PASSWORD, Postgres, postgres

QUIET = {"BINGO_LIFETIME": "off"}
KINDS = ("session", "customer", "movie")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    (image,) = bake_local(PROJECT, ["postgres-small"], reporter=PlainReporter())
    with postgres(image.raw, tmp_path_factory.mktemp("postgres") / "primary") as server:
        yield server


@pytest.fixture(scope="module")
def served(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bingo]:
    folder = tmp_path_factory.mktemp("bingo") / "opt"
    with bingo(folder, database.port, password=PASSWORD, **QUIET) as running:
        yield running


def test_each_kind_of_row_is_returned_by_its_id(served: Bingo, database: Postgres) -> None:
    assert served.json("/api/movie/7") == {"id": 7, "name": "The Hidden Harbour 1", "year": 1987, "duration": 157}
    assert served.json("/api/customer/5000")["email"].endswith(".5000@example.com")
    session = served.json("/api/session/123")
    ((customer, movie),) = database.sql("SELECT customer_id, movie_id FROM sessions WHERE id = 123")
    assert session["customer"] == served.json(f"/api/customer/{customer}")
    assert session["movie"] == served.json(f"/api/movie/{movie}")
    for path in ("/api/movie/291", "/api/customer/5001", "/api/session/50001", "/api/movie/0"):
        assert served.ask(path) == (404, "not found\n")


def test_db_dummy_sleeps_in_the_database(served: Bingo) -> None:
    began = time.monotonic()
    assert served.ask("/db_dummy")[0] == 200
    assert time.monotonic() - began >= 0.1


def test_lists_are_complete_and_sorted(served: Bingo) -> None:
    movies, customers, sessions = (served.json(f"/api/{kind}") for kind in ("movie", "customer", "session"))
    assert [len(movies), len(customers), len(sessions)] == [290, 5_000, 50_000]
    assert movies == sorted(movies, key=lambda movie: (-movie["year"], movie["name"], -movie["id"]))
    order = [(-one["movie"]["year"], one["movie"]["name"], one["customer"]["id"], -one["id"]) for one in sessions]
    assert order == sorted(order)


def test_lists_are_streamed(served: Bingo) -> None:
    """Chunked, the first part long before the last, and no faster than they are read."""
    with served.asked("/api/session") as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.headers["Content-Length"] is None
        assert response.read(2) == b"[{"
        for path in ("/ping", "/api/movie/1"):
            assert served.ask(path)[0] == 200
        assert len(json.loads(b"[{" + response.read())) == 50_000


def test_a_client_that_leaves_during_a_list_frees_its_connection(served: Bingo, database: Postgres) -> None:
    for _ in range(22):  # more than it has connections
        with served.asked("/api/session") as response:
            response.read(10)
    wait_for("the copies to end", lambda: copies(database), timeout=20)
    assert served.ask("/api/movie/1")[0] == 200


def test_clients_that_leave_at_any_moment_cause_no_error(served: Bingo, database: Postgres) -> None:
    for number in range(60):
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
            connection.sendall(f"GET /api/{KINDS[number % 3]} HTTP/1.1\r\nHost: bingo\r\n\r\n".encode())
            time.sleep(number / 1000)
    wait_for("the copies to end", lambda: copies(database), timeout=60)
    assert len(served.json("/api/customer")) == 5_000
    assert served.complaints() == ""


def test_a_database_that_ends_during_a_list_breaks_the_connection(served: Bingo, database: Postgres) -> None:
    with served.asked("/api/session") as response:
        assert response.read(2) == b"[{"
        database.stop()
        with pytest.raises(IncompleteRead):
            response.read()
    database.start()
    assert served.ask("/api/movie/1")[0] == 200
    assert served.complaints() == ""


def copies(database: Postgres) -> bool | Pending:
    ((number,),) = database.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'")
    return number == 0 or Pending(f"{number} copies")


def test_special_characters_arrive_unchanged(served: Bingo, database: Postgres) -> None:
    awkward = 'back\\slash "quoted" \n line \t tab \\n é \U0001f600'
    database.sql("UPDATE movies SET name = :name, year = 3000 WHERE id = 9", name=awkward)
    assert served.json("/api/movie/9")["name"] == awkward
    assert served.json("/api/movie")[0]["name"] == awkward


def test_a_session_is_created_read_and_deleted(served: Bingo) -> None:
    created = served.json("/api/session", "POST", {"customer_id": 17, "movie_id": 3})
    assert created["id"] > 50_000
    assert served.json(f"/api/session/{created['id']}")["customer"]["id"] == 17
    assert served.json(f"/api/session/{created['id']}", "DELETE") == {"id": created["id"]}
    assert served.ask(f"/api/session/{created['id']}", "DELETE")[0] == 404
    assert served.ask(f"/api/session/{created['id']}")[0] == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"customer_id": 1}, 400), ("[", 400), ({"customer_id": 1, "movie_id": 999_999}, 404)],
)
def test_an_invalid_session_is_rejected(served: Bingo, body: object, status: int) -> None:
    assert served.ask("/api/session", "POST", body)[0] == status


def test_requests_on_one_connection(served: Bingo) -> None:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
    began = time.monotonic()
    for number in range(1, 51):
        connection.request("GET", f"/api/customer/{number}")
        response = connection.getresponse()
        assert json.loads(response.read())["id"] == number
    connection.close()
    assert (time.monotonic() - began) / 50 < 0.2


def test_a_restarted_database_is_used_again(served: Bingo, database: Postgres) -> None:
    database.stop()
    assert served.ask("/api/movie/1") == (500, "the database is unavailable\n")
    assert served.ask("/ping")[0] == 200
    database.start()
    assert served.ask("/api/movie/1")[0] == 200


def test_the_primary_is_used_also_after_a_failover(database: Postgres, tmp_path: Path) -> None:
    database.stop()
    standby = database.standby(tmp_path / "standby")
    database.start()
    try:
        standby.start()
        hosts = (standby.port, database.port)
        with bingo(tmp_path / "opt", *hosts, password=PASSWORD, **QUIET) as served:
            assert served.json("/api/session", "POST", {"customer_id": 1, "movie_id": 1})
            database.stop()
            assert served.ask("/api/session/1")[0] == 500
            standby.sql("SELECT pg_promote()")
            assert served.json("/api/session", "POST", {"customer_id": 1, "movie_id": 1})
    finally:
        standby.kill()
        database.start()


def test_a_wrong_password_answers_500(database: Postgres, tmp_path: Path) -> None:
    with bingo(tmp_path / "opt", database.port, password="wrong", **QUIET) as served:  # pragma: allowlist secret
        assert served.ask("/api/movie/1")[0] == 500
        assert any("password authentication failed" in line.get("error", "") for line in served.log())


def test_prepare_db_creates_all_tables_or_none(database: Postgres, tmp_path: Path) -> None:
    created = make_bingo(tmp_path / "opt", database.port, password=PASSWORD, BINGO_SCALE="1000")
    ended = created.run("prepare_db")
    assert ended.returncode == 1
    assert 'relation "movies" already exists' in ended.stderr
    database.sql("CREATE DATABASE empty OWNER bingo", "postgres")
    config = created.folder / "bingo/config.yaml"
    config.write_text(config.read_text().replace("db_name: bingo", "db_name: empty"))
    ended = created.run("prepare_db")
    assert (ended.returncode, ended.stderr) == (0, "")
    counts = "SELECT (SELECT count(*) FROM movies), (SELECT count(*) FROM customers), (SELECT count(*) FROM sessions)"
    assert database.sql(counts, "empty") == [[29, 500, 5_000]]
    assert database.sql("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'", "empty") == [[0]]
