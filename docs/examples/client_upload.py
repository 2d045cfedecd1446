"""
Send a file and its answer's end: python client_upload.py URL FILE
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from twisted_h11.client import Agent, FileBodyProducer, Headers, readBody


async def upload(reactor: Any, url: str, path: str) -> None:
    agent = Agent(reactor)
    headers = Headers({b"Content-Type": [b"application/octet-stream"]})
    with open(path, "rb") as file:
        # The producer is asked for more only while the server reads.
        producer = FileBodyProducer(file)
        response = await agent.request(b"POST", url.encode("ascii"), headers, producer)
        print(response.code, await readBody(response))


def main(reactor: Any, url: str, path: str) -> Deferred[None]:
    return Deferred.fromCoroutine(upload(reactor, url, path))


if __name__ == "__main__":
    react(main, sys.argv[1:])
