"""The one clock of the local cloud: the event loop's, where that has one, else the host's.

Timers go by the loop's `time`. A loop with a clock of its own (`samovar.localcloud.simulated.event_loop`) says by
`wall_time` what date that is, so that what is dated and what is waited for never disagree.
"""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def now() -> float:
    """Return the seconds since 1970."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return time.time()
    wall_time = getattr(loop, "wall_time", time.time)
    return float(wall_time())


def utc_now() -> datetime:
    """Return the same as a date in UTC."""
    return datetime.fromtimestamp(now(), UTC)


def set_now(timestamp: Timestamp) -> None:
    """Set a timestamp to the current time of this clock, as `Timestamp.GetCurrentTime` does by the host's."""
    timestamp.FromNanoseconds(int(now() * 1e9))


def of_host(seconds: float) -> float:
    """Return the seconds of the loop's clock that pass in so many seconds of the host, by which clients live."""
    speed = float(getattr(asyncio.get_running_loop(), "speed", 1.0))
    return seconds if math.isinf(speed) else seconds * speed
