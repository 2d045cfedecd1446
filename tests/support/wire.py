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
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ISSLTransport,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support.responses import WireResponse, read_responses

__all__ = [
    "MemoryTransport",
    "SecureMemoryTransport",
    "Wire",
    "splittings",
]

CLIENT = IPv4Address("TCP", "192.0.2.7", 50007)
SERVER = IPv4Address("TCP", "192.0.2.80", 80)


@implementer(ITransport, IConsumer, IPushProducer)
class MemoryTransport:
    """
    A transport without a socket, as strict as the strictest real one.

    Like TLS it has no half-close, and its C{loseConnection} waits for a
    producer that is still registered.

    @ivar output: what has left for the peer.
    @ivar backlog: written while the peer does not read.
    @ivar late: written after C{loseConnection}; nothing should be.
    @ivar writes: how often the channel called C{write}.
    """

    bufferSize = 2**16

    def __init__(self, host: IAddress = SERVER, peer: IAddress = CLIENT) -> None:
        self.output = bytearray()
        self.backlog = bytearray()
        self.late = bytearray()
        self.writes = 0
        self.stalled = False
        self.paused = False
        self.pauses = 0
        self.producer: Any = None
        self.streaming = False
        self.producerPaused = False
        self.disconnecting = False
        self.aborted = False
        self.ended = False
        self.protocol: IProtocol | None = None
        self._host = host
        self._peer = peer

    def write(self, data: bytes) -> None:
        """
        Send, or keep while the peer does not read.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"only bytes can be written, not {data!r}")
        if self.disconnecting:
            self.late += data
        if self.ended or self.aborted:
            return
        self.writes += 1
        self.backlog += data
        self._flush()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Send several pieces in one.
        """
        self.write(b"".join(data))

    def _flush(self) -> None:
        """
        Hand the backlog to the peer, or tell the producer to wait.
        """
        if not self.stalled:
            self.output += self.backlog
            del self.backlog[:]
            if self.producer is not None and self.producerPaused:
                self.producerPaused = False
                self.producer.resumeProducing()
        elif (
            len(self.backlog) > self.bufferSize
            and self.producer is not None
            and self.streaming
            and not self.producerPaused
        ):
            self.producerPaused = True
            self.producer.pauseProducing()

    def stall(self) -> None:
        """
        The peer stops reading.
        """
        self.stalled = True

    def drain(self) -> None:
        """
        The peer reads again.
        """
        self.stalled = False
        self._flush()

    def loseConnection(self) -> None:
        """
        Close once everything is written and no producer is registered.
        """
        self.disconnecting = True

    def abortConnection(self) -> None:
        """
        Close at once.
        """
        self.disconnecting = True
        self.aborted = True
        del self.backlog[:]

    def getHost(self) -> Any:
        """
        The server's address.
        """
        return self._host

    def getPeer(self) -> Any:
        """
        The client's address.
        """
        return self._peer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Take one producer; a second one is an error.
        """
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        self.producer = producer
        self.streaming = streaming
        self.producerPaused = False

    def unregisterProducer(self) -> None:
        """
        Forget the producer.
        """
        self.producer = None

    def pauseProducing(self) -> None:
        """
        Stop reading from the peer.
        """
        if not self.paused:
            self.pauses += 1
        self.paused = True

    def resumeProducing(self) -> None:
        """
        Read from the peer again.
        """
        self.paused = False

    def stopProducing(self) -> None:
        """
        Close.
        """
        self.loseConnection()


@implementer(ISSLTransport)
class SecureMemoryTransport(MemoryTransport):
    """
    A memory transport that claims to be encrypted.
    """

    def getPeerCertificate(self) -> object:
        """
        The peer showed none.
        """
        return None

    def loseWriteConnection(self) -> None:
        """
        TLS has no half-close.
        """
        raise AssertionError("a TLS transport was half-closed")

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Nothing to set.
        """

    def getTcpNoDelay(self) -> bool:
        """
        Nothing is set.
        """
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Nothing to set.
        """

    def getTcpKeepAlive(self) -> bool:
        """
        Nothing is set.
        """
        return False


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
        protocol, transport.protocol = transport.protocol, None
        producer, transport.producer = transport.producer, None
        if producer is not None:
            producer.stopProducing()
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
