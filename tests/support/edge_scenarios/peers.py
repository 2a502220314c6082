"""Scenarios of an edge and two peers, which have network stacks of their own."""

from __future__ import annotations

import signal
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.support.edge_lab import (
    HAPROXY_PORT,
    SETTINGS,
    Load,
    PeerMachine,
    Result,
    Server,
    StubBingo,
    ask,
    configure,
    haproxy,
    in_background,
    is_open,
    peer_port_state,
    render,
    run,
    wait_for_worker,
    wait_until,
)

PAIR: dict[str, Any] = SETTINGS | {"peers": {"group": "nginx", "machines": 2}}


def upstream_machines(number: int) -> dict[str, Any]:
    """Return the settings of an upstream whose group has at most `number` machines."""
    return {"upstreams": {"app": {**SETTINGS["upstreams"]["app"], "machines": number}}}


def dead_peer() -> Result:
    result: Result = {}
    first, second = _start_pair()
    load = Load()
    began = time.monotonic()
    writes = Load("/", "POST", rate=5)
    reading, writing = in_background("/slow"), in_background("/slow", "POST")
    time.sleep(1)
    first.cut()
    result["read"], result["written"] = reading()[:2], writing()[0]
    result["seconds"] = time.monotonic() - began
    wait_for_worker("nginx-2")
    first.restore()
    wait_for_worker("nginx-1")
    result["load"], result["writes"] = load.ended(), writes.ended()
    result["seen"] = second.requests()
    return result


def reload_while_a_peer_dies() -> Result:
    result: Result = {}
    first, _ = _start_pair()
    load, writes = Load(), Load("/", "POST", rate=5)
    time.sleep(1)
    first.cut()
    time.sleep(0.3)
    render(PAIR | upstream_machines(1))
    run(f"kill -USR2 {haproxy()}")
    wait_for_worker("nginx-2")
    time.sleep(1)
    result["load"], result["writes"] = load.ended(), writes.ended()
    return result


def reload_while_peers_refuse() -> Result:
    result: Result = {}
    first, second = _start_pair()
    load = Load(rate=40)
    time.sleep(1)
    for peer in (first, second):
        peer.refuse()
    render(PAIR | upstream_machines(1))
    run(f"kill -USR2 {haproxy()}")
    wait_for_worker("balancer")
    result["load"] = load.ended()
    return result


def unacknowledged_data() -> Result:
    result: Result = {}
    first, second = _start_pair()
    load = Load()
    first.drop_data()
    wait_for_worker("nginx-2")
    second.drop_data()
    wait_for_worker("balancer")
    result["load"] = load.ended()
    return result


def frozen_peer() -> Result:
    result: Result = {}
    first, _ = _start_pair()
    first.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()

    def worker() -> str:
        try:
            return str(ask("/", timeout=1)[1])
        except OSError:
            return ""

    wait_until(lambda: worker() == "nginx-2")
    result["seconds"] = time.monotonic() - began
    result["post"] = ask("/", "POST")[:2]
    first.process.send_signal(signal.SIGCONT)
    wait_for_worker("nginx-1")
    return result


def leaving_peer() -> Result:
    result: Result = {}
    first, _ = _start_pair()
    load = Load()
    reading, writing = in_background("/slow"), in_background("/slow", "POST")
    time.sleep(0.5)
    Path("/run/nginx-1.leaving").touch()
    wait_for_worker("nginx-2")
    before = len(first.requests())
    time.sleep(1)
    result["new"] = [line for line in first.requests()[before:] if "slow" not in line]
    result["slow"] = [reading()[:2], writing()[:2]]
    Path("/run/nginx-1.leaving").unlink()
    wait_for_worker("nginx-1")
    result["load"] = load.ended()
    return result


def no_peers() -> Result:
    result: Result = {}
    first, second = _start_pair()
    load = Load()
    first.cut()
    wait_for_worker("nginx-2")
    second.cut()
    wait_for_worker("balancer")
    result["load"] = load.ended()
    run(f"kill -KILL {haproxy()} $(cat /proc/{haproxy()}/task/*/children)")
    wait_until(lambda: not is_open(HAPROXY_PORT))  # what it had accepted before it died is lost
    result["alone"] = [ask("/")[0], ask("/", "POST")[0]]
    return result


def new_peers() -> Result:
    result: Result = {}
    _start_pair()
    load, writes = Load(rate=10), Load("/", "POST", rate=5)
    kept = HTTPConnection("127.0.0.1", timeout=20)
    slow = [in_background("/slow"), in_background("/slow", "POST")]
    time.sleep(0.5)
    for number in (1, 3, 2):
        kept.request("GET", "/")
        kept.getresponse().read()
        assert kept.sock
        port = kept.sock.getsockname()
        before = Path("/etc/nginx/nginx.conf").read_text()
        render(PAIR | {"peers": {"group": "nginx", "machines": number}} | upstream_machines(number))
        run(f"kill -USR2 {haproxy()}")
        time.sleep(1.5)
        assert before == Path("/etc/nginx/nginx.conf").read_text()
        kept.request("GET", "/")
        assert kept.getresponse().read()
        assert port == kept.sock.getsockname()
    result["slow"] = [answer()[:2] for answer in slow]
    result["load"] = load.ended() + writes.ended()
    return result


def peer_port() -> Result:
    result: Result = {}
    first, second = _start_pair()
    StubBingo.long = 1.5
    outside = "curl --silent --max-time 2 http://10.0.0.9:8081/-/peer || echo $?"
    render(PAIR | {"peers": {"group": "nginx", "machines": 1}})
    result["before"] = [peer_port_state(), first.run(outside)]
    opening = subprocess.Popen(["/usr/lib/samovar/edge/open.sh"])
    time.sleep(0.7)
    result["warming"] = [peer_port_state(), first.run(outside)]
    result["ended"] = opening.wait()
    result["after"] = [peer_port_state(), first.run(outside), second.run(outside)]
    return result


def warm_working_edge() -> Result:
    result: Result = {}
    first, second = _start_pair()
    subprocess.Popen(["/usr/lib/samovar/edge/warm.sh"])
    wait_until(lambda: first.requests().count("GET /long_dummy") > 1)
    first.cut()
    wait_until(lambda: "GET /long_dummy" in second.requests())
    result["spared"] = not any("long_dummy" in line for line in StubBingo.requests)
    second.cut()
    wait_until(lambda: "balancer GET /long_dummy" in StubBingo.requests)
    return result


def _start_pair() -> tuple[PeerMachine, PeerMachine]:
    """Start two peers and this edge, and wait until the first one does the work."""
    first, second = PeerMachine("nginx-1", "10.0.0.11"), PeerMachine("nginx-2", "10.0.0.12")
    Server("balancer", "127.0.0.2", 81)
    configure(PAIR)
    wait_for_worker("nginx-1")
    return first, second
