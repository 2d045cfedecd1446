"""
One server connection: requests in, strictly in order.

A L{Channel} is what C{request.channel} is to the requests of twisted.web, and
keeps all that they, and the frameworks on top of them, use of it.  It owns a wire
(L{twisted_h11._wire.wire}), a reader of what arrives
(L{twisted_h11._server.request_reader}), and for each request a cycle
(L{twisted_h11._server.cycle}), which frames the response.  It decides when the next
cycle may begin, and sees to it that the connection ends in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

import h11
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IProducer,
    IProtocol,
    ISSLTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._http.strict import Refused, RequestHead
from twisted_h11._server.admission import Verdict, close_now, report_dropped
from twisted_h11._server.connections import Connections
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.framers import H11Framer
from twisted_h11._server.handover import HandOver
from twisted_h11._server.interfaces import Served
from twisted_h11._server.ranges import bounded
from twisted_h11._server.refused import refuse, send_error
from twisted_h11._server.request_reader import RequestReader
from twisted_h11._server.slow_client import SlowClient
from twisted_h11._server.states import Reading, Wait
from twisted_h11._server.timeouts import (
    await_response,
    set_half_close,
    set_timeout,
    time_out,
)
from twisted_h11._wire.closing import End
from twisted_h11._wire.drained import client_gone
from twisted_h11._wire.protocol import WireProtocol
from twisted_h11._wire.wire import APPLICATION, CONSUMER

__all__ = ["Channel"]

# As globals they are found faster, for each request several times.
_HEAD, _IDLE = Reading.HEAD, Wait.IDLE


class NetworkProducer:
    """
    What daphne and autobahn expect as C{channel._networkProducer}.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def pauseProducing(self) -> None:
        """
        Read nothing from the network until C{resumeProducing}.
        """
        self._channel.hold(APPLICATION)

    def resumeProducing(self) -> None:
        """
        Read from the network again, as far as we are concerned.
        """
        self._channel.release(APPLICATION)


@implementer(IHandshakeListener)
class Channel(WireProtocol):
    """
    One connection of a L{Site<twisted_h11.server.Site>}.

    @ivar site: the site; C{factory} is the same object.
    @ivar connections: the register of the site that made this channel, which need
        not be C{site}.
    @ivar requestFactory: what makes a request, called with the channel.
    @ivar timeOut: seconds that the connection may be idle; C{None} for ever.
    @ivar fastPath: whether common messages pass h11 by.
    @ivar persistent: whether another request may follow the current one.  An
        application may set it to a false value.
    @ivar countedHost: the address under which the site counts this connection.
    @ivar reader: what was received.
    @ivar cycle: the current request and its response; C{None} between them.
    """

    site: Served | None = None
    factory: Any = None
    connections: Connections | None = None
    requestFactory: Any = None
    timeOut: float | None = 75
    fastPath = False
    persistent: Any = True
    countedHost: str | None = None

    writesNow = True
    finalWaits = frozenset((Wait.HANDSHAKE, Wait.CLIENT))

    cycle: Cycle | None = None
    _h11Framer: H11Framer | None = None
    _slowClient: SlowClient | None = None
    _handOver: HandOver | None = None
    _draining = False
    _served = 0
    _host: Any = None
    _peer: Any = None

    _log = Logger()

    def __init__(self) -> None:
        super().__init__()
        self.reader = RequestReader(self, self.wire)

    def __repr__(self) -> str:
        what = repr(self.cycle) if self.cycle is not None else "no request"
        return f"<Channel {self.wire!r} {self.reader!r} {what}>"

    def h11Framer(self) -> H11Framer:
        """
        What frames by h11 on this connection.
        """
        if self._h11Framer is None:
            conn = h11.Connection(
                h11.SERVER, max_incomplete_event_size=self.limits.maxHeadLength
            )
            self._h11Framer = H11Framer(self.wire, conn)
        return self._h11Framer

    # -- the life of the connection ---------------------------------------------

    def connectionMade(self) -> None:
        """
        Wait for the handshake, if there is one, and for the first byte.
        """
        super().connectionMade()
        if self.connections is not None:
            verdict = self.connections.made(self, self.wire.transport, self.limits)
            if verdict is Verdict.LATE:
                self.reader.state = Reading.FIRST
            elif verdict is not Verdict.TAKEN:
                self._turnAway(verdict)
                return
        if self.isSecure():
            self.wire.deadline.arm(self.limits.handshakeTimeout, Wait.HANDSHAKE)
        else:
            self._waitForFirstByte()

    def _turnAway(self, verdict: Verdict) -> None:
        """
        There are too many connections: say so, or end this one at once.
        """
        if verdict is Verdict.REFUSED:
            self.refuse(503, "There are too many connections.")
            return
        transport = self.wire.transport
        self.abortConnection()
        close_now(transport)

    def handshakeCompleted(self) -> None:
        """
        See L{IHandshakeListener}.
        """
        waiting = self.wire.deadline.waiting
        if waiting in (None, Wait.HANDSHAKE) and self.wire.closing is None:
            self._waitForFirstByte()

    def _waitForFirstByte(self) -> None:
        timeout = self.limits.firstByteTimeout
        if timeout is not None and self.timeOut is not None:
            timeout = min(timeout, self.timeOut)
        self.wire.deadline.arm(None if self.timeOut is None else timeout, _IDLE)

    def firstBytes(self) -> bool:
        """
        The first bytes are here, and with them, however it was learnt, the address
        of the peer.
        """
        assert self.connections is not None
        verdict = self.connections.known(self, self.limits)
        if verdict is Verdict.TAKEN:
            return True
        self._turnAway(verdict)
        return False

    def dataReceived(self, data: bytes) -> None:
        """
        Take bytes, and do everything that can be done with them.
        """
        closing = self.wire.closing
        if closing is not None:
            closing.received(len(data))
        else:
            self.reader.received(data)

    def _inputEnded(self) -> None:
        """
        The client will send nothing more, but may still read.
        """
        if self.cycle is not None and self.cycle.request is not None:
            await_response(self, self.cycle)
        self.reader.advance()

    def advanced(self) -> None:
        """
        All was done that can be done now; somebody may have taken the transport.
        """
        if self._handOver is not None:
            self.lookForSuccessor()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the request, and drop everything.
        """
        # Tests call it with None.
        reason = reason or connectionDone
        wire, cycle, slow = self.wire, self.cycle, self._slowClient
        request = cycle.takeRequest() if cycle is not None else None
        if self.reader.state is Reading.FIRST and wire.closing is None:
            report_dropped(self._log, wire.transport)
        unsent = 0
        if request is not None or (slow is not None and slow.told is not None):
            unsent = wire.unsentLength()
        wire.lost(reason)
        wire.droppedLength = unsent
        self._forget()
        if slow is not None:
            slow.tell(reason, unsent)
        if request is not None:
            guarded("A request's connectionLost", request.connectionLost, reason)
        self.cycle = None
        slow, self._slowClient = self._slowClient, None
        if slow is not None:
            # A coroutine that was cancelled waits no more.
            slow.fail()
        self._nextSuccessor = self._handOver = None
        self.reader.end()

    def _forget(self) -> None:
        """
        The site has nothing to do with this connection any more.
        """
        self._h11Framer = None
        self.reader.forgetLastHead()
        if self.connections is not None:
            self.connections.gone(self)

    def _letGo(self) -> None:
        super()._letGo()
        # Drop both references: the successor may keep the request alive.
        self.cycle = None
        self._forget()
        handOver = self._handOver
        if handOver is None or not handOver.isPending:
            self._handOver = None
            self.reader.end()
        slow, self._slowClient = self._slowClient, None
        if slow is not None:
            slow.fail()
            slow.tell()

    def drain(self) -> None:
        """
        Close as soon as nothing is under way: at once if idle, else after the
        current response, which says C{Connection: close} if it still can.
        """
        self._draining = True
        self.persistent = False
        reader = self.reader
        if not reader.hasBytes and reader.state in (_HEAD, Reading.FIRST):
            self.loseConnection()

    def rememberHead(self) -> None:
        """
        Called by the reader: it begins to remember the last head.
        """
        if self.connections is not None:
            self.connections.warm(self)

    def forgetLastHead(self) -> None:
        """
        Free the head of the last request.
        """
        self.reader.forgetLastHead()

    # -- cycles -------------------------------------------------------------------

    def makeCycle(self, head: RequestHead, unseenHead: bytes | None) -> Cycle:
        """
        Called by the reader: a request head is here.
        """
        wire = self.wire
        self.cycle = cycle = Cycle(self, wire, head, unseenHead)
        if not wire.eof:
            wire.deadline.waiting = None
        elif wire.deadline.waiting is None:
            await_response(self, cycle)
        self._served = served = self._served + 1
        most = self.limits.maxRequestsPerConnection
        self.persistent = (
            head.keepAlive and not self._draining and (most is None or served < most)
        )
        return cycle

    def endCycle(self) -> None:
        """
        The response has ended; has the request?  Then begin the next cycle.
        """
        cycle, incoming = self.cycle, self.reader.incoming
        assert cycle is not None
        if incoming is not None:
            incoming.dropSink()
        self.wire.release(CONSUMER)
        if not cycle.isReusable:
            self.wire.close(End.LINGER)
        elif incoming is None:
            cycle.framer.nextCycle()
            self.awaitNext()
        elif (incoming.left or 0) > self.limits.drainLength:
            self.wire.close(End.LINGER)
        else:
            incoming.received = 0
            incoming.beginWindow()
            if not self.wire.eof:
                self.wire.deadline.arm(self.limits.rateWindow, Wait.BODY)
            self.reader.advance()

    def awaitNext(self) -> None:
        """
        Both messages have ended: wait for the next request.
        """
        self.cycle = None
        self.reader.state = _HEAD
        wire = self.wire
        if wire.eof:
            pass
        elif not wire.hasRoom:
            # The peer has yet to take what we wrote: it is not idle.
            wire.deadline.disarm()
        else:
            wire.deadline.arm(self.timeOut, _IDLE)
        self.reader.advance()

    def bodyLeft(self) -> int:
        """
        How many bytes of the request's body have not been received, where its length
        is known.
        """
        incoming = self.reader.incoming
        return (incoming.left or 0) if incoming is not None else 0

    def setBodyLimit(self, most: int | None) -> None:
        """
        Change how long the body of the current request may be.

        @param most: bytes; C{None} for any number.
        """
        if self.cycle is not None and self.reader.incoming is not None:
            try:
                self.reader.incoming.setLimit(most)
            except Refused as refused:
                self.refuse(refused.status, refused.reason)

    def sendContinue(self) -> None:
        """
        Ask for the body, if the client waits for that and none of it is here
        (RFC 9110 section 10.1.1).
        """
        cycle, incoming = self.cycle, self.reader.incoming
        if cycle is not None and cycle.clientWaits and cycle.interim(100, []):
            if incoming is not None:
                # The client's turn begins now, in the middle of a window.
                incoming.wasHeld = True

    def hold(self, why: int) -> None:
        """
        Keep the network quiet until C{why} is released.
        """
        self.wire.hold(why)
        # A window in which we did not read says nothing about the client.
        if self.reader.incoming is not None:
            self.reader.incoming.wasHeld = True

    def release(self, why: int) -> None:
        """
        Let the network speak again, as far as C{why} is concerned.
        """
        self.wire.release(why)

    # -- the end ------------------------------------------------------------------

    def loseConnection(self) -> None:
        """
        Close the connection after what was written has gone out; or reset it, if a
        response that is not complete would look as if it were.
        """
        if self.cycle is not None and self.cycle.endsWithConnection():
            self.cycle.fail()
        else:
            super().loseConnection()

    def abortConnection(self) -> None:
        """
        Drop the connection at once.
        """
        slow = self._slowClient
        if slow is None or slow.told is None:
            self.wire.abort()
            return
        unsent = self.wire.unsentLength()
        self.wire.abort()
        slow.tell(Failure(ConnectionAborted()), unsent)

    forceAbortClient = abortConnection

    def refuse(self, status: int, reason: str) -> None:
        """
        Answer a request that the application never sees, and close.
        """
        refuse(self, status, reason)

    def sendError(self, status: int, reason: str, method: bytes) -> int:
        """
        Send a response of our own, and close.

        @param method: of the request; HEAD gets no content.
        @return: the length of its content.
        """
        return send_error(self, status, reason, method)

    def failResponse(self) -> None:
        """
        End the connection in the middle of a response, so that the client
        knows that it is not complete.
        """
        if self.cycle is not None:
            self.cycle.fail()
        else:
            self.abortConnection()

    def failRequest(self, request: Any) -> None:
        """
        The request can not be answered any further: 500 if nothing was sent, else
        the end of the connection, by which the client can tell.  The request is
        told that it is over.
        """
        cycle = self.cycle
        if cycle is not None and request is not None and request is cycle.request:
            cycle.applicationFailed()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """
        Called by twisted.web's C{Request.requestReceived} for bad multipart.
        """
        self.refuse(400, "The request body is malformed.")

    # -- a client that does not keep up -------------------------------------------

    def slowClient(self) -> SlowClient:
        """
        What watches the client, from now on.
        """
        if self._slowClient is None:
            self._slowClient = SlowClient(self, self.wire)
        return self._slowClient

    def wireWaits(self) -> None:
        """
        Called by the wire: the client does not read as fast as we write.
        """
        if self.wire.transport is not None:
            self.slowClient().waits()

    def wireTaken(self) -> None:
        """
        Called by the wire: the client makes progress.
        """
        if self._slowClient is not None:
            self._slowClient.taken()

    def wireWritable(self) -> None:
        """
        Called by the wire: the client has taken enough, so that its next request may
        be answered.
        """
        wire, reader = self.wire, self.reader
        if wire.closing is None and reader.state is _HEAD:
            if wire.deadline.waiting is None and not wire.eof:
                wire.deadline.arm(self.timeOut, _IDLE)
            reader.advance()
        if self._slowClient is not None:
            self._slowClient.writable()

    def wireQueueSent(self) -> bool:
        """
        Called by the wire: all regions of files are out.
        """
        if self._slowClient is not None and not self.wire.full:
            self._slowClient.tell()
        return super().wireQueueSent()

    def wireEnded(self) -> None:
        """
        Called by the wire: the connection is gone, or about to be given away.
        """
        self.wireClosing()
        if self._slowClient is not None:
            self._slowClient.end()

    def producing(self) -> object:
        """
        Called by the wire: the producer produces content of this request's response.
        """
        return self.cycle.request if self.cycle is not None else None

    def producerFailed(self, what: object) -> None:
        """
        Called by the wire: the producer has raised.
        """
        self.failRequest(what)

    def drained(self) -> Deferred[None]:
        """
        Wait until the client has taken what was written, but for a little.

        @return: fires with C{None}, at once if there is room; fails with
            L{ConnectionLost} if the connection ends before.  It may be cancelled.
        """
        if self.wire.transport is None or self.wire.closing is not None:
            return client_gone()
        return succeed(None) if self.wire.hasRoom else self.slowClient().drained()

    # -- giving the connection away -------------------------------------------------

    def _shared(self) -> HandOver:
        if self._handOver is None:
            self._handOver = HandOver(self.wire.transport, self.loseConnection)
        return self._handOver

    def wireShared(self) -> None:
        """
        Called by the wire: others may write to the transport, and close it.
        """
        if self.wire.transport is not None:
            self._shared()

    def wireClosing(self) -> None:
        """
        Called by the wire: nothing of ours stays with the transport.
        """
        if self._handOver is not None:
            self._handOver.restore()

    def lookForSuccessor(self) -> None:
        """
        If the transport has got another protocol, then let go of it, and have that
        protocol get what came for it.
        """
        handOver, wire = self._handOver, self.wire
        if handOver is None:
            return
        if wire.transport is not None and handOver.hasSuccessor():
            self.transport = None
        if wire.transport is None and not self.reader.isAdvancing:
            self._handOver = None
            handOver.deliver(self, self.reader.takeUnread)
            self.reader.end()

    def _transportTaken(self) -> None:
        self._shared().isTaken = True
        super()._transportTaken()

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        trailing = b"" if self._h11Framer is None else self._h11Framer.trailing
        return trailing + self.reader.takeUnread(), self.wire.eof

    def switchProtocol(self, protocol: IProtocol) -> None:
        """
        Give the transport to another protocol, for good.

        @raise h11.LocalProtocolError: if the connection is gone.
        """
        if self.wire.transport is None or self.wire.closing is not None:
            raise h11.LocalProtocolError("The connection is closed")
        self._giveTo(protocol)

    def _protocolUpgradeForWebsockets(self, protocol: IProtocol) -> None:
        """
        Called by L{twisted.web.websocket.WebSocketResource}, before it writes
        its own 101 response to the transport.
        """
        self._shared().keep(protocol, self._takeTrailingData()[0])
        self._h11Framer = None
        self.switchProtocol(protocol)
        if not self.reader.isAdvancing:
            self.callLater(0, self.lookForSuccessor)

    # -- what HTTPChannel has, for requests -------------------------------------------

    def writeHeaders(
        self,
        version: bytes,
        code: bytes,
        reason: bytes,
        headers: Headers | Iterable[tuple[bytes, bytes]],
    ) -> None:
        """
        Send a response head.  If it can not be sent, a 500 goes out instead.

        @param version: not used; the client's version is known here.
        @param code: the status, for example C{b"200"}.
        @param reason: the reason phrase.
        @param headers: the fields.
        """
        if self.cycle is not None:
            self.cycle.respond(code, reason, headers)

    def write(self, data: bytes) -> None:
        """
        Send content of a response.  For a request that frames its chunks by
        itself, as twisted.web's do, the framing is taken off.  Before a
        response head it is a raw response, and goes out as it is.
        """
        if self.cycle is not None:
            self.cycle.write(data)
        else:
            as_bytes(data)

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Send content of a response; see L{write}.

        @raise TypeError: for anything but bytes.
        """
        if self.cycle is not None:
            self.cycle.writeSequence(parts)

    def requestDone(self, request: Any) -> None:
        """
        The request's response has ended.

        @raise TypeError: if it is not the current request.
        """
        cycle = self.cycle
        if cycle is not None and request is cycle.request:
            cycle.done(request)
        elif self.wire.transport is not None and self.wire.closing is None:
            # Else it was given away (switch), aborted, or is closing.
            raise TypeError(f"{request!r} is not the request that is answered now")

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer of content; see L{WireProtocol.registerProducer
        <twisted_h11._wire.protocol.WireProtocol.registerProducer>}.
        """
        super().registerProducer(
            producer if streaming else bounded(producer), streaming
        )

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        peer: IAddress | None = self._peer
        if peer is None:
            peer = self.wire.transport.getPeer()
            if self._served:
                # Sooner it may not be the last word: the PROXY protocol tells it
                # with the first bytes.
                self._peer = peer
        return peer

    def getHost(self) -> IAddress:
        """
        Our own address.
        """
        host: IAddress | None = self._host
        if host is None:
            host = self.wire.transport.getHost()
            if self._served:
                self._host = host
        return host

    def isSecure(self) -> bool:
        """
        Whether the transport is TLS.
        """
        return ISSLTransport.providedBy(self.wire.transport)

    def setTimeout(self, period: float | None) -> float | None:
        """
        While a request runs: the time that it has from now on.  Else: the idle
        time-out of this connection.

        @param period: seconds, or C{None} for no time-out.
        @return: the idle time-out that holds until now.
        """
        return set_timeout(self, period)

    def resetTimeout(self) -> None:
        """
        Begin the wait of an idle connection anew.
        """
        if self.wire.deadline.waiting is _IDLE:
            self.wire.deadline.arm(self.timeOut, _IDLE)

    def setHalfCloseTimeout(self, seconds: float) -> None:
        """
        Change how long the current request may run on when the client has closed
        its sending side, in the place of C{Limits.halfCloseTimeout}.

        @param seconds: 0 for a client that is to be given up as soon as it may have
            gone.
        @raise ValueError: if it is not a number of seconds.
        """
        set_half_close(self, seconds)

    def deadlineOver(self, wait: Enum) -> None:
        """
        Called by the wire: what was waited for has not happened in time.
        """
        time_out(self, wait)

    @property
    def _networkProducer(self) -> NetworkProducer:
        return NetworkProducer(self)
