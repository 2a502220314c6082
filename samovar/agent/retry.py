"""Waiting without a deadline: a machine that cannot know what it is has nothing better to do, but it says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .errors import Away

T = TypeVar("T")

SILENT = 1.0
"""Seconds in which a wait is nothing to speak of: at boot the network needs some of them."""
SHORT = 0.03
LONG = 10.0


def patiently(ask: Callable[[], T], say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> T:
    """Asks until nothing is away any more: eagerly at first, then more and more rarely, saying each time what for."""
    began = time.monotonic()
    pause = SHORT
    while True:
        try:
            return ask()
        except Away as away:
            waited = time.monotonic() - began
            if waited >= SILENT:
                say(f"waiting for {away} (for {waited:.0f} s)")
                pause = min(max(1.5 * pause, 0.5), LONG)
        sleep(pause)
