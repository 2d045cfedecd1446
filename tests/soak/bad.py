"""
Bad clients: slow ones that go beyond the bounds, hostile ones, and vanishing ones.

What they are answered does not matter here, only that the connection ends: within
L{LONGEST} seconds, whatever they do.

C{sent} counts the requests that the server may have answered because of them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable

from tests.soak.clients import Place, Plan, Streams, Tally, connect, reset, run
from tests.soak.content import EXACT, token
from tests.support.corpus import Case, load_cases

__all__ = ["LONGEST", "malice", "stages", "usable_cases"]

LONGEST = 40

FLOOD = 150
FLOODER = "127.0.0.9"
"""
From there come the floods, so that a bound per address does not meet the good.
"""


def _get(kind: str, rng: random.Random) -> bytes:
    target = b"/%s/%s" % (kind.encode("ascii"), token(rng))
    return b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _post(kind: str, rng: random.Random, length: int) -> bytes:
    target = b"/%s/%s" % (kind.encode("ascii"), token(rng))
    head = b"POST " + target + b" HTTP/1.1\r\nHost: localhost\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % length + b"x" * length


async def _bounded(
    place: Place, tally: Tally, what: str, doing: Awaitable[object]
) -> None:
    """
    Wait for the end of a visit; one that does not end is a fault.
    """
    tally.counts[f"{place.server} {what}"] += 1
    try:
        await asyncio.wait_for(doing, LONGEST)
    except (asyncio.TimeoutError, TimeoutError):
        tally.fault(place.server, "kept", f"{place.kind} {what}: is still open")
    except (OSError, EOFError, ValueError):
        pass


async def trickler(
    place: Place, plan: Plan, tally: Tally, rng: random.Random, end: float
) -> None:
    """
    Sends a head, or a body, a byte at a time until the server has enough of it; or
    reads nothing of a large answer.
    """

    async def visit(kind: str) -> None:
        reader, writer = await connect(place, plan)
        try:
            if kind == "reader":
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(_get("large", rng) * 20)
                await asyncio.sleep(12)
                writer.transport.resume_reading()  # type: ignore[attr-defined]
                await reader.read(-1)
                return
            if kind == "body":
                writer.write(_post("upload", rng, 5000)[:-4990])
            done = asyncio.ensure_future(reader.read(-1))
            data = b"GET /small/slow HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1000
            for byte in data:
                writer.write(bytes([byte]))
                await asyncio.wait([done], timeout=0.5)
                if done.done():
                    return
        finally:
            writer.close()

    while time.monotonic() < end:
        kind = rng.choice(("head", "body", "reader", "head", "body"))
        tally.counts[f"{place.server} sent"] += 20 if kind == "reader" else 1
        await _bounded(place, tally, "slow", visit(kind))


def usable_cases() -> list[Case]:
    """
    The cases of the corpus, without those that need other limits or use a method that
    is counted exactly.
    """
    exact = [method.encode("ascii") for method in EXACT]
    return [
        case
        for case in load_cases()
        if not case.limits and not any(method in case.data for method in exact)
    ]


def malice(rng: random.Random, cases: list[Case]) -> tuple[bytes, bool, int]:
    """
    Something to send.

    @return: it, whether the client closes its sending side behind it, and how many
        answers it may get.
    """
    dice = rng.random()
    if dice < 0.7:
        case = rng.choice(cases)
        return case.data, case.ends, len(case.statuses) + 1
    if dice < 0.8:
        return rng.randbytes(rng.choice((1, 30, 500, 5000))), False, 1
    if dice < 0.9:
        lines = b"X-%d: y\r\n" * 3 % (1, 2, 3) * rng.choice((200, 3000))
        return b"GET / HTTP/1.1\r\nHost: a\r\n" + lines, False, 1
    if dice < 0.95:
        return b"GET /" + b"y" * rng.choice((9000, 200_000)), False, 1
    head = b"POST /buffered/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n"
    return head + b"\r\n" + b"z" * 100_000, False, 1


async def hostile(
    place: Place, plan: Plan, tally: Tally, rng: random.Random, end: float
) -> None:
    """
    Sends cases of the corpus, garbage, and what is too large.
    """
    cases = usable_cases()

    async def visit(data: bytes, ends: bool) -> None:
        reader, writer = await connect(place, plan)
        try:
            writer.write(data)
            if ends and writer.can_write_eof():
                writer.write_eof()
            # A good server may wait for more: it is not waited for.
            try:
                await asyncio.wait_for(reader.read(-1), rng.uniform(0.2, 1))
            except (asyncio.TimeoutError, TimeoutError):
                pass
        finally:
            writer.close()

    while time.monotonic() < end:
        data, ends, most = malice(rng, cases)
        tally.counts[f"{place.server} sent"] += most
        await _bounded(place, tally, "hostile", visit(data, ends))
        await asyncio.sleep(rng.uniform(0.05, 0.25))


async def flooder(
    place: Place, plan: Plan, tally: Tally, rng: random.Random, end: float
) -> None:
    """
    Opens many connections at once, and says nothing or little.
    """
    local = None if place.kind == "unix" else FLOODER

    async def one() -> Streams | None:
        try:
            streams = await connect(place, plan, local)
        except OSError:
            return None
        if rng.random() < 0.5:
            streams[1].write(_get("small", rng)[: rng.choice((1, 20, 500))])
        return streams

    async def visit() -> None:
        number = FLOOD if place.kind != "tls" else FLOOD // 4
        tally.counts[f"{place.server} sent"] += 2 * number
        all_streams = await asyncio.gather(*(one() for _ in range(number)))
        await asyncio.sleep(rng.uniform(0.5, 3))
        for streams in all_streams:
            if streams is not None:
                reset(streams[1]) if rng.random() < 0.5 else streams[1].close()

    await asyncio.sleep(rng.uniform(0, 10))
    while time.monotonic() < end:
        await _bounded(place, tally, "flood", visit())
        await asyncio.sleep(min(rng.uniform(10, 25), max(0, end - time.monotonic())))


def stages(rng: random.Random) -> list[tuple[bytes, int]]:
    """
    After what a client vanishes: what it has sent, and how much of the answer it has
    read.
    """
    head, post = _get("stream", rng), _post("upload", rng, 20_000)
    buffered, through = _post("buffered", rng, 20_000), _post("wsgi", rng, 20_000)
    chunked = (
        b"POST /upload/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return [
        (b"", 0),
        (head[: rng.randrange(1, len(head))], 0),
        (head, 0),
        (head, rng.choice((1, 200, 70_000))),
        (_get("slow", rng), 0),
        (_get("wsgi", rng), rng.choice((0, 1, 3000))),
        (_get("large", rng), rng.choice((0, 1, 70_000))),
        (
            b"GET /files/large.bin HTTP/1.1\r\nHost: a\r\n\r\n",
            rng.choice((0, 1, 70_000)),
        ),
        (post[: rng.randrange(1, len(post))], 0),
        (buffered[: rng.randrange(1, len(buffered))], 0),
        (through[: rng.randrange(1, len(through))], 0),
        (chunked + b"5\r\nhel", 0),
        (chunked + b"5", 0),
        (_get("small", rng) * 10, rng.choice((0, 1, 300))),
        (_get("slow", rng) * 3 + head, rng.choice((0, 1, 300))),
        (_get("fail", rng), 0),
    ]


async def vanisher(
    place: Place, plan: Plan, tally: Tally, rng: random.Random, end: float
) -> None:
    """
    Resets the connection in the middle of everything, a TLS handshake included.
    """

    async def visit() -> None:
        if place.kind == "tls" and rng.random() < 0.2:
            bare = Place(place.server, "tcp", place.port)
            _, writer = await connect(bare, plan)
            # The beginning of a record of a handshake.
            writer.write(
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[
                    : rng.choice((1, 6, 11))
                ]
            )
            await asyncio.sleep(rng.choice((0, 0.01)))
            reset(writer)
            return
        data, read = rng.choice(stages(rng))
        reader, writer = await connect(place, plan)
        try:
            writer.write(data)
            if read:
                await reader.readexactly(read)
            else:
                await asyncio.sleep(rng.choice((0, 0, 0.005, 0.03)))
        finally:
            reset(writer)

    while time.monotonic() < end:
        tally.counts[f"{place.server} sent"] += 10
        await _bounded(place, tally, "vanished", visit())
        await asyncio.sleep(rng.uniform(0.05, 0.25))


if __name__ == "__main__":
    run([(trickler, 3), (hostile, 1), (flooder, 1), (vanisher, 1)])
