"""
Asking one server, and what it has understood.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import NamedTuple

from tests.differential.requests import SENTINEL

__all__ = ["Outcome", "Understood", "ask_all"]

_ECHO = re.compile(rb"(?i)\nx-echo: ([0-9a-f]+)\r")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")

# Whoever has said nothing for so long waits for more.
_IDLE = 0.5
# How many are asked at a time.
_WIDTH = 48


class Understood(NamedTuple):
    """
    One request, as a server told it.

    @ivar meant: the identity that a proxy gave it.
    """

    method: str
    target: str
    body: str
    meant: str


class Outcome(NamedTuple):
    """
    What a server made of an input.

    @ivar requests: what it understood, in order.
    @ivar refusal: the status of its refusal, or 0.
    @ivar closed: whether it has closed.
    @ivar text: the last bytes that it sent.
    """

    requests: tuple[Understood, ...]
    refusal: int
    closed: bool
    text: bytes


def outcome(received: bytes, closed: bool) -> Outcome:
    """
    Read the answers of a server.
    """
    found = [json.loads(bytes.fromhex(one.decode())) for one in _ECHO.findall(received)]
    statuses = [int(status) for status in _STATUS.findall(received)]
    refusals = [status for status in statuses if status >= 400]
    requests = tuple(Understood(*one) for one in found)
    return Outcome(requests, refusals[0] if refusals else 0, closed, received[-300:])


async def _ask(port: int, data: bytes, idle: float) -> Outcome:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    closed = False
    try:
        writer.write(data + SENTINEL)
        while True:
            more = await asyncio.wait_for(reader.read(65536), idle)
            if not more:
                closed = True
                break
            received += more
    except asyncio.TimeoutError:
        pass
    except ConnectionError:
        closed = True
    finally:
        writer.close()
    return outcome(received, closed)


async def _all(port: int, inputs: list[bytes], idle: float) -> list[Outcome]:
    places = asyncio.Semaphore(_WIDTH)

    async def one(data: bytes) -> Outcome:
        async with places:
            for _ in range(3):
                try:
                    return await _ask(port, data, idle)
                except ConnectionError:
                    await asyncio.sleep(0.2)
            return await _ask(port, data, idle)

    return await asyncio.gather(*map(one, inputs))


def ask_all(port: int, inputs: list[bytes], idle: float = _IDLE) -> list[Outcome]:
    """
    Send each input on a connection of its own.
    """
    return asyncio.run(_all(port, inputs, idle))
