"""
Good clients: those that pipeline, those that ask one after the other, those that
connect anew, and slow ones that keep to the bounds.  Each looks at all of every answer.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from tests.soak.clients import Place, Plan, Streams, Tally, connect, run
from tests.soak.content import FILES, content, file_content, receipt_for, token

__all__ = ["Asked", "ask", "check", "keeper", "read_answer"]

PATIENCE = 60
# Seconds: who takes less than two, as planned, keeps to the bounds of the servers.
LATE = 4
DEPTH = 24
BURSTS = 40

KINDS = {
    "small": 700,
    "files": 60,
    "wsgi": 20,
    "delete": 60,
    "patch": 20,
    "put": 40,
    "chunked": 40,
    "large": 8,
    "stream": 8,
    "slow": 8,
    "fail": 4,
}
"""
How often a kind of request is made.
"""


@dataclass
class Asked:
    """
    A request, and its answer as it must be.

    @ivar body: C{None} if any will do.
    """

    data: bytes
    method: str
    status: int
    body: bytes | None


def _head(method: str, target: str, *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
    return "\r\n".join(lines).encode("ascii")


def _upload(rng: random.Random, name: bytes, chunked: bool) -> Asked:
    body = name * rng.choice((1, 10, 100, 3000))
    where = rng.choice(("upload", "buffered", "wsgi"))
    target = f"/{where}/{name.decode()}"
    if not chunked:
        data = _head("PUT", target, f"Content-Length: {len(body)}") + body
    else:
        half = len(body) // 2
        pieces = [body[:half], body[half:]]
        data = _head("PUT", target, "Transfer-Encoding: chunked")
        data += b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces)
        data += b"0\r\n\r\n"
    return Asked(data, "PUT", 200, receipt_for(name, body))


def ask(rng: random.Random, kind: str | None = None) -> Asked:
    """
    Make a request.

    @param kind: one of L{KINDS}; by default any.
    """
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    name = token(rng)
    if kind in ("put", "chunked"):
        return _upload(rng, name, kind == "chunked")
    if kind in ("delete", "patch"):
        method = kind.upper()
        data = _head(method, f"/small/{name.decode()}")
        return Asked(data, method, 200, content("small", name))
    if kind == "files":
        file = rng.choices(list(FILES), (20, 8, 1))[0]
        return Asked(_head("GET", f"/files/{file}"), "GET", 200, file_content(file))
    data = _head("GET", f"/{kind}/{name.decode()}")
    if kind == "fail":
        return Asked(data, "GET", 500, None)
    return Asked(data, "GET", 200, content(kind, name))


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """
    Read an answer.

    @return: its status, its content, and whether the connection stays.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    lines = head.split(b"\r\n")
    status = int(lines[0].split()[1])
    stays = b"connection: close" not in lines
    length = None
    for line in lines[1:]:
        if line.startswith(b"content-length:"):
            length = int(line[15:])
    if length is not None:
        return status, await reader.readexactly(length), stays
    if b"transfer-encoding: chunked" not in lines:
        return status, await reader.read(-1), False
    pieces: list[bytes] = []
    while True:
        size = int(await reader.readuntil(b"\r\n"), 16)
        piece = await reader.readexactly(size + 2)
        if not size:
            return status, b"".join(pieces), stays
        pieces.append(piece[:-2])


def check(asked: Asked, status: int, body: bytes, place: Place, tally: Tally) -> None:
    """
    Is the answer right?
    """
    tally.counts[f"{place.server} good"] += 1
    tally.counts[f"{place.server} good {asked.method}"] += 1
    if status == asked.status and asked.body in (None, body):
        return
    line = asked.data.split(b"\r\n")[0]
    words = f"{place.kind} {line!r}: {status}, {len(body)} bytes, {body[:60]!r}"
    tally.fault(place.server, "wrong", words)


async def _visit(
    place: Place, plan: Plan, tally: Tally, visit: object, end: float
) -> None:
    """
    Connect again and again, and count a visit that fails.
    """
    while time.monotonic() < end:
        try:
            streams = await asyncio.wait_for(connect(place, plan), PATIENCE)
            try:
                await visit(streams)  # type: ignore[operator]
            finally:
                streams[1].close()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            tally.fault(place.server, "failed", f"{place.kind}: {error!r}")
            await asyncio.sleep(0.1)
        except (asyncio.TimeoutError, TimeoutError):
            tally.fault(place.server, "failed", f"{place.kind}: no answer in time")


async def pipeliner(
    place: Place, plan: Plan, tally: Tally, rng: random.Random, end: float
) -> None:
    """
    Sends bursts of requests, and reads their answers in order.
    """
    pause = DEPTH * len(plan.places) / plan.rate
    due = time.monotonic()

    async def burst(reader: asyncio.StreamReader, asked: list[Asked]) -> None:
        for one in asked:
            answer = await read_answer(reader)
            check(one, answer[0], answer[1], place, tally)

    async def visit(streams: Streams) -> None:
        nonlocal due
        reader, writer = streams
        for _ in range(BURSTS):
            # What was late is made up for.
            due += pause
            asked = [ask(rng) for _ in range(DEPTH)]
            writer.write(b"".join(one.data for one in asked))
            await asyncio.wait_for(burst(reader, asked), PATIENCE)
            if (now := time.monotonic()) >= end:
                return
            await asyncio.sleep(max(0, due - now))

    await _visit(place, plan, tally, visit, end)


async def keeper(
    place: Place, plan: Plan, tally: Tally, rng: random.Random, end: float
) -> None:
    """
    Asks one after the other on one connection; its latency is told.
    """

    async def visit(streams: Streams) -> None:
        reader, writer = streams
        while time.monotonic() < end:
            asked = ask(rng, "small")
            begin = time.monotonic()
            writer.write(asked.data)
            answer = await asyncio.wait_for(read_answer(reader), PATIENCE)
            tally.latencies.append(time.monotonic() - begin)
            check(asked, answer[0], answer[1], place, tally)
            await asyncio.sleep(rng.uniform(0.05, 0.15))

    await _visit(place, plan, tally, visit, end)


async def newcomer(
    place: Place, plan: Plan, tally: Tally, rng: random.Random, end: float
) -> None:
    """
    Connects for each request.
    """

    async def visit(streams: Streams) -> None:
        reader, writer = streams
        asked = ask(rng)
        writer.write(asked.data)
        answer = await asyncio.wait_for(read_answer(reader), PATIENCE)
        check(asked, answer[0], answer[1], place, tally)
        await asyncio.sleep(rng.uniform(0.1, 0.4))

    await _visit(place, plan, tally, visit, end)


async def dawdler(
    place: Place, plan: Plan, tally: Tally, rng: random.Random, end: float
) -> None:
    """
    Sends in small pieces, or reads slowly, but within the bounds: must be answered.
    Where the machine has kept it from that, it is counted as late, and what it gets
    says nothing.
    """

    async def visit(streams: Streams) -> None:
        reader, writer = streams
        kind = rng.choice(("small", "put", "chunked", "large", "stream"))
        asked = ask(rng, kind)
        step = max(1, len(asked.data) // 20)
        begin = time.monotonic()
        try:
            for start in range(0, len(asked.data), step):
                writer.write(asked.data[start : start + step])
                await asyncio.sleep(0.05)
            if kind in ("large", "stream"):
                # The receive buffers are full meanwhile.
                await asyncio.sleep(1)
            answer = await asyncio.wait_for(read_answer(reader), PATIENCE)
        except (OSError, EOFError):
            if time.monotonic() - begin < LATE:
                raise
            answer = 408, b"", False
        if answer[0] == 408 and time.monotonic() - begin >= LATE:
            tally.counts[f"{place.server} late"] += 1
        else:
            check(asked, answer[0], answer[1], place, tally)

    await _visit(place, plan, tally, visit, end)


if __name__ == "__main__":
    run([(pipeliner, 1), (newcomer, 1), (dawdler, 2)])
