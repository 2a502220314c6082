from __future__ import annotations

import socket

import pytest

from samovar.agent.clients import Unavailable, lookup
from samovar.agent.inputs import Machine, Peer, find_machines
from samovar.agent.role import GroupNames

MACHINE = Machine("epd1", "dev-bingo-2", "bingo-2.ru-central1.internal", "10.30.0.4", "ru-central1-a")
NAMES = {
    "bingo-1.ru-central1.internal": "10.30.0.9",
    "bingo-4.ru-central1.internal": "10.30.0.3",
    "postgres-1.ru-central1.internal": "10.30.0.5",
}


def test_machines_are_in_order_and_missing_ones_left_out() -> None:
    bingo = (Peer("bingo-1", "10.30.0.9"), Peer("bingo-2", "10.30.0.4"), Peer("bingo-4", "10.30.0.3"))
    assert find_machines(GroupNames("bingo", 4), MACHINE, NAMES.get) == bingo
    assert find_machines(GroupNames("postgres", 1), MACHINE, NAMES.get) == (Peer("postgres-1", "10.30.0.5"),)
    assert find_machines(None, MACHINE, NAMES.get) == ()


def test_machines_without_a_domain_are_resolved_by_bare_names() -> None:
    machine = Machine("a", "nginx-1", "nginx-1", "10.0.0.3", "")
    asked: list[str] = []
    find_machines(GroupNames("bingo", 2), machine, asked.append)
    assert asked == ["bingo-1", "bingo-2"]


def test_lookup_asks_for_the_absolute_name_and_returns_the_lowest_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(name: str, *_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        assert name == "bingo-1.internal."
        return [(2, 1, 6, "", ("10.30.0.9", 0)), (2, 1, 6, "", ("10.30.0.4", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert lookup("bingo-1.internal") == "10.30.0.4"


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_lookup_returns_none_for_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    _answer(monkeypatch, socket.gaierror(code, "Name or service not known"))
    assert lookup("bingo-1.internal") is None


def test_lookup_raises_if_no_name_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    _answer(monkeypatch, socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    with pytest.raises(Unavailable, match=r"the name server: bingo-1.internal: Temporary"):
        lookup("bingo-1.internal")


def _answer(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
