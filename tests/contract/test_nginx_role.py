"""The edge's role by the very nginx and HAProxy of its image: what a client of one edge sees, and what bingo."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.edge import edge_image, tell

LAST = 57
"""Seconds after which an answer of /long_dummy is served no more."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def test_an_edge_that_is_told_nothing_names_itself(image: Path) -> None:
    story = """
configure({})
result["page"] = ask("/")[:2]
result["health"] = ask("/-/health")[:2]
result["other"] = ask("/ping")[0]
result["name"] = os.uname().nodename
"""
    seen = tell(image, story)
    assert seen["page"] == [200, seen["name"]]
    assert seen["health"] == [200, "ok"]
    assert seen["other"] == 404


def test_an_edge_passes_to_the_balancer_over_http_and_tls(image: Path) -> None:
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE | {"secrets": {"certificate": certificate()}})
result["http"], result["tls"] = ask("/ping"), ask("/ping", tls=True)
result["health"] = ask("/-/health", tls=True)[:2]
result["h2"] = subprocess.run(["curl", "-sko", "/dev/null", "-w", "%{http_version}", "https://127.0.0.1/ping"],
    capture_output=True, text=True).stdout
result["key"] = oct(os.stat("/etc/nginx/tls/key.pem").st_mode & 0o777)
time.sleep(1.5)
result["logs"] = [[json.loads(line) for line in open(f"/var/log/nginx/{name}.log")] for name in ("access", "peer")]
result["ids"] = Bingo.ids
"""
    seen = tell(image, story)
    assert [json.loads(seen[way][1])[:2] for way in ("http", "tls")] == [["balancer", "http"], ["balancer", "https"]]
    assert seen["health"] == [200, "ok"]
    assert (seen["h2"], seen["key"]) == ("2", "0o600")
    front, peer = seen["logs"]
    assert sorted(line["scheme"] for line in front) == ["http", "https", "https"]
    assert {line["edge"] for line in front} == {seen["http"][2]["x-edge"]}
    told = {line["id"] for line in front}
    assert told == {line["id"] for line in peer} == set(seen["ids"])
    assert {seen[way][2]["x-request-id"] for way in ("http", "tls")} < told


@pytest.mark.parametrize("settings", ["{}", "WHOLE"])
def test_how_an_edge_is_it_tells_to_the_clouds_checks_alone(image: Path, settings: str) -> None:
    """Nor does anything below /-/ reach another edge or bingo."""
    story = f"""
bingo("balancer", "127.0.0.2", 81)
configure({settings} | {{"secrets": {{"certificate": certificate()}}}})
PATHS = ["/-/health", "/-/ready", "/-/peer", "/-/x", "/-/", "//-/health", "/%2d/peer", "/x/../-/health"]
def asked(client, path, scheme="http", *options):
    command = ["curl", "-sko", "/dev/null", "-w", "%{{http_code}}", "--path-as-is", "--interface", client, *options]
    return subprocess.run([*command, f"{{scheme}}://10.0.0.9{{path}}"], capture_output=True, text=True).stdout
result["world"] = [asked("10.0.0.9", path, scheme, *options) for path in PATHS
    for scheme, options in (("http", ()), ("https", ("--http1.1",)), ("https", ("--http2",)))]
result["checks"] = [asked("198.18.235.2", path) for path in PATHS[:4]]
result["seen"] = Bingo.seen
"""
    seen = tell(image, story)
    assert seen["world"] == ["404"] * 24
    assert seen["checks"] == ["200", "200", "404", "404"]
    assert seen["seen"] == []


def test_a_new_certificate_is_served_without_a_restart(image: Path) -> None:
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE | {"secrets": {"certificate": certificate()}})
served = lambda: ssl.get_server_certificate(("127.0.0.1", 443))
old, pid = served(), Path("/run/nginx.pid").read_text()
load = Load("/ping", rate=10)
render(WHOLE | {"secrets": {"certificate": certificate()}})
run("nginx -s reload")
until(lambda: served() != old)
result["load"] = [status for status, _, _ in load.ended()]
result["same"] = Path("/run/nginx.pid").read_text() == pid
"""
    seen = tell(image, story)
    assert seen["same"]
    assert set(seen["load"]) == {200}


def test_an_edge_goes_on_without_its_haproxy_where_nothing_was_sent_to_it(image: Path) -> None:
    """A HAProxy that is frozen may have what it was sent; one that is not reached has nothing, so writes go on too."""
    story = """
bingo("balancer", "127.0.0.2", 81)
render(WHOLE)
run("sed -i 's/proxy_read_timeout 37s/proxy_read_timeout 1s/' /etc/nginx/nginx.conf")
configure(WHOLE, rendered=True)
works("balancer")
run(f"kill -STOP {haproxy()} $(cat /proc/{haproxy()}/task/*/children)")
result["frozen"] = [ask("/ping"), ask("/operation", "POST")]
run("nft add table ip shut; nft 'add chain ip shut in { type filter hook input priority raw; }'")
run("nft add rule ip shut in tcp dport { 8001, 8002 } drop")
Bingo.seen.clear()
result["unreachable"] = [ask("/ping")[0], ask("/operation", "POST")[0]]
result["seen"] = Bingo.seen
"""
    seen = tell(image, story)
    assert [(status, headers["retry-after"]) for status, _, headers in seen["frozen"]] == [(503, "2")] * 2
    assert seen["unreachable"] == [200, 200]
    assert seen["seen"] == ["balancer GET /ping", "balancer POST /operation"]


def test_a_log_that_was_rotated_is_written_on(image: Path) -> None:
    story = """
configure({})
ask("/")
time.sleep(1.2)
subprocess.run(["logrotate", "--force", "/etc/logrotate.d/nginx"], check=True, capture_output=True)
time.sleep(0.5)
ask("/other")
time.sleep(1.5)
result["logs"] = [[json.loads(line)["uri"] for line in open(f"/var/log/nginx/access.log{end}")] for end in (".1", "")]
"""
    assert tell(image, story)["logs"] == [["/"], ["/other"]]


def test_a_balancer_that_acknowledges_nothing_is_given_up(image: Path) -> None:
    """It takes connections; what is sent over them is lost: packets longer than those of a handshake."""
    story = """
for index in (1, 2):
    run(f"ip addr add 10.0.0.1{index}/32 dev lo")
    bingo(f"bingo-{index}", f"10.0.0.1{index}", 8080)
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE)
works("balancer")
load = Load()
run("nft add table ip deaf; nft 'add chain ip deaf in { type filter hook prerouting priority raw; }'")
run("nft add rule ip deaf in ip daddr 127.0.0.2 meta length gt 60 drop")
works("bingo-")
result["load"] = load.ended()
"""
    load = tell(image, story)["load"]
    assert {status for status, _, _ in load} == {200}
    assert max(seconds for _, _, seconds in load) < 8


def test_past_a_balancer_that_fails_goes_what_can_be_repeated_and_nothing_else(image: Path) -> None:
    story = """
for address in ("10.0.0.11/32", "10.0.0.12/32"):
    run(f"ip addr add {address} dev lo")
balancer = bingo("balancer", "127.0.0.2", 81)
machines = [bingo(f"bingo-{index}", f"10.0.0.1{index}", 8080) for index in (1, 2)]
configure(WHOLE)
result["well"] = ask("/ping")[:2]
balancer.status = 500
result["get"] = ask("/ping")[:2]
result["writes"] = [ask("/operation", "POST")[0], ask("/api/session/1", "DELETE")[0]]
result["written"] = [line for line in Bingo.seen if "GET" not in line]
balancer.end()
result["away"] = [ask("/ping")[:2] for _ in range(4)]
result["post"] = ask("/operation", "POST")[:2]
for machine in machines:
    machine.end()
began = time.monotonic()
result["nobody"] = [ask("/ping"), ask("/operation", "POST")]
result["seconds"] = time.monotonic() - began
"""
    seen = tell(image, story)
    assert json.loads(seen["well"][1])[0] == "balancer"
    assert seen["writes"] == [500, 500]
    assert seen["written"] == ["balancer POST /operation", "balancer DELETE /api/session/1"]
    assert [answer[0] for answer in (seen["get"], seen["post"], *seen["away"])] == [200] * 6
    assert {json.loads(answer[1])[0] for answer in seen["away"]} == {"bingo-1", "bingo-2"}
    assert [answer[0] for answer in seen["nobody"]] == [503, 503]
    assert all("retry-after" in answer[2] for answer in seen["nobody"])
    assert seen["seconds"] < 20


def test_without_a_balancer_an_edge_shares_out_to_the_machines(image: Path) -> None:
    story = """
for index in (1, 2):
    run(f"ip addr add 10.0.0.1{index}/32 dev lo")
    bingo(f"bingo-{index}", f"10.0.0.1{index}", 8080)
configure({"fallback_port": 8080, "peers": {"bingo": 2}})
result["names"] = [json.loads(ask("/ping")[1])[0] for _ in range(8)]
"""
    assert set(tell(image, story)["names"]) == {"bingo-1", "bingo-2"}


def test_long_dummy_is_never_older_than_a_minute_fetched_one_at_a_time_and_waited_for_after_it(image: Path) -> None:
    """Takes more than a minute, which is the point: the second answer takes so long that the first one gets too old.

    nginx counts in whole seconds, so the old answer ends between 56 and 57 s: what was asked before 55 s cannot wait.
    """
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE)
began = time.monotonic()
answers = []
def client():
    asked = time.monotonic() - began
    status, body, headers = ask("/long_dummy", timeout=90)
    answers.append([asked, time.monotonic() - began - asked, status, time.time() - json.loads(body)[2], headers])
def clients(number):
    threads = [threading.Thread(target=client) for _ in range(number)]
    for thread in threads: thread.start()
    return threads
for thread in clients(20): thread.join()
result["at_once"] = [[answer[2] for answer in answers], Bingo.seen.count("balancer GET /long_dummy")]
answers.clear()
Bingo.long = 45
threads = []
while time.monotonic() < began + 63:
    threads += clients(2)
    time.sleep(0.3)
for thread in threads: thread.join()
result["answers"] = answers
result["fetched"] = Bingo.seen.count("balancer GET /long_dummy")
result["ping"] = len({ask("/ping")[1] for _ in range(3)})
result["others"] = len({ask(f"/api/movie/{index % 2}")[1] for index in range(4)}) == 4
"""
    seen = tell(image, story)
    assert seen["at_once"] == [[200] * 20, 1]
    assert seen["fetched"] == 2
    assert {answer[2] for answer in seen["answers"]} == {200}
    assert 50 < max(answer[3] for answer in seen["answers"]) < 60
    early = [answer for answer in seen["answers"] if answer[0] < 55]
    assert max(answer[1] for answer in early) < 5
    assert {answer[4]["x-cache"] for answer in early} >= {"HIT", "UPDATING"}
    assert max(answer[1] for answer in seen["answers"]) > 3
    for _, _, _, age, headers in seen["answers"]:
        assert abs(int(headers["age"]) - age) < 3
        assert headers["cache-control"] == "no-store"
    assert seen["ping"] == 3
    assert seen["others"]


def test_the_cache_stays_warm_while_nobody_asks(image: Path) -> None:
    """For longer than an answer is served, with a bingo as slow as it may be; asked for at the end alone."""
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE)
Bingo.long = 25
warming = subprocess.Popen(["/usr/lib/samovar/edge/warm.sh"])
time.sleep(100)
began = time.monotonic()
status, body, headers = ask("/long_dummy", timeout=90)
result["answer"] = [status, time.monotonic() - began, time.time() - json.loads(body)[2], int(headers["age"])]
result["fetches"] = Bingo.fetches
"""
    seen = tell(image, story)
    status, waited, age, told = seen["answer"]
    assert status == 200
    assert waited < 5
    assert max(age, told) < 60
    assert len(seen["fetches"]) >= 2
    for (_, first), (began, second) in pairwise(seen["fetches"]):
        assert began >= first
        assert second - first < LAST
