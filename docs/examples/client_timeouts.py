"""
Say what failed, and when: python client_timeouts.py URL
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from twisted_h11.client import Agent, ClientSettings, RequestError, TimedOut, readBody

SETTINGS = ClientSettings(connectTimeout=3, headTimeout=1, readTimeout=1)


async def get(reactor: Any, url: str) -> None:
    agent = Agent(reactor, settings=SETTINGS)
    try:
        response = await agent.request(b"GET", url.encode("ascii"))
        body = await readBody(response)
    except TimedOut as error:
        print(f"too slow: {error.phase}, after {error.elapsed:.1f} s")
    except RequestError as error:
        print(f"failed: {error}")
    else:
        print(len(body), "bytes")


def main(reactor: Any, url: str) -> Deferred[None]:
    return Deferred.fromCoroutine(get(reactor, url))


if __name__ == "__main__":
    react(main, sys.argv[1:])
