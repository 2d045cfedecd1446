"""
A peer in memory: drives a server's channel byte by byte, with a clock.

L{Wire} stands for one client connection.  It does to the channel what a
reactor would do, and only that: bytes come in while reading is not paused,
writes go out while the peer reads, the connection's end is told from outside
and never from within a call of the channel.  Time passes when the test says
so.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.support.memory import MemoryTransport
from tests.support.responses import WireResponse, read_responses

__all__ = ["Wire", "splittings"]


class Wire:
    """
    One connection from a client to a server's channel, in memory.

    @ivar methods: the methods of the requests that were sent, in order, for
        reading the responses.
    """

    def __init__(
        self,
        factory: Any,
        clock: Clock,
        transport: MemoryTransport | None = None,
    ) -> None:
        self.clock = clock
        self.transport = MemoryTransport() if transport is None else transport
        self.channel: Any = factory.buildProtocol(self.transport.getPeer())
        self.methods: list[bytes] = []
        self.unread: deque[bytes] = deque()
        self.lostWith: Failure | None = None
        self.wantsEnd = False
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)
        self.pump()

    # -- what the client does ---------------------------------------------

    def send(self, *pieces: bytes) -> Wire:
        """
        Send each piece as one segment.
        """
        for piece in pieces:
            self.unread.append(piece)
            self.pump()
        return self

    def halfClose(self) -> Wire:
        """
        Close the client's sending side.
        """
        self.pump()
        self.wantsEnd = True
        self.pump()
        return self

    def vanish(self, reason: Exception | None = None) -> Wire:
        """
        The client is gone, as a reset tells.
        """
        self.unread.clear()
        self._lose(ConnectionLost() if reason is None else reason)
        self.pump()
        return self

    def stall(self) -> Wire:
        """
        The client stops reading.
        """
        self.transport.stall()
        return self

    def drain(self) -> Wire:
        """
        The client reads again.
        """
        self.transport.drain()
        self.pump()
        return self

    def advance(self, seconds: float, step: float = 1.0) -> Wire:
        """
        Let time pass, not in one leap.
        """
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            self.pump()
        return self

    # -- what the reactor does --------------------------------------------

    def pump(self) -> None:
        """
        Do all that a reactor would do without time passing.
        """
        transport = self.transport
        while True:
            self.clock.advance(0)
            if self.closed:
                return
            if transport.aborted:
                self._lose(ConnectionAborted())
            elif (
                transport.disconnecting
                and not transport.backlog
                and transport.producer is None
            ):
                self._lose(ConnectionDone())
            elif transport.paused or transport.disconnecting:
                return
            elif self.unread:
                protocol = transport.protocol
                assert protocol is not None
                protocol.dataReceived(self.unread.popleft())
            elif self.wantsEnd:
                self.wantsEnd = False
                half: Any = IHalfCloseableProtocol(transport.protocol, None)
                if half is None:
                    self._lose(ConnectionDone())
                else:
                    half.readConnectionLost()
            else:
                return

    def _lose(self, reason: Exception) -> None:
        """
        End the connection, as a reactor tells a protocol.
        """
        transport = self.transport
        if transport.ended:
            return
        transport.ended = True
        transport.disconnecting = True
        self.lostWith = Failure(reason)
        producer, transport.producer = transport.producer, None
        if producer is not None:
            producer.stopProducing()
        tell = getattr(transport, "connectionLost", None)
        if tell is not None:
            tell(self.lostWith)
            return
        protocol, transport.protocol = transport.protocol, None
        assert protocol is not None
        protocol.connectionLost(self.lostWith)

    # -- what came back ---------------------------------------------------

    @property
    def output(self) -> bytes:
        """
        All that the server sent.
        """
        return bytes(self.transport.output)

    @property
    def closed(self) -> bool:
        """
        Whether the connection is gone.
        """
        return self.transport.ended

    @property
    def aborted(self) -> bool:
        """
        Whether the server tore the connection down.
        """
        return self.transport.aborted

    @property
    def responses(self) -> list[WireResponse]:
        """
        All that the server sent, as responses; anything else is an error.
        """
        return read_responses(self.output, self.methods, self.closed)

    @property
    def statuses(self) -> list[int]:
        """
        The statuses of all final responses.
        """
        return [response.status for response in self.responses]

    def only(self) -> WireResponse:
        """
        The one response that there is.
        """
        responses = self.responses
        assert len(responses) == 1, f"{len(responses)} responses: {self.output!r}"
        return responses[0]

    def settle(self, seconds: float) -> Wire:
        """
        Give a lingering close its time.
        """
        return self.advance(seconds)


def _randomly(data: bytes, seed: int) -> Iterator[bytes]:
    """
    Cut C{data} at random places, most of them near one another.
    """
    source = random.Random(seed)
    while data:
        size = source.choice((1, 1, 2, 3, 5, 8, 13, 40, 200, 3000))
        yield data[:size]
        data = data[size:]


def splittings(data: bytes, seed: int) -> list[tuple[str, Sequence[bytes]]]:
    """
    The three ways in which every wire case is sent.

    @return: a name that a failure prints, and the segments.
    """
    return [
        ("whole", [data]),
        ("byte by byte", [data[i : i + 1] for i in range(len(data))]),
        (f"random, seed {seed}", list(_randomly(data, seed))),
    ]
