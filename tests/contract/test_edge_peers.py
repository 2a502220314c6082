"""Which of several edges works: the very HAProxy and nginx of the image, and peers with network stacks of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.edge import edge_image, tell

PAIR = """
first, second = Machine("nginx-1", "10.0.0.11"), Machine("nginx-2", "10.0.0.12")
bingo("balancer", "127.0.0.2", 81)
PAIR = WHOLE | {"peers": {"nginx": 2}}
configure(PAIR)
works("nginx-1")
"""
NOTICED = 2.0
"""Seconds within which a dead peer is given up."""
BUSY = 3.0
"""Seconds more that a busy host may take for anything."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def failed(answers: list[list[Any]]) -> list[list[Any]]:
    return [answer for answer in answers if answer[0] != 200]


def test_a_dead_peer_costs_no_request_that_can_be_repeated_and_gets_its_work_back(image: Path) -> None:
    story = """
load = Load()
began = time.monotonic()
writes = Load("/", "POST", rate=5)
reading, writing = later("/slow"), later("/slow", "POST")
time.sleep(1)
first.cut()
result["read"], result["written"] = reading()[:2], writing()[0]
result["seconds"] = time.monotonic() - began
works("nginx-2")
first.mend()
works("nginx-1")
result["load"], result["writes"] = load.ended(), writes.ended()
result["seen"] = second.seen()
"""
    seen = tell(image, PAIR + story)
    assert seen["read"] == [200, "nginx-2"]
    assert seen["written"] == 502
    assert "POST /slow" not in seen["seen"]
    assert seen["seconds"] < 1 + NOTICED + 3 + BUSY
    assert failed(seen["load"]) == []
    assert [status for status, _, _ in failed(seen["writes"])] in ([], [502])
    assert {body for _, body, _ in seen["load"]} >= {"nginx-1", "nginx-2"}
    assert max(seconds for _, _, seconds in seen["load"]) < NOTICED + BUSY


def test_a_reload_while_a_peer_dies_costs_nothing(image: Path) -> None:
    """The checks of a HAProxy that was reloaded have ended: what it holds has to find another peer by itself."""
    story = """
load, writes = Load(), Load("/", "POST", rate=5)
time.sleep(1)
first.cut()
time.sleep(0.3)
render(PAIR | {"peers": {"nginx": 2, "bingo": 1}})
run(f"kill -USR2 {haproxy()}")
works("nginx-2")
time.sleep(1)
result["load"], result["writes"] = load.ended(), writes.ended()
"""
    seen = tell(image, PAIR + story)
    assert failed(seen["load"]) == []
    assert [status for status, _, _ in failed(seen["writes"])] in ([], [502])
    assert max(seconds for _, _, seconds in seen["load"]) < NOTICED + BUSY


def test_a_reload_while_every_peer_refuses_costs_nothing(image: Path) -> None:
    """Tries that are refused take no time: what is held has to come to this edge itself before they are spent."""
    story = """
load = Load(rate=40)
time.sleep(1)
for each in (first, second):
    each.refuse()
render(PAIR | {"peers": {"nginx": 2, "bingo": 1}})
run(f"kill -USR2 {haproxy()}")
works("balancer")
result["load"] = load.ended()
"""
    load = tell(image, PAIR + story)["load"]
    assert failed(load) == []


def test_what_a_dead_peer_never_acknowledged_is_given_up_too(image: Path) -> None:
    """A peer that dies between the handshake and the request: nothing is idle, so keepalive never asks."""
    story = """
load = Load()
first.deafen()
works("nginx-2")
second.deafen()
works("balancer")
result["load"] = load.ended()
"""
    load = tell(image, PAIR + story)["load"]
    assert failed(load) == []
    assert max(seconds for _, _, seconds in load) < 2 * NOTICED + BUSY


def test_a_frozen_peer_is_given_up_and_writes_go_to_the_next(image: Path) -> None:
    story = """
first.process.send_signal(19)
began = time.monotonic()
def quick():
    try:
        return ask("/", timeout=1)[1]
    except OSError:
        return ""
until(lambda: quick() == "nginx-2")
result["seconds"] = time.monotonic() - began
result["post"] = ask("/", "POST")[:2]
first.process.send_signal(18)
works("nginx-1")
"""
    seen = tell(image, PAIR + story)
    assert seen["post"] == [200, "nginx-2"]
    assert seen["seconds"] < NOTICED + 1 + BUSY


def test_a_peer_that_takes_leave_finishes_what_it_has_and_gets_nothing_new(image: Path) -> None:
    story = """
load = Load()
reading, writing = later("/slow"), later("/slow", "POST")
time.sleep(0.5)
open("/run/nginx-1.leaving", "w").close()
works("nginx-2")
before = len(first.seen())
time.sleep(1)
result["new"] = [line for line in first.seen()[before:] if "slow" not in line]
result["slow"] = [reading()[:2], writing()[:2]]
os.unlink("/run/nginx-1.leaving")
works("nginx-1")
result["load"] = load.ended()
"""
    seen = tell(image, PAIR + story)
    assert seen["new"] == []
    assert seen["slow"] == [[200, "nginx-1"]] * 2
    assert failed(seen["load"]) == []


def test_without_any_peer_an_edge_works_for_itself_and_without_haproxy_too(image: Path) -> None:
    story = """
load = Load()
first.cut()
works("nginx-2")
second.cut()
works("balancer")
result["load"] = load.ended()
run(f"kill -KILL {haproxy()} $(cat /proc/{haproxy()}/task/*/children)")
result["alone"] = [ask("/")[0], ask("/", "POST")[0]]
"""
    seen = tell(image, PAIR + story)
    assert failed(seen["load"]) == []
    assert seen["alone"] == [200, 200]


def test_a_peer_that_appears_drops_no_connection(image: Path) -> None:
    story = """
load, writes = Load(rate=10), Load("/", "POST", rate=5)
kept = HTTPConnection("127.0.0.1", timeout=20)
slow = [later("/slow"), later("/slow", "POST")]
time.sleep(0.5)
for number in (1, 3, 2):
    kept.request("GET", "/")
    kept.getresponse().read()
    port = kept.sock.getsockname()
    before = open("/etc/nginx/nginx.conf").read()
    render(PAIR | {"peers": {"nginx": number, "bingo": number}})
    run(f"kill -USR2 {haproxy()}")
    time.sleep(1.5)
    assert before == open("/etc/nginx/nginx.conf").read()
    kept.request("GET", "/")
    assert kept.getresponse().read() and port == kept.sock.getsockname()
result["slow"] = [answer()[:2] for answer in slow]
result["load"] = load.ended() + writes.ended()
"""
    seen = tell(image, PAIR + story)
    assert seen["slow"] == [[200, "nginx-1"]] * 2
    assert failed(seen["load"]) == []


def test_the_peer_port_is_open_to_peers_alone_and_only_once_this_edge_can_work(image: Path) -> None:
    story = """
Bingo.long = 1.5
outside = "curl --silent --max-time 2 http://10.0.0.9:8081/-/peer || echo $?"
render(PAIR | {"peers": {"nginx": 1}})
result["before"] = [knock(), first.run(outside)]
opening = subprocess.Popen(["/usr/lib/samovar/edge/open.sh"])
time.sleep(0.7)
result["warming"] = [knock(), first.run(outside)]
result["ended"] = opening.wait()
result["after"] = [knock(), first.run(outside), second.run(outside)]
"""
    seen = tell(image, PAIR + story)
    assert seen["before"] == seen["warming"] == ["Connection refused", "7"]
    assert seen["ended"] == 0
    assert seen["after"] == ["open", "ok", "7"]


def test_the_cache_is_kept_warm_where_the_work_is_done_and_nowhere_else(image: Path) -> None:
    story = """
warming = subprocess.Popen(["/usr/lib/samovar/edge/warm.sh"])
until(lambda: first.seen().count("GET /long_dummy") > 1)
first.cut()
until(lambda: "GET /long_dummy" in second.seen())
result["spared"] = not any("long_dummy" in line for line in Bingo.seen)
second.cut()
until(lambda: "balancer GET /long_dummy" in Bingo.seen)
"""
    assert tell(image, PAIR + story)["spared"]
