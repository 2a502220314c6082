"""Workers: what takes time beside the loop, and how it ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from samovar.localcloud.reconcile import Workers


async def test_work_that_is_cancelled_before_it_ran_leaves_no_coroutine_behind() -> None:
    coroutines: list[Coroutine[None, None, None]] = []

    def work() -> Coroutine[None, None, None]:
        coroutines.append(asyncio.sleep(0))
        return coroutines[-1]

    Workers(lambda: None).start("key", work)
    (task,) = asyncio.all_tasks() - {asyncio.current_task()}
    task.cancel()
    await asyncio.wait([task])
    assert coroutines == []
