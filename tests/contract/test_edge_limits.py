"""What one client can do to an edge: slow and huge headers, half a body, a flood; the others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.edge import edge_image, tell

RATE = 20
"""Requests a second that a client may send here; it may open twice as many connections, and as many more at once."""
HEADERS = 10
"""Seconds that nginx waits for a header."""
BUSY = 5.0
"""Seconds that a busy host may take for what is done at once."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def test_slow_and_huge_requests_are_ended_and_reach_nobody(image: Path) -> None:
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE)
def connect(text):
    made = socket.create_connection(("127.0.0.1", 80), 30)
    made.sendall(text)
    return made
def end(made):
    answer = b""
    try:
        while part := made.recv(65536):
            answer += part
    except OSError:
        pass
    return answer.decode(errors="replace").partition("\\r\\n")[0]
def first(made):
    return made.makefile("rb").readline().decode()
began = time.monotonic()
slow = [connect(b"GET /ping HTTP/1.1\\r\\nHost: a\\r\\nX-A: ") for _ in range(500)]
half = connect(b"POST /operation HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 100\\r\\n\\r\\n{")
result["meanwhile"] = [ask("/ping")[0] for _ in range(50)]
while time.monotonic() < began + 8:
    for made in slow[:100]:
        made.sendall(b"a")
    time.sleep(1)
result["still"] = ask("/ping")[0]
result["ended"] = [end(made) for made in (half, *slow[::100])]
result["seconds"] = time.monotonic() - began
began = time.monotonic()
result["huge"] = [first(connect(b"GET /ping HTTP/1.1\\r\\nHost: a\\r\\nX-A: " + b"a" * 40000 + b"\\r\\n\\r\\n")),
    first(connect(b"GET /" + b"a" * 40000 + b" HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")),
    first(connect(b"POST /operation HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 100000\\r\\n\\r\\n"))]
result["at_once"] = time.monotonic() - began
result["seen"] = set(Bingo.seen) == {"balancer GET /ping"}
result["last"] = ask("/ping")[0]
"""
    seen = tell(image, story)
    assert set(seen["meanwhile"]) == {200}
    assert (seen["still"], seen["last"]) == (200, 200)
    assert {line.partition(" ")[2][:3] for line in seen["ended"]} <= {"", "408"}
    assert seen["seconds"] < 60
    assert [line.split(" ")[1] for line in seen["huge"]] == ["400", "414", "413"]
    assert seen["at_once"] < BUSY
    assert seen["seen"]


def test_a_peak_is_smoothed_a_flood_is_refused_and_another_client_is_served(image: Path) -> None:
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE | {"client_rate": 20})
ask("/ping")
def flood(number):
    began = time.monotonic()
    command = ["curl", "--silent", "--parallel", "--parallel-immediate", "--parallel-max", str(number),
        "--output", "/dev/null", "--write-out", "%{http_code} ", f"http://127.0.0.1/ping?[1-{number}]"]
    codes = subprocess.run(command, capture_output=True, text=True).stdout.split()
    return codes, time.monotonic() - began
result["peak"] = flood(50)
time.sleep(4)
flooding = threading.Thread(target=lambda: result.update(flood=flood(300)))
flooding.start()
time.sleep(0.3)
result["other"] = ask("/ping", client="127.0.0.3")[0]
flooding.join()
time.sleep(1.5)
result["logged"] = [json.loads(line)["status"] for line in open("/var/log/nginx/access.log")].count(429)
result["errors"] = open("/var/log/nginx/error.log").read().count("limiting")
"""
    seen = tell(image, story)
    answers, seconds = seen["peak"]
    assert set(answers) == {"200"}
    assert seconds > 1
    assert set(seen["flood"][0]) == {"200", "429"}
    assert seen["other"] == 200
    assert seen["logged"] <= 0.1 * seen["flood"][0].count("429"), "nor does it fill the disk with logs"
    assert seen["errors"] == 0


def test_slow_headers_of_one_client_leave_room_for_all_others(image: Path) -> None:
    """It opens far more connections than nginx has room for, for longer than a header may take."""
    story = """
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE | {"client_rate": RATE, "worker_connections": 1024})
sockets, held, others = [], 0, []
def other():
    began = time.monotonic()
    others.append([ask("/ping", client="127.0.0.3")[0], time.monotonic() - began])
began, threads = time.monotonic(), []
for number in range(HEADERS * 500):
    made = socket.socket()
    made.setblocking(False)
    sockets.append(made)
    try:
        made.connect_ex(("127.0.0.1", 80))
        made.send(b"GET /ping HTTP/1.1\\r\\nHost: a\\r\\nX-A: ")
        held += 1
    except OSError:
        pass
    if number % 100 == 0:
        threads.append(threading.Thread(target=other))
        threads[-1].start()
    time.sleep(max(0, began + number / 400 - time.monotonic()))
result["seconds"] = time.monotonic() - began
for thread in threads: thread.join()
result["held"], result["others"] = held, others
result["full"] = "worker_connections" in open("/var/log/nginx/error.log").read()
"""
    seen = tell(image, f"HEADERS, RATE = {HEADERS}, {RATE}\n{story}")
    assert [status for status, _ in seen["others"]] == [200] * len(seen["others"])
    assert max(seconds for _, seconds in seen["others"]) < BUSY
    assert not seen["full"]
    assert RATE * 4 <= seen["held"] <= RATE * 4 + RATE * 2 * (seen["seconds"] + 1)


def test_connections_over_quic_are_counted_by_their_first_packets(image: Path) -> None:
    """Packets of a connection that is there (0x40) and other long ones (0xe0, a handshake's) pass."""
    story = """
configure({"client_rate": RATE})
def dropped():
    listed = json.loads(subprocess.check_output(["nft", "--json", "list", "chain", "ip", "edge", "opened"]))
    rule = next(each["rule"]["expr"] for each in listed["nftables"] if "rule" in each)
    return next(each["counter"]["packets"] for each in rule if "counter" in each)
for first in (0x40, 0xe0, 0xc0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for _ in range(RATE * 10):
            try:
                datagrams.sendto(bytes([first]) + b"a" * 100, ("127.0.0.1", 443))
            except OSError:
                pass
    result[f"{first:x}"] = dropped()
"""
    seen = tell(image, f"RATE = {RATE}\n{story}")
    assert (seen["40"], seen["e0"]) == (0, 0)
    assert 0 < seen["c0"] <= RATE * 6
