"""What one client can do to an edge: slow and huge headers, half a body, a flood; the others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.edge import edge_image, tell


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
result["huge"] = [end(connect(b"GET /ping HTTP/1.1\\r\\nHost: a\\r\\nX-A: " + b"a" * 40000 + b"\\r\\n\\r\\n")),
    end(connect(b"GET /" + b"a" * 40000 + b" HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")),
    end(connect(b"POST /operation HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 100000\\r\\n\\r\\n"))]
result["seen"] = set(Bingo.seen) == {"balancer GET /ping"}
result["last"] = ask("/ping")[0]
"""
    seen = tell(image, story)
    assert set(seen["meanwhile"]) == {200}
    assert (seen["still"], seen["last"]) == (200, 200)
    assert {line.partition(" ")[2][:3] for line in seen["ended"]} <= {"", "408"}
    assert seen["seconds"] < 60
    assert [line.split(" ")[1] for line in seen["huge"]] == ["400", "414", "413"]
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
"""
    seen = tell(image, story)
    answers, seconds = seen["peak"]
    assert set(answers) == {"200"}
    assert seconds > 1
    assert set(seen["flood"][0]) == {"200", "429"}
    assert seen["other"] == 200
