"""Images that do not wait for each other are baked side by side, whichever builder bakes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from samovar.core.process import end_running

T = TypeVar("T")


def bake_wave(names: Sequence[str], bake: Callable[[str], T]) -> tuple[T, ...]:
    """What `bake` gives for each. If one fails the others are finished first; on Ctrl-C all are ended."""
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        futures = [pool.submit(bake, name) for name in names]
        try:
            return tuple(future.result() for future in futures)
        except KeyboardInterrupt:
            _abandon(futures)
            raise


def _abandon(futures: Sequence[Future[T]]) -> None:
    while wait(futures, timeout=0.1).not_done:
        end_running()
