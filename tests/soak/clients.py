"""
What all clients share: where they connect, what they count, and how they tell.

A process of clients is C{python -m MODULE PLAN}, where C{PLAN} is JSON.  It writes a
line of JSON with what it has counted so far each second, and a last one at its end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import ssl
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Place", "Plan", "Tally", "connect", "reset", "run"]

MOST_SHOWN = 20


@dataclass
class Place:
    """
    One endpoint.

    @ivar server: the name of its server.
    @ivar kind: C{tcp}, C{tls} or C{unix}.
    """

    server: str
    kind: str
    port: int = 0
    path: str = ""


@dataclass
class Plan:
    """
    What a process of clients is to do.

    @ivar rate: how many requests in a second the good clients aim at.
    @ivar authority: the file with the certificate to trust.
    """

    places: list[Place]
    seconds: float
    rate: float
    seed: int
    authority: str

    def text(self) -> str:
        """
        As JSON.
        """
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Plan:
        """
        From JSON.
        """
        values = json.loads(text)
        values["places"] = [Place(**place) for place in values["places"]]
        return cls(**values)


@dataclass
class Tally:
    """
    What the clients of a process have seen.

    @ivar counts: by C{server what}.
    @ivar latencies: seconds that single small requests took, since the last line.
    @ivar faults: the first few wrong answers and failed requests, in words.
    """

    counts: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fault(self, server: str, what: str, words: str) -> None:
        """
        Something went wrong.

        @param what: C{wrong}, C{failed} or C{kept}.
        """
        self.counts[f"{server} {what}"] += 1
        if len(self.faults) < MOST_SHOWN:
            self.faults.append(f"{server} {what}: {words}")

    def say(self) -> None:
        """
        Write a line.
        """
        latencies, self.latencies = self.latencies, []
        line = {
            "counts": dict(self.counts),
            "latencies": [round(one, 6) for one in latencies],
            "faults": self.faults,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(
    place: Place, plan: Plan, local: str | None = None, limit: int = 1 << 16
) -> Streams:
    """
    Connect.

    @param local: the address to come from, where there is one.
    """
    if place.kind == "unix":
        return await asyncio.open_unix_connection(place.path, limit=limit)
    options: dict[str, Any] = {"limit": limit}
    if place.kind == "tls":
        options["ssl"] = _context(plan.authority)
        options["server_hostname"] = "localhost"
    if local is not None:
        options["local_addr"] = (local, 0)
    return await asyncio.open_connection("127.0.0.1", place.port, **options)


_contexts: dict[str, ssl.SSLContext] = {}


def _context(authority: str) -> ssl.SSLContext:
    if authority not in _contexts:
        _contexts[authority] = ssl.create_default_context(cafile=authority)
    return _contexts[authority]


def reset(writer: asyncio.StreamWriter) -> None:
    """
    Vanish: TCP sends a reset, whatever is on its way.
    """
    link = writer.get_extra_info("socket")
    if link is not None and link.family != socket.AF_UNIX:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


Behaviour = Callable[[Place, Plan, Tally, random.Random, float], Awaitable[None]]


async def _run(plan: Plan, behaviours: list[tuple[Behaviour, int]]) -> None:
    tally = Tally()
    end = time.monotonic() + plan.seconds
    tasks = [
        asyncio.ensure_future(
            behaviour(
                place,
                plan,
                tally,
                random.Random(f"{plan.seed} {behaviour.__name__} {place} {number}"),
                end,
            )
        )
        for behaviour, count in behaviours
        for place in plan.places
        for number in range(count)
    ]
    while any(not task.done() for task in tasks):
        await asyncio.wait(tasks, timeout=1, return_when=asyncio.ALL_COMPLETED)
        tally.say()
    for task in tasks:
        task.result()
    tally.say()


def run(behaviours: list[tuple[Behaviour, int]]) -> None:
    """
    Be a process of clients: so many of each behaviour at each place.
    """
    # It warns of each write to a connection that the server has dropped.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(_run(Plan.read(sys.argv[1]), behaviours))
