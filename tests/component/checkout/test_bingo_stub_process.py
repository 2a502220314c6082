"""The stub of bingo as a process: its start, its routes, its limit and each of its faults."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from images.bingo.stub.limiter import MAX_WAIT
from samovar.core.waiting import Pending, wait_for
from tests.support.bingo import Bingo, bingo, make_bingo

# A way out that leads to a neighbour who says nothing.
NOWHERE = """\
link set lo up
link add out type veth peer name gone
link set out up
link set gone up
address add 192.0.2.2/24 dev out
neighbour add 192.0.2.1 lladdr 0e:00:00:00:00:01 dev out
route add default via 192.0.2.1
"""


def test_it_serves_on_ipv4_and_ipv6_after_its_probe_is_refused(tmp_path: Path) -> None:
    with bingo(tmp_path / "opt") as served:
        assert served.ask("/ping") == (200, "pong\n")
        with socket.create_connection(("::1", served.port)) as connection:
            connection.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
            assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")
        assert "probe failed" in {line["msg"] for line in served.log()}


def test_head_and_body_of_an_answer_come_in_one_piece(tmp_path: Path) -> None:
    """The proxy before it repeats a request only while nothing has come."""
    with bingo(tmp_path / "opt") as served:
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", served.port)) as connection:
                connection.sendall(b"GET /ping HTTP/1.1\r\nHost: bingo\r\n\r\n")
                assert connection.recv(4096).endswith(b"pong\n")


def test_it_does_not_serve_while_its_probe_is_dropped(tmp_path: Path) -> None:
    """The 30 s are not waited for: that it sits in its first connection says enough."""
    stub, netns = make_bingo(tmp_path / "opt"), f"smvtest-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", netns], check=True)
    try:
        subprocess.run(["ip", "-n", netns, "-batch", "-"], input=NOWHERE, text=True, check=True)
        with subprocess.Popen(stub.command("run_server", netns=netns), env={"PATH": os.environ["PATH"]}) as process:
            wait_for("its first connection", lambda: syn_sent(netns), timeout=30, interval=0.1)
            time.sleep(2)
            assert syn_sent(netns) is True
            assert process.poll() is None
            assert not (stub.logs / "main.log").read_text()
            process.kill()
    finally:
        subprocess.run(["ip", "netns", "del", netns], check=True)


def syn_sent(netns: str) -> bool | Pending:
    listed = ["ip", "netns", "exec", netns, "ss", "--no-header", "--tcp", "--numeric", "state", "syn-sent"]
    output = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    return True if "8.8.8.8:80" in output else Pending(output)


def test_without_its_log_folder_it_does_not_start(tmp_path: Path) -> None:
    stub = make_bingo(tmp_path / "opt")
    stub.logs.chmod(0o500)
    stub.logs.rename(stub.logs.with_name("other"))
    ended = stub.run("run_server")
    assert ended.returncode == 1
    assert f"/{stub.logs.name} must exist and be writable" in ended.stderr


def test_it_prints_what_it_reads(tmp_path: Path) -> None:
    stub = make_bingo(tmp_path / "opt", 5432)
    assert f"student_email: {stub.email}" in stub.run("print_current_config").stdout
    (stub.folder / "bingo/config.yaml").write_text("a: 1")
    ended = stub.run("print_current_config")
    assert (ended.returncode, ended.stderr) == (1, "bingo: /opt/bingo/config.yaml: a: unknown\n")


def test_the_routes_that_need_no_database(tmp_path: Path) -> None:
    with bingo(tmp_path / "opt", BINGO_LONG_DUMMY="0.3") as served:
        assert served.ask("/")[0] == 200
        began = time.monotonic()
        assert served.ask("/long_dummy")[1].startswith("long dummy, made at 20")
        assert time.monotonic() - began >= 0.3
        assert served.json("/operation", "POST", {"operation": 5}) == {"operation": 5}
        assert served.ask("/operation", "POST", {"operation": "5"})[0] == 400
        assert served.ask("/operation", "POST", "nonsense")[0] == 400
        for path in ("/none", "/api", "/api/none", "/api/movie/x", "/api/movie/1/2", "/api/movie/99999999999"):
            assert served.ask(path)[0] == 404, path
        assert served.ask("/api/movie", "POST", {})[0] == 404
        assert served.ask("/ping?x=1") == (200, "pong\n")
        assert served.ask("/ping", "HEAD") == (200, "")
        assert served.ask("/db_dummy") == (500, "the database is unavailable\n")


def test_invalid_http_is_rejected_and_serving_goes_on(tmp_path: Path) -> None:
    with bingo(tmp_path / "opt") as served:
        answers = {
            b"\x00\xff garbage\r\n\r\n": b"400",
            b"GET / HTTP/1.1\r\n\r\n": b"400",  # without a Host
            b"POST /operation HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_100_000: b"413",
        }
        for request, status in answers.items():
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
                connection.sendall(request)
                assert connection.recv(100).split()[1] == status
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(b"POST /operation HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert served.ask("/ping")[0] == 200


@pytest.mark.parametrize(("operation", "output"), [(1_000_001, ""), (1_000_002, "We all die\n")])
def test_an_operation_ends_it(tmp_path: Path, operation: int, output: str) -> None:
    with bingo(tmp_path / "opt") as served:
        with pytest.raises((ConnectionError, OSError)):
            served.ask("/operation", "POST", {"operation": operation})
        assert served.ended() == 1
        assert served.process is not None
        assert served.process.stdout is not None
        assert served.process.stdout.read() == output
        assert [line["operation"] for line in served.log() if line["msg"] == "operation"] == [operation]


def test_an_operation_makes_it_answer_500_to_everything(tmp_path: Path) -> None:
    with bingo(tmp_path / "opt", BINGO_OPERATIONS="7=bad") as served:
        assert served.ask("/operation", "POST", {"operation": 1_000_001})[0] == 200
        assert served.ask("/operation", "POST", {"operation": 7}) == (500, "I feel bad\n")
        for path in ("/ping", "/", "/none"):
            assert served.ask(path) == (500, "I feel bad\n")


def test_an_operation_makes_it_grow_and_it_goes_on_serving(tmp_path: Path) -> None:
    with bingo(tmp_path / "opt", BINGO_GROWTH="40") as served:
        before = memory(served)
        assert served.ask("/operation", "POST", {"operation": 1_000_004})[0] == 200
        wait_for("growth", lambda: memory(served) > before + 60_000 or Pending("small"), timeout=30, interval=0.1)
        assert served.ask("/ping")[0] == 200


def memory(served: Bingo) -> int:
    """Resident, in KiB."""
    assert served.process is not None
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def test_instances_started_together_fail_together(tmp_path: Path) -> None:
    """Both are started within the same ten seconds, which decide the planned failure."""
    if (left := 10 - time.time() % 10) < 5:
        time.sleep(left)
    life = {"BINGO_LIFETIME": "3-6", "BINGO_FAULTS": "exit"}
    with bingo(tmp_path / "one", **life) as one, bingo(tmp_path / "two", **life) as two:
        codes, began = [one.ended()], time.monotonic()
        codes.append(two.ended())
        assert time.monotonic() - began < 5
        assert codes[0] == codes[1]
        assert codes[0] in (0, 1)


def test_sigterm_ends_it_with_exit_code_0(tmp_path: Path) -> None:
    with bingo(tmp_path / "opt") as served:
        assert served.process is not None
        served.process.send_signal(signal.SIGTERM)
        assert served.ended() == 0


async def test_above_its_limit_requests_wait_and_then_are_shed(tmp_path: Path) -> None:
    """100 of 750 concurrent requests are served at once, and 100 more in each of the five seconds that one waits."""
    with bingo(tmp_path / "opt") as served:
        await asyncio.sleep(1)  # the requests that found it alive are forgotten
        began = time.monotonic()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{served.port}", connector=connector) as session:
            statuses = Counter(await asyncio.gather(*(status(session) for _ in range(750))))
        took = time.monotonic() - began
    assert statuses[200] in range(590, 611)
    assert statuses[500] == 750 - statuses[200]
    assert took >= MAX_WAIT


async def status(session: aiohttp.ClientSession) -> int:
    async with session.get("/ping") as response:
        await response.read()
        return response.status
