"""
A connection in memory: two protocols, with transports that are connected to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ISSLTransport,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded
from twisted_h11._boundary.octets import as_bytes

__all__ = ["CLIENT", "SERVER", "Link"]

CLIENT = IPv4Address("TCP", "127.0.0.1", 50000)


SERVER = IPv4Address("TCP", "127.0.0.1", 80)


# How many bytes one side may write before its producer is paused.
BUFFER_LENGTH = 64 * 1024


@implementer(ITransport, IConsumer, IPushProducer)
class End:
    """
    One end of a link: the transport of one protocol.  It behaves like a socket's: a
    push producer is paused when the buffer is full, a pull producer is called when the
    buffer is empty, and closing does not wait for a producer.
    """

    # Called when the protocol resumes reading.
    resumed: Callable[[], None] | None = None

    # Whether closing waits for a producer, as with TLS.
    waitsForProducer = False

    # The server closes its sending side first.
    endsAsTCP = True

    def __init__(self, link: Link, host: IPv4Address, peer: IPv4Address) -> None:
        self.link = link
        self.protocol: Any = None
        self.outgoing: list[bytes] = []
        self.length = 0
        self.paused = False
        self.disconnecting = False
        self.aborted = False
        self.writeClosing = False
        self.writeClosed = False
        self.producer: Any = None
        self.streaming = False
        self.producerPaused = False
        self._host = host
        self._peer = peer

    def write(self, data: bytes) -> None:
        data = as_bytes(data)
        if self.disconnecting or self.writeClosing or self.link.closed or not data:
            return
        self.outgoing.append(data)
        self.length += len(data)
        if (
            self.length > BUFFER_LENGTH
            and self.streaming
            and self.producer is not None
            and not self.producerPaused
        ):
            self.producerPaused = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join([as_bytes(piece) for piece in data]))

    def take(self) -> bytes:
        """
        Remove and return the written data.
        """
        data = b"".join(self.outgoing)
        self.outgoing.clear()
        self.length = 0
        return data

    def refill(self) -> bool:
        """
        Call the producer when the buffer is empty.

        @return: whether it wrote or changed anything.
        """
        producer = self.producer
        if producer is None or self.outgoing:
            return False
        if not self.streaming:
            producer.resumeProducing()
            return bool(self.outgoing) or self.producer is not producer
        if self.producerPaused:
            self.producerPaused = False
            producer.resumeProducing()
            return True
        return False

    def loseConnection(self) -> None:
        self.disconnecting = True

    def loseWriteConnection(self) -> None:
        self.writeClosing = True

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.aborted = True
        self.take()

    def connectionLost(self, reason: Failure) -> None:
        """
        Tell the protocol of the end.  The server replaces this method, as that of a
        reactor's transport, to know the end of a connection that it has given away.
        """
        self.protocol.connectionLost(reason)

    def mayEnd(self) -> bool:
        """
        Whether this end is closing and all its data was delivered.
        """
        waits = self.waitsForProducer and self.producer is not None
        return self.disconnecting and not self.outgoing and not waits

    def getHost(self) -> IPv4Address:
        return self._host

    def getPeer(self) -> IPv4Address:
        return self._peer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        if self.link.closed:
            producer.stopProducing()
            return
        self.producer = producer
        self.streaming = streaming
        self.producerPaused = False

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        if self.resumed is not None:
            self.resumed()

    def stopProducing(self) -> None:
        self.loseConnection()


@implementer(ISSLTransport)
class SecureEnd(End):
    """
    An end that claims to be encrypted.  Twisted expects a TCP transport then.
    """

    waitsForProducer = True
    endsAsTLS = True
    noDelay = False
    keepAlive = False

    def getPeerCertificate(self) -> None:
        return None

    def getTcpNoDelay(self) -> bool:
        return self.noDelay

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.noDelay = enabled

    def getTcpKeepAlive(self) -> bool:
        return self.keepAlive

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keepAlive = enabled

    def loseWriteConnection(self) -> None:
        raise NotImplementedError("TLS has no half-close")


class Link:
    """
    A connection between two protocols.
    """

    def __init__(self, client: Any, server: Any, secure: bool) -> None:
        self.closed = False
        make = SecureEnd if secure else End
        self.client = make(self, CLIENT, SERVER)
        self.server = make(self, SERVER, CLIENT)
        self.client.protocol = client
        self.server.protocol = server
        server.makeConnection(self.server)
        client.makeConnection(self.client)

    def pump(self) -> bool:
        """
        Deliver data, end of file and producers' calls in both directions.

        @return: whether anything was done.
        """
        moved = False
        for end, other in self._ways():
            if self.closed:
                return True
            if end.outgoing and other.disconnecting:
                end.take()
            elif end.outgoing and not other.paused:
                other.protocol.dataReceived(end.take())
                moved = True
            # An end that does not read any more makes no room.
            if not (self.closed or other.disconnecting) and end.refill():
                moved = True
            if end.writeClosing and not (end.writeClosed or end.outgoing):
                end.writeClosed = moved = True
                self._tellHalfClose(end, other)
        for end, _ in self._ways():
            if end.aborted:
                self._end(end, ConnectionAborted(), ConnectionLost())
                return True
        over = self.client.writeClosed and self.server.writeClosed
        for end, _ in self._ways():
            if over or end.mayEnd():
                self.close()
                return True
        return moved

    def _ways(self) -> tuple[tuple[End, End], tuple[End, End]]:
        return (self.client, self.server), (self.server, self.client)

    def _tellHalfClose(self, end: End, other: End) -> None:
        half: Any = IHalfCloseableProtocol(end.protocol, None)
        if half is not None:
            half.writeConnectionLost()
        half = IHalfCloseableProtocol(other.protocol, None)
        if half is not None:
            half.readConnectionLost()
        else:
            other.loseConnection()

    def close(self) -> None:
        """
        End the connection cleanly, at both ends.
        """
        self._end(self.client, ConnectionDone(), ConnectionDone())

    def _end(self, end: End, its: Exception, others: Exception) -> None:
        """
        End the connection for both protocols.
        """
        if self.closed:
            return
        self.closed = True
        other = self.server if end is self.client else self.client
        for side, error in ((end, its), (other, others)):
            producer, side.producer = side.producer, None
            if producer is not None:
                guarded("A producer", producer.stopProducing)
            guarded("connectionLost", side.connectionLost, Failure(error))
