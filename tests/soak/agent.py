"""
Good clients that use our Agent, through a pool, to each endpoint.
"""

from __future__ import annotations

import random
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater

from tests.soak.clients import Place, Plan, Tally
from tests.soak.content import content, receipt, token
from twisted_h11.client import (
    Agent,
    FileBodyProducer,
    HTTPConnectionPool,
    TLSPolicy,
    UNIXEndpointFactory,
    readBody,
)

__all__: list[str] = []

net: Any = reactor


def make_agent(place: Place, plan: Plan) -> tuple[Any, str]:
    """
    An agent for an endpoint.

    @return: it, and the URL of the root.
    """
    pool = HTTPConnectionPool(net)
    if place.kind == "unix":
        factory = UNIXEndpointFactory(net, place.path)
        agent: Any = Agent.usingEndpointFactory(net, factory, pool=pool)
        return agent, "http://localhost"
    if place.kind == "tcp":
        return Agent(net, pool=pool), f"http://127.0.0.1:{place.port}"
    pem = Path(plan.authority).read_bytes()
    policy = TLSPolicy.trusting(pem)
    return Agent(net, policy, pool=pool), f"https://localhost:{place.port}"


async def ask(agent: Any, root: str, rng: random.Random) -> tuple[str, bool, str]:
    """
    One request.

    @return: its method, whether the answer is right, and the answer in words.
    """
    name = token(rng)
    kind = rng.choice(("small", "small", "small", "wsgi", "stream", "large", "put"))
    if kind == "put":
        body = name * rng.choice((1, 1000))
        url = f"{root}/{rng.choice(('upload', 'buffered', 'wsgi'))}/{name.decode()}"
        producer = FileBodyProducer(BytesIO(body))
        method, expected = "PUT", receipt(name, len(body), zlib.crc32(body))
    else:
        url, producer = f"{root}/{kind}/{name.decode()}", None
        method, expected = "GET", content(kind, name)
    response = await agent.request(method.encode(), url.encode(), None, producer)
    got = await readBody(response)
    words = f"{method} {url}: {response.code}, {len(got)} bytes"
    return method, response.code == 200 and got == expected, words


async def loop(
    place: Place, plan: Plan, tally: Tally, agent: tuple[Any, str], number: int
) -> None:
    """
    Ask until it is over.
    """
    end = time.monotonic() + plan.seconds
    rng = random.Random(f"{plan.seed} agent {place} {number}")
    while time.monotonic() < end:
        try:
            method, right, words = await ask(*agent, rng)
        except Exception as error:
            tally.fault(place.server, "failed", f"agent {place.kind}: {error!r}")
        else:
            tally.counts[f"{place.server} good"] += 1
            tally.counts[f"{place.server} good {method}"] += 1
            tally.counts[f"{place.server} agent"] += 1
            if not right:
                tally.fault(place.server, "wrong", f"agent {place.kind} {words}")
        await deferLater(net, rng.uniform(0.05, 0.4))


def main() -> None:
    """
    Be a process of clients.
    """
    plan, tally = Plan.read(sys.argv[1]), Tally()
    LoopingCall(tally.say).start(1, now=False)
    agents = [make_agent(place, plan) for place in plan.places]
    loops = [
        Deferred.fromCoroutine(loop(place, plan, tally, agent, number))
        for place, agent in zip(plan.places, agents, strict=True)
        for number in range(2)
    ]

    def failed(reason: Any) -> None:
        reason.printTraceback()

    async def close() -> None:
        for agent, _ in agents:
            await agent.pool.closeCachedConnections()

    done = gatherResults(loops)
    done.addCallback(lambda _: Deferred.fromCoroutine(close()))
    done.addErrback(failed).addBoth(lambda _: net.stop())
    net.run()
    tally.say()


if __name__ == "__main__":
    main()
