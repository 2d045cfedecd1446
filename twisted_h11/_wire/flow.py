"""
The bytes side of a connection: one transport, its back-pressure and its end.

L{FlowControl} knows nothing of HTTP.  It owns the transport for the protocols
of this package and keeps three promises to them.

B{Writes are joined, never delayed,} as L{Writing} says.  Others may write to the
transport too (a resource that upgrades to WebSocket writes its own 101), so the
transport is only handed out through the C{transport} property: reading it writes
what is pending first, and from then on nothing is held beyond a single call.

B{Reading has one switch.}  Everybody who wants the network to be quiet sets a
bit of his own (L{FlowControl._hold}); the transport is paused with the first
bit and resumed when the last one goes.  So nobody resumes what another paused.

B{Closing in stages.}  RFC 9112 section 9.6: a server that closes at once may
destroy its last response, because bytes that arrive after the close are
answered by a TCP reset.  L{FlowControl._closeInStages} closes the sending side
first, reads and drops for a bounded time and a bounded number of bytes, and
then closes.  TLS has no half-close, and a wrapper may forward
C{loseWriteConnection} to the socket below it, which would cut TLS; so the
half-close is for exact sockets only (L{is_bare_socket}).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IConsumer,
    IProducer,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._wire.output import Writing, limit_unsent
from twisted_h11._wire.output import is_bare_socket as is_bare_socket
from twisted_h11._wire.progress import bytes_taken
from twisted_h11._wire.pull import PullAdapter
from twisted_h11.limits import Limits

DEFAULT_LIMITS = Limits()

# Why the network is quiet: one bit for each party that may ask for it.
READ_AHEAD = 1  # enough bytes wait behind the current message
CONSUMER = 2  # whoever takes the body can not take more now
APPLICATION = 4  # the application asked for it
EVENTS = 8  # it takes no more events now
PEER = 16  # the peer has to take its responses first


def drop(wire: Any) -> None:
    """
    End the connection of a transport, at once where it knows how to.
    """
    abort = getattr(wire, "abortConnection", None)
    if abort is not None:
        abort()
    else:
        wire.loseConnection()


@implementer(IPushProducer, IConsumer)
class FlowControl(Writing):
    """
    What the protocols of this package have in common below HTTP.

    It is the push producer of its transport (so it learns when the peer does
    not read) and the consumer of at most one producer above it.

    @cvar limits: the bounds that apply, a L{Limits}.
    """

    limits: Limits = DEFAULT_LIMITS

    # What starts the tasks of pull producers, where that is not the reactor's.
    _cooperate: Any = None
    _taken: Any = None
    _holds = 0
    _pausable = False
    _eof = False
    _outputEnded = False
    _dropping: int | None = None
    _takenBefore: int | None = None

    # -- the transport ----------------------------------------------------

    @property
    def transport(self) -> Any:
        """
        The transport; C{None} before the connection and after it was given
        away.  Reading it writes out everything that is pending.
        """
        if self._pending:
            self._flush()
        if not self._shared:
            self._shared = True
            self._share()
        self._batching = False
        return self._wire

    @transport.setter
    def transport(self, transport: Any) -> None:
        if transport is None and self._wire is not None:
            # Somebody (autobahn's WebSocketResource does it this way) takes
            # the transport over: from now on we are silent.
            self._taken = self._wire
            self._letGo()
        self._wire = transport

    def _share(self) -> None:
        """
        Hook: somebody has the transport for the first time.
        """

    def connectionMade(self) -> None:
        """
        Become the transport's producer, and ask for small writes at once.
        """
        wire = self._wire
        if ITCPTransport.providedBy(wire):
            try:
                wire.setTcpNoDelay(True)
            except OSError:
                # Twisted 24.7 says that a UNIX socket is TCP.
                pass
        self._pausable = IPushProducer.providedBy(wire)
        if IConsumer.providedBy(wire):
            self._registered = True
            wire.registerProducer(self, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Stop everything that belongs to the connection.
        """
        self._cancelTimer()
        self._wire = None
        self._registered = False
        self._pending = []
        self._dropRegions(reason.value)
        self.stopProducing()

    def _letGo(self) -> None:
        """
        The connection goes on without us: no timer, no producer, no hold.
        """
        self._flush()
        self._cancelTimer()
        self._unregister()
        self._wire = None

    # -- reading ----------------------------------------------------------

    def _hold(self, why: int) -> None:
        """
        Keep the network quiet until C{why} is released.
        """
        if not self._holds and self._pausable and self._wire is not None:
            self._wire.pauseProducing()
        self._holds |= why

    def _release(self, why: int) -> None:
        """
        Let the network speak again, as far as C{why} is concerned.
        """
        if self._holds & why:
            self._holds &= ~why
            if (
                not self._holds
                and self._pausable
                and self._wire is not None
                and not self._eof
                and self._closing is None
            ):
                self._wire.resumeProducing()

    # -- the consumer that producers above see ------------------------------

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer above us; it is paused while the peer is slow.

        @param producer: an L{IPushProducer} or L{IPullProducer} provider.
        @param streaming: C{True} for a push producer.
        @raise RuntimeError: if a producer is registered already.
        """
        if self._producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer "
                f"{self._producer} was never unregistered."
            )
        if self._wire is None:
            guarded("A producer", producer.stopProducing)
            return
        limit_unsent(self._wire)
        if streaming:
            self._producer = producer
        else:
            pull: Any = producer
            self._producer = PullAdapter(pull, self._callProducer, self._cooperate)
        if self._writeFull or self._sending is not None:
            self._pauseProducer()

    def unregisterProducer(self) -> None:
        """
        Forget the producer above us; nothing happens if there is none.
        """
        producer, self._producer = self._producer, None
        if isinstance(producer, PullAdapter):
            producer.end()

    def _pauseProducer(self) -> None:
        if self._producer is not None:
            self._callProducer(self._producer.pauseProducing)

    def _resumeProducer(self) -> None:
        if self._producer is not None:
            self._callProducer(self._producer.resumeProducing)

    def _callProducer(self, call: Callable[[], object]) -> None:
        """
        Call a method of the producer above us.  If it raises, what it produces
        will never be complete.
        """
        producer, turn = self._producer, self._turn()
        if not guarded("A producer", call):
            if self._producer is producer:
                self.unregisterProducer()
            self._producerFailed(turn)

    def _turn(self) -> object:
        """
        Hook: what the producer above us produces now.
        """
        return None

    def _producerFailed(self, turn: object) -> None:
        """
        Hook: the producer above us has failed.

        @param turn: what L{_turn} has returned before.
        """
        self._abort()

    def write(self, data: bytes) -> None:
        """
        Write bytes as they are.

        @raise TypeError: for anything else.
        """
        self._send(as_bytes(data))

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Write several byte strings as they are, in one write.
        """
        self._send(b"".join([as_bytes(part) for part in parts]))

    # -- the push producer that the transport sees ---------------------------

    def pauseProducing(self) -> None:
        """
        The peer does not read as fast as we write: pause whoever produces.
        """
        if self._writeFull:
            return
        self._writeFull = True
        if self._sending is None:
            self._pauseProducer()
        if self._region is not None:
            self._region.pause()

    def resumeProducing(self) -> None:
        """
        The transport has room again.
        """
        self._writeFull = False
        if self._sending is not None:
            if self._region is not None and not self._region.standsIn:
                self._region.resume()
            return
        if self._closing is not None:
            self._close(self._closing)
            return
        self._resumeProducer()
        self._writable()

    def stopProducing(self) -> None:
        """
        The transport will take nothing more.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            guarded("A producer", producer.stopProducing)

    def _allSent(self) -> None:
        if self._closing is not None:
            self._close(self._closing)
        elif not self._writeFull:
            self.resumeProducing()

    # -- the end ------------------------------------------------------------

    def loseConnection(self) -> None:
        """
        Close the connection after what was written has gone out.
        """
        self._close("_loseNow")

    def abortConnection(self) -> None:
        """
        Drop the connection at once, with everything that was not yet sent.
        """
        self._abort()

    def _closeInStages(self) -> None:
        """
        Close so that what was written is not destroyed by bytes that the peer
        still sends (RFC 9112 section 9.6).
        """
        self._close("_linger")

    def _close(self, how: str) -> None:
        """
        Close, as soon as the transport has room for nothing more: until then
        the least rate applies to the peer, and not the time-outs of closing,
        which would cut what it takes slowly.
        """
        if self._wire is None or (self._closing is not None and not self._closesLater):
            return
        self._closing = how
        if self._sending is None:
            self._flush()
        if self._sending is not None or self._writeFull:
            self._closesLater = True
            self._dropping = self.limits.lingerLength
            if self._wait not in ("_abort", "_clientLeft"):
                self._takenBefore = bytes_taken(self._wire)
                self._arm(self.limits.rateWindow, "_checkClosing")
            return
        self._closesLater = False
        self._unregister()
        getattr(self, how)()

    def _loseNow(self) -> None:
        if self._outputEnded:
            # Nothing is left to send: the transport does not wait for anything.
            self._disarm()
        else:
            self._takenBefore = bytes_taken(self._wire)
            self._arm(self.limits.abortTimeout, "_giveUp")
        self._dropping = self.limits.lingerLength
        self._wire.loseConnection()

    def _checkClosing(self) -> None:
        """
        The transport still has much to send: is the peer taking it?
        """
        if self._getsOn(self.limits.rateWindow):
            self._arm(self.limits.rateWindow, "_checkClosing")
        else:
            self._abort()

    def _giveUp(self) -> None:
        """
        It takes long to close: abort, unless the peer is still taking what the
        kernel has.
        """
        if self._getsOn(self.limits.abortTimeout):
            self._arm(self.limits.abortTimeout, "_giveUp")
        else:
            self._abort()

    def _getsOn(self, seconds: float) -> bool:
        """
        Whether the peer has taken enough since this was asked the last time.
        """
        before, self._takenBefore = self._takenBefore, bytes_taken(self._wire)
        taken = self._takenBefore
        rate = self.limits.minResponseRate
        if before is None or taken is None or rate is None:
            return False
        return taken - before >= max(rate * seconds, 1)

    def _linger(self) -> None:
        wire = self._wire
        if self._eof:
            self._loseNow()
            return
        if self._holds and self._pausable:
            wire.resumeProducing()
        self._holds = 0
        if isinstance(wire, TLSMemoryBIOProtocol):
            # TLS says that we are done (close_notify), then goes on reading
            # until the peer says so too: a lingering close of its own.
            self._loseNow()
            return
        self._dropping = self.limits.lingerLength
        if is_bare_socket(wire):
            wire.loseWriteConnection()
        self._arm(self.limits.lingerTimeout, "_loseNow")

    def _drop(self, length: int) -> None:
        """
        Count bytes that arrived after we stopped listening.
        """
        assert self._dropping is not None
        self._dropping -= length
        if self._dropping < 0:
            self._abort()

    def _abort(self) -> None:
        wire = self._wire
        if wire is None:
            return
        self._cancelTimer()
        self._closing = "_abort"
        self._closesLater = False
        self._dropping = self.limits.lingerLength
        self._pending.clear()
        self._dropRegions(ConnectionAborted())
        self._unregister()
        drop(wire)
