"""
Fetch a page and read it: python client_get.py http://example.com/
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from twisted_h11.client import Agent, HTTPConnectionPool, readBody


async def get(reactor: Any, url: str) -> None:
    pool = HTTPConnectionPool(reactor)
    agent = Agent(reactor, pool=pool)
    response = await agent.request(b"GET", url.encode("ascii"))
    print(response.code, response.phrase.decode("latin-1"))
    body = await readBody(response)
    print(len(body), "bytes")
    await pool.closeCachedConnections()


def main(reactor: Any, url: str) -> Deferred[None]:
    return Deferred.fromCoroutine(get(reactor, url))


if __name__ == "__main__":
    react(main, sys.argv[1:])
