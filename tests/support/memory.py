"""
A transport in memory, for either end: what is written is kept, and the test says
when the peer reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IProtocol,
    IPushProducer,
    ISSLTransport,
    ITransport,
)
from zope.interface import implementer

__all__ = [
    "CLIENT",
    "SERVER",
    "MemoryTransport",
    "SecureMemoryTransport",
    "TellingTransport",
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
    @ivar writes: how often C{write} was called.
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
            self._resume()
        elif (
            len(self.backlog) > self.bufferSize
            and self.producer is not None
            and self.streaming
            and not self.producerPaused
        ):
            self.producerPaused = True
            self.producer.pauseProducing()

    def _resume(self) -> None:
        """
        The backlog is empty.
        """
        if self.producer is not None and self.producerPaused:
            self.producerPaused = False
            self.producer.resumeProducing()

    @property
    def isFull(self) -> bool:
        """
        Whether there is more to send than a producer may add to, or it was told to
        wait and not yet to go on.
        """
        waits = self.producer is not None and self.producerPaused
        return self.stalled and (waits or len(self.backlog) > self.bufferSize)

    def stall(self) -> None:
        """
        The peer stops reading.
        """
        self.stalled = True

    def sip(self, length: int) -> None:
        """
        The peer reads so many bytes, and then no more.
        """
        self.stalled = True
        self.output += self.backlog[:length]
        del self.backlog[:length]
        if not self.backlog:
            self._resume()

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
        Our address.
        """
        return self._host

    def getPeer(self) -> Any:
        """
        The peer's address.
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


class TellingTransport(MemoryTransport):
    """
    One that is told of its end, and tells its protocol, as those of sockets are.
    """

    def connectionLost(self, reason: Any) -> None:
        """
        See L{twisted.internet.interfaces.IFileDescriptor}.
        """
        protocol, self.protocol = self.protocol, None
        assert protocol is not None
        protocol.connectionLost(reason)
