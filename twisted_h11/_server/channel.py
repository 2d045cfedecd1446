"""
One server connection, which handles requests strictly in order.

A L{Channel} is the C{request.channel} of a request, with all names that twisted.web's
requests, and frameworks on top of them, use.  It owns a wire
(L{twisted_h11._wire.wire}), a reader of received bytes
(L{twisted_h11._server.request_reader}), and for each request a cycle
(L{twisted_h11._server.cycle}), which frames the response.  It begins the next cycle,
and ends the connection when a time-out is over.
"""

from __future__ import annotations

from enum import Enum
from time import monotonic
from typing import Any

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded
from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.admission import (
    arrive,
    finish_handshake,
    first_bytes,
    report_dropped,
)
from twisted_h11._server.connections import Connections
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.given_away import give_away
from twisted_h11._server.request_reader import RequestReader
from twisted_h11._server.shared_channel import SharedChannel
from twisted_h11._server.states import Phase, Reading, Wait
from twisted_h11._server.timeouts import await_response, time_out
from twisted_h11._wire.closing import End
from twisted_h11._wire.pressure import unsent_length
from twisted_h11._wire.wire import APPLICATION, CONSUMER

__all__ = ["Channel"]

# Globals are faster than members of an enumeration; each request reads these often.
_HEAD, _IDLE = Reading.HEAD, Wait.IDLE


@implementer(IHandshakeListener)
class Channel(SharedChannel):
    """
    One connection of a L{Site<twisted_h11.server.Site>}.

    @ivar connections: the register of the site that made this channel, which may
        differ from C{site}.
    @ivar fastPath: whether common messages are handled without h11.
    @ivar countedHost: the address under which the site counts this connection.
    @ivar seconds: L{IReactorTime.seconds<twisted.internet.interfaces>}.
    @ivar lostTransport: the transport while C{connectionLost} runs, else C{None}.
    """

    connections: Connections
    fastPath = False
    countedHost: str | None = None
    lostTransport: Any = None
    seconds: Any = staticmethod(monotonic)

    writesNow = True
    readerClass = RequestReader
    finalWaits = frozenset((Wait.HANDSHAKE, Wait.CLIENT))

    _draining = False

    _log = Logger()

    def __init__(self) -> None:
        super().__init__()
        self.reader = self.readerClass(self, self.wire)

    def __repr__(self) -> str:
        reads = self.reader.state.name.lower()
        return f"<Channel {self.wire!r} reads {reads} {self.cycle!r}>"

    # -- the life of the connection ----------------------------------------------

    def connectionMade(self) -> None:
        """
        Register with the site, and wait for the first byte.
        """
        super().connectionMade()
        arrive(self)

    def handshakeCompleted(self) -> None:
        """
        See L{IHandshakeListener}.
        """
        finish_handshake(self)

    def firstBytes(self) -> bool:
        """
        Whether the connection is served, now that the address of the peer is known.
        """
        return first_bytes(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Handle received bytes; while the connection closes they are only counted.
        """
        closing = self.wire.closing
        if closing is not None:
            closing.received(len(data))
        else:
            self.reader.received(data)

    def _inputEnded(self) -> None:
        """
        End of file from the client, which may still read.
        """
        if self.cycle is not None and self.cycle.request is not None:
            await_response(self, self.cycle)
        self.reader.advance()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the request that the connection is lost, and drop all references.
        """
        # Tests of applications pass None.
        reason = reason or connectionDone
        wire, cycle, slow = self.wire, self.cycle, self._slowClient
        request = cycle.takeRequest() if cycle is not None else None
        if self.reader.state is Reading.FIRST and wire.closing is None:
            report_dropped(self._log, wire.transport)
        unsent = 0
        if request is not None or (slow is not None and slow.told is not None):
            unsent = unsent_length(wire)
        # For the access log.
        self.lostTransport = wire.transport
        if cycle is not None and self.reader.incoming is not None:
            cycle.head.bodyLength = self.reader.incoming.received
        wire.lost(reason)
        wire.pendingLength = unsent
        self._forget()
        self.connections.gone(self)
        if slow is not None:
            slow.tell(reason, unsent)
        if request is not None:
            guarded("A request's connectionLost", request.connectionLost, reason)
        self.cycle = self.lostTransport = None
        slow, self._slowClient = self._slowClient, None
        if slow is not None:
            # Last: coroutines that connectionLost has cancelled do not wait any more.
            slow.fail()
        self._nextSuccessor = self.handOver = None
        self.reader.end()

    def _forget(self) -> None:
        """
        Drop what is kept between requests.
        """
        self._h11Framer = None
        self.reader.forgetLastHead()

    def _letGo(self) -> None:
        transport = self.wire.transport
        super()._letGo()
        # Drop both references: the successor may keep the request alive.
        self.cycle = None
        self._forget()
        give_away(self, transport, self._successor, self._draining)
        handOver = self.handOver
        if handOver is None or not handOver.isPending:
            self.handOver = None
            self.reader.end()
        slow, self._slowClient = self._slowClient, None
        if slow is not None:
            slow.fail()
            slow.tell()

    def drain(self, spareIdle: bool = False) -> None:
        """
        Close at once if the connection is idle, else after the current response, which
        gets C{Connection: close} if its head was not sent yet.

        @param spareIdle: whether an idle connection stays, for one more request.
        """
        self._draining = True
        self.persistent = False
        if spareIdle:
            return
        if not self.reader.hasBytes and self.reader.state in (_HEAD, Reading.FIRST):
            self.loseConnection()

    def phase(self) -> Phase:
        """
        What the connection is doing now, for metrics.
        """
        if self.wire.closing is not None:
            return Phase.CLOSING
        if self.cycle is not None:
            reads = self.reader.state is Reading.BODY
            return Phase.BODY if reads else Phase.RESPONSE
        if self.reader.hasBytes:
            return Phase.HEAD
        return Phase.IDLE if self.served else Phase.NEW

    # -- cycles ------------------------------------------------------------------

    def makeCycle(self, head: RequestHead, unseenHead: bytes | None) -> Cycle:
        """
        Called by the reader when a request head has arrived.

        @param head: the head.
        @param unseenHead: its bytes, if h11 was not given them; else C{None}.
        """
        wire = self.wire
        self.cycle = cycle = Cycle(self, wire, head, unseenHead)
        if not wire.eof:
            wire.waiting = None
        elif wire.waiting is None:
            await_response(self, cycle)
        self.served = served = self.served + 1
        most = self.limits.maxRequestsPerConnection
        self.persistent = (
            head.keepAlive and not self._draining and (most is None or served < most)
        )
        return cycle

    def dropBody(self) -> None:
        """
        Tell who takes the body of the request that the rest will not come.
        """
        if self.reader.incoming is not None:
            self.reader.incoming.dropSink()

    def endCycle(self) -> None:
        """
        The response has ended: begin the next cycle, if the request has ended too.
        """
        cycle, incoming = self.cycle, self.reader.incoming
        assert cycle is not None
        self.dropBody()
        wire = self.wire
        if wire.holds or self.handOver is not None:
            # Whatever the application has paused: the request is over.
            wire.release(CONSUMER | APPLICATION, True)
        if not cycle.isReusable:
            self.endAfterResponse()
        elif incoming is None:
            cycle.framer.nextCycle()
            self.awaitNext()
        elif (incoming.left or 0) > self.limits.drainLength:
            wire.close(End.LINGER)
        else:
            incoming.received = 0
            incoming.beginWindow()
            self.reader.advance()

    def endAfterResponse(self) -> None:
        """
        Close the connection after its last response: in stages, unless the client has
        announced that the request is its last one (RFC 9112 section 9.6), and all that
        it has sent was read.  Then nothing can arrive after the close that would
        destroy the response.  nginx has the same rule (C{lingering_close on}).
        """
        reader, cycle = self.reader, self.cycle
        assert cycle is not None
        last = (
            not cycle.head.keepAlive
            and reader.incoming is None
            and not reader.hasBytes
            # Its tunnel may begin before the response to it.
            and cycle.head.method != b"CONNECT"
        )
        self.wire.close(End.TURN if last else End.LINGER)

    def awaitNext(self) -> None:
        """
        Both messages have ended: wait for the next request.
        """
        self.cycle = None
        self.reader.state = _HEAD
        wire = self.wire
        if wire.holds or self.handOver is not None:
            # As in twisted.web; the application may have paused the transport itself.
            wire.release(APPLICATION, True)
        if wire.eof:
            pass
        elif not wire.hasRoom:
            # The peer has not taken all that was written: it is not idle.
            wire.disarm()
        else:
            wire.arm(self.timeOut, _IDLE)
        if not self.reader.isAdvancing:
            self.reader.advance()

    # -- called by the wire; see WireUser ----------------------------------------

    def wireWaits(self) -> None:
        """See L{WireUser}."""
        if self.wire.transport is not None:
            self.slowClient().waits()

    def wireTaken(self) -> None:
        """See L{WireUser}."""
        if self._slowClient is not None:
            self._slowClient.taken()

    def wireWritable(self) -> None:
        """See L{WireUser}."""
        wire, reader = self.wire, self.reader
        if wire.closing is None and reader.state is _HEAD:
            if wire.waiting is None and not wire.eof:
                wire.arm(self.timeOut, _IDLE)
            reader.advance()
        if self._slowClient is not None:
            self._slowClient.writable()

    def wireQueueSent(self) -> bool:
        """See L{WireUser}."""
        if self._slowClient is not None and not self.wire.full:
            self._slowClient.tell()
        return super().wireQueueSent()

    def wireEnded(self) -> None:
        """See L{WireUser}."""
        self.wireClosing()
        if self._slowClient is not None:
            self._slowClient.end()

    def producing(self) -> object:
        """See L{WireUser}."""
        return self.cycle.request if self.cycle is not None else None

    def producerFailed(self, what: object) -> None:
        """See L{WireUser}."""
        self.failRequest(what)

    def deadlineOver(self, wait: Enum) -> None:
        """See L{WireUser}."""
        time_out(self, wait)
