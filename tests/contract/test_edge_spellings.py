"""One path, however it is spelled: one entry of the cache, and no client who asks strangely makes others wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.edge import edge_image, tell

SPELLINGS = """
SPELLINGS = ["/long_dummy", "//long_dummy", "/x/../long_dummy", "/long%5Fdummy", "/./long_dummy", "/long_dummy?evil=1",
    "/long_dummy/", "/%6c%6Fng_dummy", "/long_dummy#there", "http://elsewhere/long_dummy", "http://elsewhere//long_dummy/?a"]
bingo("balancer", "127.0.0.2", 81)
configure(WHOLE)
def raw(request):
    with socket.create_connection(("127.0.0.1", 80), 90) as made:
        made.sendall(request.encode())
        return made.makefile("rb").read().decode()
def spelled(target, method="GET", *headers):
    head = "".join(f"{header}\\r\\n" for header in ("Host: a", "Connection: close", *headers))
    return raw(f"{method} {target} HTTP/1.1\\r\\n{head}\\r\\n")
def status(answer):
    return int(answer.split()[1])
"""
STRANGE = [
    "Accept-Encoding: gzip",
    "Range: bytes=0-0",
    "Cache-Control: no-cache",
    "Cookie: a=b",
    "X-Made: 1",
    'If-None-Match: "x"',
]
OTHERS = ["/LONG_DUMMY", "/long_dummy;a", "/long%255Fdummy", "/long_dummy/x"]
"""Paths of their own."""
WAITED = 1.0


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def test_all_spellings_share_one_answer_that_no_header_of_a_client_shapes(image: Path) -> None:
    story = f"""
headers = {STRANGE}
result["first"] = status(spelled("//long_dummy/?evil=1", "GET", *headers))
answers = [spelled(each, "GET", "Accept-Encoding: gzip") for each in SPELLINGS]
result["hits"] = ["x-cache: hit" in answer.lower() for answer in answers]
result["bodies"] = len({{answer.partition("\\r\\n\\r\\n")[2] for answer in answers}})
result["head"] = [status(spelled("/long_dummy", "HEAD"))]
result["others"] = [status(spelled(each)) for each in {OTHERS}]
result["seen"] = Bingo.seen
result["headers"] = [sorted(name.lower() for name in headers) for headers in Bingo.headers_seen[:1]]
"""
    seen = tell(image, SPELLINGS + story)
    assert seen["first"] in {200, 206}
    assert all(seen["hits"]), seen["hits"]
    assert seen["bodies"] == 1
    assert seen["head"] == [200]
    assert seen["seen"].count("balancer GET /long_dummy") == 1
    assert seen["seen"] == [f"balancer GET {path}" for path in ("/long_dummy", *OTHERS)]
    assert seen["headers"] == [["connection", "host", "x-request-id"]]


def test_another_page_does_not_get_into_the_cache(image: Path) -> None:
    """Not even where the application lets all of its answers be kept."""
    story = """
result["pages"] = [json.loads(ask(path)[1])[2] for path in ("/other", "/other", "/long_dummy_", "/long_dummy_")]
result["cached"] = ["x-cache" in ask(path)[2] for path in ("/other", "/long_dummy_", "/api/movie")]
result["long"] = [ask("/long_dummy")[1] for _ in range(2)]
"""
    seen = tell(image, SPELLINGS + story)
    assert len(set(seen["pages"])) == 4
    assert seen["cached"] == [False] * 3
    assert len(set(seen["long"])) == 1


def test_only_who_reads_takes_the_turn_of_those_who_fetch(image: Path) -> None:
    story = """
Bingo.long = 3
writes = [later(path, "POST") for path in ("/long_dummy", "/long_dummy/", "//long_dummy?a") * 7]
time.sleep(0.5)
began = time.monotonic()
result["status"] = ask("/long_dummy")[0]
result["waited"] = time.monotonic() - began
result["writes"] = [[status, headers.get("allow")] for status, _, headers in (write() for write in writes)]
result["seen"] = Bingo.seen
"""
    seen = tell(image, SPELLINGS + story)
    assert seen["status"] == 200
    assert seen["waited"] < 3 + 2 * WAITED
    assert seen["writes"] == [[405, "GET, HEAD"]] * 21
    assert seen["seen"] == ["balancer GET /long_dummy"]


def test_nobody_waits_because_another_client_asks_strangely(image: Path) -> None:
    """For longer than an answer is served, which is the point; bingo takes 4 s, and ten requests come a second."""
    story = f"""
Bingo.long = 4
warming = subprocess.Popen(["/usr/lib/samovar/edge/warm.sh"])
until(lambda: Bingo.fetches)
strange, end = [], time.monotonic() + 70
def attack():
    number = 0
    while time.monotonic() < end:
        number += 1
        method = "POST" if number % 10 == 0 else "GET"
        target, header = SPELLINGS[number % len(SPELLINGS)], {STRANGE}[number % {len(STRANGE)}]
        strange.append(threading.Thread(target=spelled, args=(target, method, header)))
        strange[-1].start()
        time.sleep(0.1)
attacking = threading.Thread(target=attack)
attacking.start()
load = Load("/long_dummy", rate=2)
attacking.join()
result["load"] = load.ended()
result["fetches"] = len(Bingo.fetches)
"""
    seen = tell(image, SPELLINGS + story)
    assert {status for status, _, _ in seen["load"]} == {200}
    slow = [seconds for _, _, seconds in seen["load"] if seconds > WAITED]
    print(f"{len(seen['load'])} asked, {len(slow)} waited, {seen['fetches']} fetches")  # noqa: T201
    assert slow == []
    assert seen["fetches"] <= 5
