"""
treq on our agent: python client_treq.py URL
"""

from __future__ import annotations

import sys
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from twisted_h11.client import Agent, HTTPConnectionPool


async def get(reactor: Any, url: str) -> None:
    pool = HTTPConnectionPool(reactor)
    http = HTTPClient(Agent(reactor, pool=pool))
    response = await http.get(url, params={"a": "b"})
    print(response.code, await response.text())
    await pool.closeCachedConnections()


def main(reactor: Any, url: str) -> Deferred[None]:
    return Deferred.fromCoroutine(get(reactor, url))


if __name__ == "__main__":
    react(main, sys.argv[1:])
