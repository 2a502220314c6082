from __future__ import annotations

import socket

import pytest

from samovar.agent.errors import Away
from samovar.agent.facts import Machine, Peer
from samovar.agent.peers import find_peers, lookup

MACHINE = Machine("epd1", "dev-bingo-2", "bingo-2.ru-central1.internal", "10.30.0.4", "ru-central1-a")
NAMES = {
    "bingo-1.ru-central1.internal": "10.30.0.9",
    "bingo-4.ru-central1.internal": "10.30.0.3",
    "postgres-1.ru-central1.internal": "10.30.0.5",
}


def test_peers_come_in_the_order_of_their_index_without_those_that_are_not_there() -> None:
    peers = find_peers([("bingo", 4), ("postgres", 1), ("nginx", 0)], MACHINE, NAMES.get)
    assert peers == {
        "bingo": (Peer("bingo-1", "10.30.0.9"), Peer("bingo-2", "10.30.0.4"), Peer("bingo-4", "10.30.0.3")),
        "postgres": (Peer("postgres-1", "10.30.0.5"),),
        "nginx": (),
    }


def test_a_machine_without_a_domain_asks_for_bare_names() -> None:
    machine = Machine("a", "nginx-1", "nginx-1", "10.0.0.3", "")
    asked: list[str] = []
    find_peers([("bingo", 2)], machine, asked.append)
    assert asked == ["bingo-1", "bingo-2"]


def test_a_name_is_asked_for_whole_and_gives_the_same_one_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(name: str, *_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        assert name == "bingo-1.internal."
        return [(2, 1, 6, "", ("10.30.0.9", 0)), (2, 1, 6, "", ("10.30.0.4", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert lookup("bingo-1.internal") == "10.30.0.4"


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_name_that_does_not_exist_is_no_peer(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    _answer(monkeypatch, socket.gaierror(code, "Name or service not known"))
    assert lookup("bingo-1.internal") is None


def test_a_name_server_that_is_away_is_not_taken_for_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    with pytest.raises(Away, match=r"the name server: bingo-1.internal: Temporary"):
        lookup("bingo-1.internal")


def _answer(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
