"""
Connections on which much comes, and goes, after one request: WebSocket messages that
come back, and events for many clients.
"""

from __future__ import annotations

import selectors
import time
from contextlib import ExitStack, closing
from statistics import quantiles

from tests.benchmarks.apps import payload
from tests.benchmarks.cases import Case
from tests.benchmarks.heads import head
from tests.benchmarks.servers import Server
from tests.benchmarks.settings import Settings
from tests.benchmarks.wire import Connection, Unexpected

__all__ = ["echo", "listen"]

# As many connections have as many messages under way.
_SOCKETS, _UNDER_WAY = 16, 4
_LENGTH = 32
# Masked by zeros, as a client must mask; and as it comes back.
_FRAME = bytes([0x82, 0x80 | _LENGTH]) + bytes(4 + _LENGTH)
_ECHO = bytes([0x82, _LENGTH]) + bytes(_LENGTH)


def _upgrade(server: Server) -> Connection:
    """
    A WebSocket.
    """
    connection = server.connect()
    fields = [
        (b"Host", server.host),
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    connection.send(head(b"GET", b"/websocket", fields))
    connection.head(101)
    return connection


def echo(server: Server, case: Case, settings: Settings) -> dict[str, float]:
    """
    Keep some messages under way on each connection.

    @return: messages per second; CPU time of the server for each.
    @raise Unexpected: when something else comes back.
    """
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        came: dict[Connection, int] = {}
        for _ in range(_SOCKETS):
            connection = stack.enter_context(closing(_upgrade(server)))
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(_FRAME * _UNDER_WAY)
            came[connection] = 0
        used, began = server.seconds(), time.monotonic()
        while (passed := time.monotonic() - began) < settings.seconds:
            for key, _ in selector.select(1):
                connection = key.data
                data = connection.read()
                before = came[connection]
                came[connection] = after = before + len(data)
                start = before % len(_ECHO)
                if not (_ECHO * (2 + len(data) // len(_ECHO)))[start:].startswith(data):
                    raise Unexpected(f"another message came back: {data[:40]!r}")
                whole = after // len(_ECHO) - before // len(_ECHO)
                if whole:
                    connection.send(_FRAME * whole)
        used = server.seconds() - used
    count = sum(came.values()) // len(_ECHO)
    if not count:
        raise Unexpected("nothing came back")
    return {
        "value": count / passed,
        "cpu_per_request": used / count,
        "busy": used / passed,
    }


def listen(server: Server, case: Case, settings: Settings) -> dict[str, float]:
    """
    Let many clients listen.

    @return: CPU time of the server for each event and client; how long an event takes
        to a client.
    @raise Unexpected: when a client hears fewer than half of the events.
    """
    request = case.message(server.host).data
    late: list[int] = []
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(settings.listeners):
            connection = stack.enter_context(closing(server.connect()))
            connection.send(request)
            connection.head()
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        settled = time.monotonic() + 3 * payload.TICK
        used: float | None = None
        while (now := time.monotonic()) < settled + settings.seconds:
            if used is None and now >= settled:
                used = server.seconds()
            for key, _ in selector.select(payload.TICK):
                data = key.data.read()
                if used is None:
                    continue
                arrived = time.monotonic_ns()
                at = data.rfind(b"data: ")
                if at >= 0:
                    late.append(arrived - int(data[at + 6 : at + 26]))
        assert used is not None
        used = server.seconds() - used
    expected = settings.listeners * settings.seconds / payload.TICK
    if len(late) < expected / 2:
        raise Unexpected(f"{len(late)} events came instead of {expected:.0f}")
    cuts = quantiles(late, n=100)
    return {
        "value": used / len(late),
        "p50_microseconds": cuts[49] / 1000,
        "p99_microseconds": cuts[98] / 1000,
    }
