import sys
from typing import Any

from twisted.internet.task import react

from twisted_h11.client import (
    Agent,
    ClientSettings,
    RequestError,
    TimedOut,
    readBody,
)

settings = ClientSettings(connectTimeout=3, headTimeout=1, readTimeout=1)


async def main(reactor: Any, url: str) -> None:
    agent = Agent(reactor, settings=settings)
    try:
        response = await agent.request(b"GET", url.encode("ascii"))
        body = await readBody(response)
    except TimedOut as error:
        print(f"too slow: {error.phase}")
    except RequestError as error:
        print(f"failed: {error.phase}")
    else:
        print(response.code, len(body), "bytes")


react(main, sys.argv[1:])
