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
from collections.abc import Awaitable, Callable, Coroutine
from importlib import import_module
from typing import Any

from tests.benchmarks.apps import payload

__all__ = ["CLIENTS", "main"]

_FIELDS = {"User-Agent": "benchmark/1", "Accept": "*/*"}

_Ask = Callable[[], Awaitable[bytes]]


class _Measure:
    """
    Counts requests, and takes the time between the first that counts and the
    last.
    """

    def __init__(self, ask: _Ask, options: argparse.Namespace) -> None:
        self._ask = ask
        self._options = options
        self._left = 0

    async def worker(self) -> None:
        """
        Ask until enough was asked by all workers together.
        """
        while self._left > 0:
            self._left -= 1
            body = await self._ask()
            if body != payload.HELLO:
                raise ValueError(f"answered with {body[:40]!r}")

    async def run(self, together: Callable[..., Awaitable[Any]]) -> None:
        """
        Warm up, measure, print.

        @param together: runs coroutines at the same time.
        """
        number = self._options.requests
        for count in (max(number // 5, self._options.connections), number):
            self._left = count
            began, used = time.monotonic(), time.process_time()
            await together(*(self.worker() for _ in range(self._options.connections)))
            used = time.process_time() - used
            passed = time.monotonic() - began
        print("RESULT", json.dumps({"cpu": used / number, "passed": passed / number}))


def _twisted(module: str) -> Callable[..., None]:
    """
    A client on Twisted's reactor.

    @param module: has C{Agent}, C{HTTPConnectionPool} and C{readBody}.
    """

    def run(url: str, options: argparse.Namespace) -> None:
        from twisted.internet import defer, task
        from twisted.web.http_headers import Headers

        names = import_module(module)
        fields = Headers({name: [value] for name, value in _FIELDS.items()})

        def together(*coroutines: Any) -> Awaitable[Any]:
            found = [defer.ensureDeferred(coroutine) for coroutine in coroutines]
            return defer.gatherResults(found, consumeErrors=True)

        async def main(reactor: Any) -> None:
            pool = names.HTTPConnectionPool(reactor)
            pool.maxPersistentPerHost = options.connections
            agent = names.Agent(reactor, pool=pool)
            target = url.encode("ascii")

            async def ask() -> bytes:
                response = await agent.request(b"GET", target, fields)
                body: bytes = await names.readBody(response)
                return body

            await _Measure(ask, options).run(together)

        task.react(lambda reactor: defer.ensureDeferred(main(reactor)))

    return run


def _asyncio(session: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """
    A client on asyncio's loop.
    """
    return lambda url, options: asyncio.run(session(url, options))


async def _httpx(url: str, options: argparse.Namespace) -> None:
    import httpx

    async with httpx.AsyncClient(headers=_FIELDS) as client:

        async def ask() -> bytes:
            content: bytes = (await client.get(url)).content
            return content

        await _Measure(ask, options).run(asyncio.gather)


async def _aiohttp(url: str, options: argparse.Namespace) -> None:
    import aiohttp

    async with aiohttp.ClientSession(headers=_FIELDS) as client:

        async def ask() -> bytes:
            async with client.get(url) as response:
                content: bytes = await response.read()
                return content

        await _Measure(ask, options).run(asyncio.gather)


CLIENTS: dict[str, Callable[..., None]] = {
    "h11-agent": _twisted("twisted_h11.client"),
    "twisted-agent": _twisted("twisted.web.client"),
    "httpx": _asyncio(_httpx),
    "aiohttp-client": _asyncio(_aiohttp),
}


def main() -> None:
    """
    Run one client.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CLIENTS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    CLIENTS[options.name](f"http://127.0.0.1:{options.port}/", options)


if __name__ == "__main__":
    main()
