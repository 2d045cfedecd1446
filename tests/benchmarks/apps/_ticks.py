"""
Events for everybody who listens, on asyncio.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from tests.benchmarks.apps import payload

__all__ = ["events"]

_next: asyncio.Future[bytes] | None = None


def _tick(happened: asyncio.Future[bytes], due: float) -> None:
    global _next
    _next = None
    happened.set_result(payload.event(time.monotonic_ns()))
    _schedule(due + payload.TICK)


def _schedule(due: float) -> asyncio.Future[bytes]:
    global _next
    loop = asyncio.get_running_loop()
    _next = loop.create_future()
    loop.call_at(due, _tick, _next, due)
    return _next


async def events() -> AsyncIterator[bytes]:
    """
    One event at once, and then each as it happens.
    """
    yield payload.event(time.monotonic_ns())
    while True:
        happened = _next or _schedule(asyncio.get_running_loop().time() + payload.TICK)
        yield await asyncio.shield(happened)
