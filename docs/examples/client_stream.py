"""
Read a body piece by piece: python client_stream.py URL
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from twisted_h11.client import Agent


async def stream(reactor: Any, url: str) -> None:
    agent = Agent(reactor)
    response = await agent.request(b"GET", url.encode("ascii"))
    digest = hashlib.sha256()
    length = 0
    async for piece in response:
        digest.update(piece)
        length += len(piece)
    print(length, digest.hexdigest())
    for name, values in response.trailers.getAllRawHeaders():
        print("trailer", name, values)


def main(reactor: Any, url: str) -> Deferred[None]:
    return Deferred.fromCoroutine(stream(reactor, url))


if __name__ == "__main__":
    react(main, sys.argv[1:])
