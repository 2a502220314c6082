"""The local cloud's clock: one for all, and one that can be simulated."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from samovar.localcloud import clock
from samovar.localcloud.simulated.event_loop import JUMP, SimulatedLoop, run
from tests.support.checkout import ROOT

DAY = 86400.0
HOST_CLOCK = re.compile(r"\btime\.time\(|datetime\.now\(|datetime\.utcnow\(|GetCurrentTime\(|\bfrom time import")
ITS_OWN = {
    "clock.py",
    "simulated/event_loop.py",
    "api/pki.py",  # clients judge a certificate by the host's clock
}


def test_no_module_of_the_local_cloud_reads_the_hosts_clock() -> None:
    folder = ROOT / "localcloud"
    asking = {str(file.relative_to(folder)) for file in folder.rglob("*.py") if HOST_CLOCK.search(file.read_text())}
    assert asking <= ITS_OWN, asking - ITS_OWN


def test_a_day_of_timers_takes_no_time_and_ends_a_day_later() -> None:
    async def day() -> list[float]:
        dates = [clock.now()]
        for _ in range(24):
            await asyncio.sleep(3600)
            dates.append(clock.now())
        return dates

    began = time.monotonic()
    dates = run(day(), start=1e9)
    assert dates == pytest.approx([1e9 + hour * 3600 for hour in range(25)])
    assert time.monotonic() - began < 5


def test_timers_run_out_in_their_order_and_a_timeout_cuts_a_longer_sleep() -> None:
    order: list[str] = []

    async def after(seconds: float, what: str) -> None:
        await asyncio.sleep(seconds)
        order.append(what)

    async def story() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(50):
                await asyncio.gather(after(30, "second"), after(10, "first"), after(90, "never"))

    run(story())
    assert order == ["first", "second"]


def test_ready_sockets_are_read_before_the_clock_advances() -> None:
    """A socket that can be read is read before the clock goes on."""

    async def story() -> float:
        reader, writer = await _pair()
        loop = asyncio.get_running_loop()
        for _ in range(100):
            writer.write(b"x")
            await reader.readexactly(1)
        took = loop.time()
        writer.close()
        await writer.wait_closed()
        return took

    assert run(story()) == 0


async def _pair() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A server on loopback that says what it hears."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while output := await reader.read(1):
            writer.write(output)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    pair = await asyncio.open_connection(*server.sockets[0].getsockname())
    server.close()
    return pair


def test_a_clock_at_a_speed_is_that_much_faster_than_the_hosts() -> None:
    async def story() -> tuple[float, float]:
        began, date = time.monotonic(), clock.now()
        await asyncio.sleep(100)
        return time.monotonic() - began, clock.now() - date

    took, passed = run(story(), speed=500)
    assert 0.2 <= took < 5
    assert passed == pytest.approx(took * 500, rel=0.1)


def test_a_date_that_is_set_moves_no_timer() -> None:
    async def story() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        date, began = clock.now(), loop.time()
        loop.set_date_forward(-DAY)
        await asyncio.sleep(60)
        return clock.now() - date, loop.time() - began

    assert run(story(), JUMP) == pytest.approx((60 - DAY, 60))


async def test_on_another_loop_the_clock_is_the_hosts() -> None:
    stamped = Timestamp()
    clock.set_now(stamped)
    assert abs(clock.now() - time.time()) < 5
    assert abs(stamped.ToNanoseconds() / 1e9 - time.time()) < 5
    assert abs(clock.utc_now().timestamp() - time.time()) < 5
