import sys
from typing import Any

from twisted.internet.task import react

from twisted_h11.client import Agent, readBody


async def main(reactor: Any, url: str) -> None:
    agent = Agent(reactor)
    response = await agent.request(b"GET", url.encode("ascii"))
    print(response.code, response.headers.getRawHeaders(b"content-type"))
    print((await readBody(response)).decode())


react(main, sys.argv[1:])
