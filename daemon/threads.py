"""Blocking calls of a coroutine, in a thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

T = TypeVar("T")


async def in_thread(executor: Executor, call: Callable[[], T]) -> T:
    """Run it in a thread. A thread cannot be cancelled: it is waited for, or it would write behind our back."""
    running = asyncio.get_running_loop().run_in_executor(executor, call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # it is of no interest any more
        raise
