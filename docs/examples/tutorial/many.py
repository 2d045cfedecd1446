import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from twisted_h11.client import Agent, HTTPConnectionPool, readBody


async def size(agent: Agent, url: str) -> int:
    response = await agent.request(b"GET", url.encode("ascii"))
    return len(await readBody(response))


async def main(reactor: Any, url: str) -> None:
    pool = HTTPConnectionPool(reactor)
    agent = Agent(reactor, pool=pool)
    asked = [Deferred.fromCoroutine(size(agent, url)) for _ in range(100)]
    sizes = await gatherResults(asked)
    print(len(sizes), "answers")
    await pool.closeCachedConnections()


react(main, sys.argv[1:])
