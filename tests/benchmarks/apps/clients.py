"""
Clients that ask one server for the same thing many times: C{python -m
tests.benchmarks.apps.clients NAME --port PORT}.

Each keeps so many requests under way, over connections that are kept alive, and
reads every answer.  What is printed is the CPU time of this process for the
requests, without its start and without the first ones.
"""

# The clients can be missing where types are checked.
# mypy: disable-error-code="import-not-found,import-untyped,no-any-unimported"

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any

from tests.benchmarks.apps import payload

__all__ = ["CLIENTS"]

_FIELDS = {"User-Agent": "benchmark/1", "Accept": "*/*"}

# Asks once, and gives the body of the answer.
_Ask = Callable[[], Awaitable[Any]]
_Client = Callable[[str, argparse.Namespace], AbstractAsyncContextManager[_Ask]]


@asynccontextmanager
async def _agent(
    module: str, url: str, options: argparse.Namespace
) -> AsyncIterator[_Ask]:
    """
    @param module: has C{Agent}, C{HTTPConnectionPool} and C{readBody}.
    """
    from twisted.internet import reactor
    from twisted.web.http_headers import Headers

    names = import_module(module)
    pool = names.HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = options.connections
    agent = names.Agent(reactor, pool=pool)
    fields = Headers({name: [value] for name, value in _FIELDS.items()})
    target = url.encode("ascii")

    async def ask() -> Any:
        return await names.readBody(await agent.request(b"GET", target, fields))

    yield ask


@asynccontextmanager
async def _httpx(url: str, options: argparse.Namespace) -> AsyncIterator[_Ask]:
    import httpx

    async with httpx.AsyncClient(headers=_FIELDS) as client:

        async def ask() -> Any:
            return (await client.get(url)).content

        yield ask


@asynccontextmanager
async def _aiohttp(url: str, options: argparse.Namespace) -> AsyncIterator[_Ask]:
    import aiohttp

    async with aiohttp.ClientSession(headers=_FIELDS) as client:

        async def ask() -> Any:
            async with client.get(url) as response:
                return await response.read()

        yield ask


CLIENTS: dict[str, _Client] = {
    "h11-agent": partial(_agent, "twisted_h11.client"),
    "twisted-agent": partial(_agent, "twisted.web.client"),
    "httpx": _httpx,
    "aiohttp-client": _aiohttp,
}
"""
By name what asks; the agents do it on Twisted's reactor, the others on asyncio's loop.
"""


async def _measure(
    options: argparse.Namespace, together: Callable[..., Awaitable[Any]]
) -> None:
    """
    Warm up, measure, print.

    @param together: runs coroutines at the same time.
    """
    left = 0

    async def worker(ask: _Ask) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            body = await ask()
            if body != payload.HELLO:
                raise ValueError(f"answered with {body[:40]!r}")

    number, connections = options.requests, options.connections
    url = f"http://127.0.0.1:{options.port}/"
    async with CLIENTS[options.name](url, options) as ask:
        for count in (max(number // 5, connections), number):
            left = count
            began, used = time.monotonic(), time.process_time()
            await together(*(worker(ask) for _ in range(connections)))
            used = time.process_time() - used
            passed = time.monotonic() - began
    print("RESULT", json.dumps({"cpu": used / number, "passed": passed / number}))


def _on_twisted(options: argparse.Namespace) -> None:
    from twisted.internet import defer, task

    def together(*coroutines: Any) -> Awaitable[Any]:
        found = [defer.ensureDeferred(coroutine) for coroutine in coroutines]
        return defer.gatherResults(found, consumeErrors=True)

    task.react(lambda reactor: defer.ensureDeferred(_measure(options, together)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CLIENTS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    if options.name.endswith("-agent"):
        _on_twisted(options)
    else:
        asyncio.run(_measure(options, asyncio.gather))
