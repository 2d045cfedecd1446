import sys
from typing import Any

from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from twisted_h11.client import Agent


async def main(reactor: Any, url: str, path: str) -> None:
    agent = Agent(reactor)
    response = await agent.request(b"GET", url.encode("ascii"))
    size = 0
    with open(path, "wb") as file:
        async for data in response:
            await deferToThread(file.write, data)
            size += len(data)
    print(size, "bytes")


react(main, sys.argv[1:])
