"""
Connections on which much comes, and goes, after one request: WebSocket messages that
come back, and events for many clients.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from statistics import quantiles

from tests.benchmarks.apps import payload
from tests.benchmarks.cases import Case
from tests.benchmarks.servers import Server
from tests.benchmarks.wire import Connection, Unexpected, read_head

__all__ = ["echo", "listen"]

# As many connections have as many messages under way.
_SOCKETS, _UNDER_WAY = 16, 4
_LENGTH = 32
# Masked by zeros, as a client must mask; and as it comes back.
_FRAME = bytes([0x82, 0x80 | _LENGTH]) + bytes(4 + _LENGTH)
_ECHO = bytes([0x82, _LENGTH]) + bytes(_LENGTH)


@contextmanager
def _connected(
    server: Server, case: Case, count: int, status: int
) -> Iterator[selectors.BaseSelector]:
    """
    Connections that have asked, and were answered so.
    """
    request = case.asked(server.host)
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(count):
            connection = stack.enter_context(closing(server.connect()))
            connection.send(request)
            read_head(connection.file, status)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        yield selector


def echo(server: Server, case: Case, turn: int = 0) -> dict[str, float]:
    """
    Keep some messages under way on each connection.

    @return: messages per second; CPU time of the server for each.
    @raise Unexpected: when something else comes back.
    """
    with _connected(server, case, _SOCKETS, 101) as selector:
        came: dict[Connection, int] = {}
        for key in selector.get_map().values():
            key.data.send(_FRAME * _UNDER_WAY)
            came[key.data] = 0
        used, began = server.seconds(), time.monotonic()
        while (passed := time.monotonic() - began) < server.settings.seconds:
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


def listen(server: Server, case: Case, turn: int = 0) -> dict[str, float]:
    """
    Let many clients listen.

    @return: CPU time of the server for each event and client; how long an event takes
        to a client.
    @raise Unexpected: when a client hears fewer than half of the events.
    """
    settings = server.settings
    late: list[int] = []
    with _connected(server, case, settings.listeners, 200) as selector:

        def hear(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for key, _ in selector.select(payload.TICK):
                    data = key.data.read()
                    at = data.rfind(b"data: ")
                    if at >= 0:
                        happened = int(data[at + 6 : at + 26])
                        late.append(time.monotonic_ns() - happened)

        # Until all of them are served alike.
        hear(3 * payload.TICK)
        late.clear()
        used = server.seconds()
        hear(settings.seconds)
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
