"""
The end of a connection, in stages.

RFC 9112 section 9.6: a server that closes at once may destroy its last response,
because bytes that arrive after the close are answered by a TCP reset.  So the
sending side is closed first, what still arrives is read and dropped for a bounded
time and a bounded number of bytes, and then the connection is closed.  TLS has no
half-close, and a wrapper may forward C{loseWriteConnection} to the socket below it,
which would cut TLS; so the half-close is for exact sockets only.

A client that has announced its last request (C{Connection: close}) sends nothing after
it.  Then there are no stages: the server closes a bare socket at the end of the turn
that wrote the last response (C{End.TURN}), if the kernel has taken all of it, and
the client has sent no more.

The first stage begins when the peer has taken what was written.  While the transport
is full the least rate applies instead of the time-outs of closing, which would cut off
a slow peer.
"""

from __future__ import annotations

from enum import Enum

from twisted.internet.interfaces import IPushProducer
from twisted.protocols.tls import TLSMemoryBIOProtocol

from twisted_h11._wire.outbox import Outbox
from twisted_h11._wire.progress import bytes_taken, is_on_the_way, makes_progress
from twisted_h11._wire.sockets import close_drained, is_bare_socket
from twisted_h11._wire.user import OwnWire, State

__all__ = ["Closing", "ClosingWait", "End"]

# Why reading is paused, beside the reasons in wire: the connection is about to close,
# and the peer has sent enough.
ENDING = 64


class End(Enum):
    """
    How a connection ends.
    """

    LOSE = "after what was written has gone out"
    LINGER = "in stages"
    TURN = "with the end of the turn, or in stages"
    ABORT = "at once"


class ClosingWait(Enum):
    """
    What a closing connection waits for.
    """

    TAKEN = "the peer takes what the transport has"
    LINGERED = "what the peer still sends"
    LOST = "the transport closes"


class Closing:
    """
    One connection that ends.

    @ivar how: how it ends.
    @ivar outputEnded: whether our own half-close has reached the socket.
    @ivar later: whether the end waits because the transport is full.
    """

    __slots__ = (
        "_left",
        "_takenBefore",
        "_waited",
        "_wire",
        "how",
        "later",
        "outputEnded",
    )

    def __init__(self, wire: OwnWire, how: End) -> None:
        self._wire = wire
        self._left = wire.user.limits.lingerLength
        self._takenBefore: int | None = None
        self.how = how
        self.later = self.outputEnded = False
        # Whether the end has waited for the peer to take a long response.
        self._waited = False

    @property
    def state(self) -> State:
        """
        The state of the wire while it closes.
        """
        if self.later:
            return State.FLUSHING
        return State.LINGERING if self.how is End.LINGER else State.CLOSING

    @property
    def hasBegun(self) -> bool:
        """
        Whether the first stage has begun, which resumes reading.
        """
        return not self.later and self.how is not End.TURN

    def begin(self, how: End) -> None:
        """
        Close the connection, as soon as the transport is not full.

        @param how: how to end; it replaces what was asked before.
        """
        wire = self._wire
        self.how = how
        wire.user.wireClosing()
        if how is End.TURN:
            if wire.outbox is not None and wire.hasRoom:
                self._waitForTurn(wire.outbox)
                return
            how = self.how = End.LINGER
        if wire.pressure is None or wire.pressure.queue is None:
            wire.flush()
        if not wire.hasRoom:
            self.later = self._waited = True
            if wire.waiting not in wire.user.finalWaits:
                self._takenBefore = bytes_taken(wire.transport)
                wire.arm(wire.user.limits.rateWindow, ClosingWait.TAKEN)
            return
        wire.unregister()
        self.later = False
        if wire.holds and not wire.eof and IPushProducer.providedBy(wire.transport):
            wire.transport.resumeProducing()
        wire.holds = 0
        if how is End.LINGER:
            self._linger()
        else:
            self.lose()

    def _waitForTurn(self, outbox: Outbox) -> None:
        wire = self._wire
        wire.unregister()
        self.later = False
        wire.held = True
        outbox.wait(wire)

    def turnOver(self) -> None:
        """
        The turn is over, and what was pending was written: close the connection if it
        ends with the turn.
        """
        if self.how is End.TURN:
            wire = self._wire
            sendsMore = self._left < wire.user.limits.lingerLength
            if sendsMore or not close_drained(wire.transport):
                self.begin(End.LINGER)

    def lose(self) -> None:
        """
        Have the transport close when it has sent what it has.
        """
        wire = self._wire
        if self.outputEnded:
            # Nothing is left to send: the transport closes at once.
            wire.disarm()
        else:
            self._takenBefore = bytes_taken(wire.transport)
            wire.arm(wire.user.limits.abortTimeout, ClosingWait.LOST)
        self._left = wire.user.limits.lingerLength
        wire.transport.loseConnection()

    def _linger(self) -> None:
        wire = self._wire
        transport = wire.transport
        if wire.eof:
            self.lose()
            return
        # The flags are those of the classes of our own transports: foreign wrappers
        # forward attributes of instances.
        inMemory = getattr(type(transport), "endsAsTLS", False)
        if inMemory or isinstance(transport, TLSMemoryBIOProtocol):
            # TLS sends close_notify, then reads until the peer's close_notify:
            # a lingering close of its own.
            self.lose()
            return
        self._left = wire.user.limits.lingerLength
        # Our wrapper for the PROXY protocol only took off a header at the start.
        while getattr(type(transport), "passesBytes", False):
            transport = transport.transport
        inMemory = getattr(type(transport), "endsAsTCP", False)
        if inMemory or is_bare_socket(transport):
            transport.loseWriteConnection()
        wire.arm(wire.user.limits.lingerTimeout, ClosingWait.LINGERED)

    def deadlineOver(self, wait: ClosingWait) -> None:
        """
        The time for a stage is over: go to the next one, or abort the connection.

        @param wait: what the connection has waited for.
        """
        wire = self._wire
        limits = wire.user.limits
        seconds = limits.abortTimeout
        if wait is ClosingWait.LINGERED:
            # What was not read would cause a reset, which destroys the rest.
            if not (wire.holds & ENDING and is_on_the_way(wire.transport)):
                self.lose()
                return
            seconds = limits.lingerTimeout
        elif wait is ClosingWait.TAKEN:
            seconds = limits.rateWindow
        if self._isMakingProgress(seconds):
            wire.arm(seconds, wait)
        elif wait is ClosingWait.LINGERED:
            self.lose()
        else:
            wire.user.abortConnection()

    def _isMakingProgress(self, seconds: float) -> bool:
        """
        Whether the peer has taken bytes at the least rate since the last call.
        """
        before = self._takenBefore
        taken = self._takenBefore = bytes_taken(self._wire.transport)
        rate = self._wire.user.limits.minResponseRate
        return makes_progress(before, taken, rate, seconds)

    def forget(self) -> None:
        """
        The connection is gone: drop the reference to its wire.
        """
        del self._wire

    def inputEnded(self) -> None:
        """
        The peer will send nothing more.
        """
        if self.how is End.LINGER and not self.later:
            self.lose()

    def received(self, length: int) -> None:
        """
        Count bytes that arrived while closing and were dropped; abort the connection
        after C{Limits.lingerLength} of them.  If the peer has to take a long response,
        of which the kernel may have megabytes, or all, nothing more is read instead.
        """
        self._left -= length
        if self._left >= 0:
            return
        wire = self._wire
        if self._waited or is_on_the_way(wire.transport):
            if not wire.holds & ENDING:
                self._takenBefore = bytes_taken(wire.transport)
            wire.hold(ENDING)
        else:
            wire.user.abortConnection()
