"""
One server connection: requests in, strictly in order.

A L{Channel} is what C{request.channel} is to the requests of twisted.web, and
keeps all that they, and the frameworks on top of them, use of it.  It is built
in layers, each a class that knows nothing of the next: bytes (C{_flow}), events
(C{protocol}), giving the connection away (C{_handover}), failing (C{_failing}),
sending responses (C{_answering}), receiving bodies (C{_receiving}), and here:
heads, the loop, and the life of the connection.

h11 never gives bytes back, so it is never fed beyond the current message.  What
arrives waits in C{_buffer}; C{_read} names the method that may look at it now:

  - C{_readFirst}: nothing has come yet, and the transport learns who its peer is
    from the first bytes (the PROXY protocol).
  - C{_readHead}: between messages.  A common head is taken by
    L{twisted_h11._http.fastpath}.  Any other is found by its empty line, judged by
    L{twisted_h11._http.strict}, then given to h11, and both must agree.
  - C{_readBody}: as many bytes as belong to the message go to h11.
  - C{_readNothing}: the request is complete; what follows waits for the
    response.  Reading goes on for a few bytes more (C{Limits.readAhead}), since
    a transport that is paused does not notice that its peer has gone.

Each returns whether there is something for the next one to do, and a loop calls
them; so a thousand pipelined requests that are answered at once need a loop,
not a stack.  No request is begun while the peer does not take our bytes: that
is what bounds the memory of a peer that sends requests and reads no responses.

A request whose resource streams (L{twisted_h11._server.routing}) is rendered when its
head is here, and its body goes to a L{RequestBody<twisted_h11._server.body>}.  Any
other request collects its body first, as in twisted.web.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import h11
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IProducer,
    ISSLTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded, log_failure
from twisted_h11._http import fastpath
from twisted_h11._http.strict import (
    ChunkScanner,
    Refused,
    RequestHead,
    check_partial_head,
    check_request_head,
)
from twisted_h11._server.adapted import adapt_request
from twisted_h11._server.admission import Verdict, close_now, report_dropped
from twisted_h11._server.body import RequestBody
from twisted_h11._server.connections import Connections
from twisted_h11._server.cycle import Cycle, State, tell_lost
from twisted_h11._server.ranges import bounded
from twisted_h11._server.receiving import Incoming, Receiving
from twisted_h11._server.routing import route_early
from twisted_h11._server.states import Reading, Wait
from twisted_h11._wire.wire import APPLICATION, CONSUMER, READ_AHEAD

__all__ = ["Channel"]

# As globals they are found faster, for each request several times.
_HEAD, _NOTHING, _IDLE = Reading.HEAD, Reading.NOTHING, Wait.IDLE


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
class Channel(Receiving):
    """
    One connection of a L{Site<twisted_h11.server.Site>}.

    @ivar requestFactory: what makes a request, called with the channel.
    @ivar timeOut: seconds that the connection may be idle; C{None} for ever.
    """

    requestFactory: Any = None
    timeOut: float | None = 75

    _fast = False
    writesNow = True
    finalWaits = frozenset((Wait.HANDSHAKE, Wait.CLIENT))
    # The register of the site that made this channel; C{site} may be set to another.
    _context: Connections | None = None
    _lastHead: fastpath.FastHead | None = None
    _scanned = 0
    _skippedLine = False
    _draining = False
    _served = 0
    _host: Any = None

    def __repr__(self) -> str:
        if self._cycle is not None and self._wire.closing is None:
            return f"<Channel reads {self._reading.name.lower()} for {self._cycle!r}>"
        return super().__repr__()

    # -- from the transport ---------------------------------------------------

    def connectionMade(self) -> None:
        """
        Wait for the handshake, if there is one, and for the first byte.
        """
        super().connectionMade()
        if self._context is not None:
            verdict = self._context.made(self, self._wire.transport, self.limits)
            if verdict is Verdict.LATE:
                self._reading = Reading.FIRST
            elif verdict is not Verdict.TAKEN:
                self._turnAway(verdict)
                return
        if ISSLTransport.providedBy(self._wire.transport):
            self._wire.deadline.arm(self.limits.handshakeTimeout, Wait.HANDSHAKE)
        else:
            self._waitForFirstByte()

    def _turnAway(self, verdict: Verdict) -> None:
        """
        There are too many connections: say so, or end this one at once.
        """
        if verdict is Verdict.REFUSED:
            self._refuse(503, "There are too many connections.")
            return
        wire = self._wire.transport
        self._abort()
        close_now(wire)

    def handshakeCompleted(self) -> None:
        """
        See L{IHandshakeListener}.
        """
        if (
            self._wire.deadline.waiting in (None, Wait.HANDSHAKE)
            and self._wire.closing is None
        ):
            self._waitForFirstByte()

    def _waitForFirstByte(self) -> None:
        timeout = self.limits.firstByteTimeout
        if timeout is not None and self.timeOut is not None:
            timeout = min(timeout, self.timeOut)
        self._wire.deadline.arm(None if self.timeOut is None else timeout, Wait.IDLE)

    def dataReceived(self, data: bytes) -> None:
        """
        Take bytes, and do everything that can be done with them.
        """
        closing = self._wire.closing
        if closing is not None:
            closing.received(len(data))
            return
        if self._start < len(self._buffer):
            self._buffer = self._buffer[self._start :] + data
            self._scanned -= self._start
        else:
            self._buffer = data
            self._scanned = 0
        self._start = 0
        self._advance()

    def _inputEnded(self) -> None:
        """
        The client will send nothing more, but may still read.
        """
        if self._cycle is not None and self._cycle.request is not None:
            self._awaitResponse(self._cycle)
        self._advance()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the request, and drop everything.
        """
        # Tests call it with None.
        reason = reason or connectionDone
        request = None
        if self._cycle is not None:
            request, self._cycle.request = self._cycle.request, None
        self._incoming = None
        if self._reading is Reading.FIRST and self._wire.closing is None:
            report_dropped(self._log, self._wire.transport)
        unsent = 0
        if request is not None or self._whenSent is not None:
            unsent = self._wire.unsentLength()
        super().connectionLost(reason)
        self._wire.droppedLength = unsent
        self._forget()
        self._buffer = b""
        self._start = 0
        self._lastHead = None
        self._tellSent(reason, unsent)
        if request is not None:
            guarded("A request's connectionLost", request.connectionLost, reason)
        self._cycle = self._h11Framer = None
        # A coroutine that was cancelled waits no more.
        self._failDrained()

    def _forget(self) -> None:
        """
        The site has nothing to do with this connection any more.
        """
        if self._context is not None:
            self._context.gone(self)

    def _letGo(self) -> None:
        super()._letGo()
        # Drop both references: the successor may keep the request alive.
        self._cycle = self._h11Framer = self._lastHead = None
        self._forget()
        self._failDrained()
        self._tellSent()

    # -- the loop ---------------------------------------------------------------

    def _advance(self) -> None:
        """
        Do all that can be done with the bytes that are here.
        """
        if self._advancing:
            return
        self._advancing = True
        wire = self._wire
        begun = wire.beginBatch()
        try:
            while wire.closing is None and wire.transport is not None:
                reading = self._reading
                if reading is _NOTHING:
                    break
                if not (self._readHead() if reading is _HEAD else self._readOn()):
                    break
        except Refused as refused:
            self._refuse(refused.status, refused.reason)
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, "The request is malformed.")
        finally:
            self._advancing = False
            wire.endBatch(begun)
        if self._shown is not None:
            self._lookForSuccessor()
        if wire.transport is None:
            self._deliverHandOver()
            self._deliverToSuccessor()
            return
        if self._start and self._start >= len(self._buffer):
            # An idle connection keeps nothing of what it has read.
            self._buffer = b""
            self._start = 0
        if wire.closing is None:
            self._balance()

    def _readOn(self) -> bool:
        """
        Read what is no head.

        @return: whether there is more to do.
        """
        if self._reading is Reading.BODY:
            return self._readBody()
        return self._readFirst()

    def _balance(self) -> None:
        """
        Pause the network when enough waits that we can not look at now.
        """
        reading = self._reading
        wire = self._wire
        if reading is _NOTHING or (
            reading is _HEAD and (wire.full or wire.queue is not None)
        ):
            if len(self._buffer) - self._start > self.limits.readAhead:
                self.hold(READ_AHEAD)
        elif wire.holds:
            wire.release(READ_AHEAD)

    def wireWritable(self) -> None:
        """
        Called by the wire: the client has taken enough, so that its next request may
        be answered.
        """
        if self._wire.closing is None and self._reading is Reading.HEAD:
            if self._wire.deadline.waiting is None and not self._wire.eof:
                self._wire.deadline.arm(self.timeOut, Wait.IDLE)
            self._advance()
        super().wireWritable()

    # -- the head ---------------------------------------------------------------

    def _readFirst(self) -> bool:
        """
        The first bytes are here, and with them, however it was learnt, the address
        of the peer.
        """
        assert self._context is not None
        self._reading = Reading.HEAD
        verdict = self._context.known(self, self.limits)
        if verdict is Verdict.TAKEN:
            return True
        self._turnAway(verdict)
        return False

    def _readHead(self) -> bool:
        buffer = self._buffer
        start = self._start
        if start >= len(buffer):
            if self._wire.eof:
                self.loseConnection()
            return False
        if self._wire.full or self._wire.queue is not None:
            return False
        if not self._scanned and self._readFast(buffer, start):
            return True
        if not self._skippedLine and b"\r\n".startswith(buffer[start : start + 2]):
            # RFC 9112 section 2.2: one empty line before a request is ignored.
            if len(buffer) - start < 2:
                return self._waitForHead()
            self._skippedLine = True
            self._start = start = start + 2
            if start == len(buffer):
                return self._waitForHead()
        end = buffer.find(b"\r\n\r\n", max(start, self._scanned - 3))
        if end < 0:
            check_partial_head(buffer, start, self._scanned, self.limits)
            self._scanned = len(buffer)
            return self._waitForHead()
        if self._scanned and self._readFast(buffer, start):
            # It came in pieces; now it is whole.
            self._scanned = 0
            return True
        end += 4
        raw = buffer[start:end]
        slow = check_request_head(raw, self.limits)
        self._start = end
        self._scanned = 0
        self._skippedLine = False
        self._beginSlow(slow, raw)
        return True

    def _readFast(self, buffer: bytes, start: int) -> bool:
        """
        Begin a request whose head is common.

        @return: whether it is.
        """
        if not self._fast:
            return False
        head = fastpath.read_request(buffer, start, self.limits, self._lastHead)
        if head is None:
            return False
        self._beginFast(head, buffer, start)
        return True

    def _waitForHead(self) -> bool:
        if self._wire.eof:
            raise Refused(400, "The request is incomplete.")
        if self._wire.deadline.waiting is not Wait.HEAD:
            self._wire.deadline.arm(self.limits.headTimeout, Wait.HEAD)
        return False

    def _beginFast(self, head: fastpath.FastHead, buffer: bytes, start: int) -> None:
        """
        A common request: no state machine, neither for its head nor for a body
        whose length is known.
        """
        if self._lastHead is None and self._context is not None:
            self._context.warm(self)
        self._lastHead = head
        if self._skippedLine:
            self._skippedLine = False
        self._start = end = head.end
        cycle = self._makeCycle(head, buffer[start:end])
        length = head.length
        if not length:
            factory = self.requestFactory
            if getattr(factory, "servesWhole", False):
                self._serveWhole(cycle, factory)
                return
        assert length is not None
        self._start = end = end + min(length, len(buffer) - end)
        incoming = Incoming(length - (end - head.end), None)
        self._beginCycle(cycle, incoming)
        if end > head.end and self._wire.closing is None:
            self._bodyReceived(cycle, incoming, buffer[head.end : end])
        if not incoming.left and self._wire.closing is None:
            self._bodyEnded(cycle, incoming)

    def _serveWhole(self, cycle: Cycle, factory: Any) -> None:
        """
        The same as L{_beginCycle} and L{_bodyEnded}, for a request without a
        body whose class overrides nothing that these two would call.
        """
        self._reading = _NOTHING
        try:
            cycle.request = request = factory(self)
            request.serve(cycle.head)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("A request")
            # Not if it was answered before it failed.
            if self._cycle is cycle:
                cycle.applicationFailed()

    def _beginSlow(self, head: RequestHead, raw: bytes) -> None:
        """
        Any other request: its head goes through h11.
        """
        event = self.h11Framer().head(raw)
        if (
            type(event) is not h11.Request
            or event.method != head.method
            or event.target != head.target
        ):
            raise Refused(400, "The request is malformed.")
        chunks = None
        if head.length is None:
            chunks = ChunkScanner(self.limits, keeps=self._fast)
        cycle = self._makeCycle(head, None)
        cycle.clientWaits = (
            head.expectsContinue
            and head.length != 0
            and self._start >= len(self._buffer)
        )
        incoming = Incoming(head.length, chunks)
        self._beginCycle(cycle, incoming)
        if self._wire.closing is None and incoming.sink is None:
            self.sendContinue()

    def _makeCycle(self, head: RequestHead, unseenHead: bytes | None) -> Cycle:
        """
        A request head is here.
        """
        wire = self._wire
        self._cycle = cycle = Cycle(self, wire, head, unseenHead)
        if not wire.eof:
            wire.deadline.waiting = None
        elif wire.deadline.waiting is None:
            self._awaitResponse(cycle)
        self._served = served = self._served + 1
        most = self.limits.maxRequestsPerConnection
        self.persistent = (
            head.keepAlive and not self._draining and (most is None or served < most)
        )
        return cycle

    def _beginCycle(self, cycle: Cycle, incoming: Incoming) -> None:
        """
        Make a request, and find out who takes its body.

        @raise Refused: if its body is too long.
        """
        self._incoming = incoming
        self._reading = Reading.BODY
        head = cycle.head
        try:
            cycle.request = request = self._makeRequest(head)
            if head.length == 0:
                request.gotLength(0)
                return
            resource, most = route_early(self.site, request, head.target)
            # Here, since a resource may say anything.
            tooLong = most is not None and most < (head.length or 0)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("Making a request")
            cycle.applicationFailed()
            return
        incoming.setLimit(most)
        if tooLong:
            raise Refused(413, "The request body is too long.")
        try:
            if resource is not None:
                incoming.sink = sink = RequestBody(self, request, head.length)
                request.renderEarly(resource, sink)
            else:
                request.gotLength(head.length)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("A request")
            cycle.applicationFailed()

    def _makeRequest(self, head: RequestHead) -> Any:
        """
        Make the request object, as L{twisted.web.http.HTTPChannel} would.
        """
        factory = self.requestFactory
        if getattr(factory, "leavesFraming", False) or (
            INonQueuedRequestFactory.providedBy(factory)
        ):
            request = factory(self)
        else:
            request = factory(self, 0)
        takeHead = getattr(request, "headReceived", None)
        if takeHead is not None:
            takeHead(head)
        else:
            addRawHeader = request.requestHeaders.addRawHeader
            for name, value in head.fields:
                addRawHeader(name, value)
            adapt_request(request)
        request.parseCookies()
        return request

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer of content; see L{FlowControl}.
        """
        super().registerProducer(
            producer if streaming else bounded(producer), streaming
        )

    # -- the end of a cycle -----------------------------------------------------

    def forgetLastHead(self) -> None:
        """
        Free the head of the last request, which only serves to read the next one
        faster.
        """
        self._lastHead = None

    def drain(self) -> None:
        """
        Close as soon as nothing is under way: at once if idle, else after the
        current response, which says C{Connection: close} if it still can.
        """
        self._draining = True
        self.persistent = False
        if self._start >= len(self._buffer) and (
            self._reading is Reading.HEAD or self._reading is Reading.FIRST
        ):
            self.loseConnection()

    def endCycle(self) -> None:
        """
        The response has ended; has the request?  Then begin the next cycle.
        """
        cycle, incoming = self._cycle, self._incoming
        assert cycle is not None
        if incoming is not None and incoming.sink is not None:
            sink, incoming.sink = incoming.sink, None
            sink.dropped()
        self._wire.release(CONSUMER)
        if not cycle.isReusable:
            self._closeInStages()
            return
        if incoming is not None:
            left = incoming.left
            if left is not None and left > self.limits.drainLength:
                self._closeInStages()
                return
            incoming.received = incoming.rateSeen = 0
            if not self._wire.eof:
                self._wire.deadline.arm(self.limits.rateWindow, Wait.BODY)
            self._advance()
            return
        cycle.framer.nextCycle()
        self._awaitNext()

    def wholeAnswered(self) -> None:
        """
        The response that L{answerWhole} has sent is over: the next request.
        """
        cycle = self._cycle
        assert cycle is not None
        cycle.request = None
        if not self.persistent:
            cycle.state = State.COMPLETE
            self._closeInStages()
            return
        self._awaitNext()

    def _awaitNext(self) -> None:
        self._cycle = None
        self._reading = _HEAD
        wire = self._wire
        if wire.eof:
            pass
        elif wire.full or wire.queue is not None:
            # The peer has yet to take what we wrote: it is not idle.
            wire.deadline.disarm()
        else:
            wire.deadline.arm(self.timeOut, _IDLE)
        self._advance()

    # -- time-outs --------------------------------------------------------------

    def deadlineOver(self, wait: Enum) -> None:
        """
        Called by the wire: what was waited for has not happened in time.
        """
        if wait is Wait.IDLE:
            self._idleTimedOut()
        elif wait is Wait.HEAD:
            self._refuse(408, "The request head did not arrive in time.")
        elif wait is Wait.BODY:
            self._checkBodyRate()
        elif wait is Wait.REQUEST:
            self._requestTimedOut()
        elif wait is Wait.CLIENT:
            self._clientLeft()
        else:
            self._abort()

    def _idleTimedOut(self) -> None:
        self._log.debug("Timing out idle client {peer}", peer=self.getPeer())
        self.loseConnection()

    def _requestTimedOut(self) -> None:
        self._log.info("Timing out client: {peer}", peer=self.getPeer())
        self.loseConnection()

    def setTimeout(self, period: float | None) -> float | None:
        """
        While a request runs: the time that it has from now on.  Else: the idle
        time-out of this connection.

        @param period: seconds, or C{None} for no time-out.
        @return: the idle time-out that holds until now.
        """
        before = self.timeOut
        cycle = self._cycle
        if cycle is not None and cycle.request is not None:
            if self._wire.eof:
                # The client waits for halfCloseTimeout seconds, not longer.
                return before
            self._wire.deadline.arm(period, Wait.REQUEST)
            if period is None and self._reading is Reading.BODY:
                # That is the client's time, not the application's.
                self._waitForBody()
        else:
            self.timeOut = period
            if self._wire.deadline.waiting is Wait.IDLE:
                self._wire.deadline.arm(period, Wait.IDLE)
        return before

    def setHalfCloseTimeout(self, seconds: float) -> None:
        """
        Change how long the current request may run on when the client has closed
        its sending side, in the place of C{Limits.halfCloseTimeout}.

        @param seconds: 0 for a client that is to be given up as soon as it may have
            gone.
        @raise ValueError: if it is not a number of seconds.
        """
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, (int, float))
            or not 0 <= seconds < float("inf")
        ):
            raise ValueError(
                f"halfCloseTimeout must be a number of seconds, not {seconds!r}"
            )
        cycle = self._cycle
        if cycle is not None:
            cycle.halfCloseTimeout = seconds
            if self._wire.eof and cycle.request is not None:
                if self._wire.closing is None:
                    self._awaitResponse(cycle)

    def _awaitResponse(self, cycle: Cycle) -> None:
        """
        The client has closed its sending side: it may be gone.
        """
        seconds = cycle.halfCloseTimeout
        if seconds is None:
            seconds = self.limits.halfCloseTimeout
        self._wire.deadline.arm(seconds, Wait.CLIENT)

    def _clientLeft(self) -> None:
        request = None
        if self._cycle is not None:
            request, self._cycle.request = self._cycle.request, None
        self._abort()
        tell_lost(request, "The client has closed the connection.")

    def resetTimeout(self) -> None:
        """
        Begin the wait of an idle connection anew.
        """
        if self._wire.deadline.waiting is Wait.IDLE:
            self._wire.deadline.arm(self.timeOut, Wait.IDLE)

    # -- more of what HTTPChannel has ------------------------------------------

    def getHost(self) -> IAddress:
        """
        Our own address.
        """
        host: IAddress | None = self._host
        if host is None:
            host = self._wire.transport.getHost()
            if self._served:
                # Sooner it may not be known: see _readFirst.
                self._host = host
        return host

    def isSecure(self) -> bool:
        """
        Whether the transport is TLS.
        """
        return ISSLTransport.providedBy(self._wire.transport)

    def forceAbortClient(self) -> None:
        """
        Drop the connection at once.
        """
        self._abort()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """
        Called by twisted.web's C{Request.requestReceived} for bad multipart.
        """
        self._refuse(400, "The request body is malformed.")

    @property
    def _networkProducer(self) -> NetworkProducer:
        return NetworkProducer(self)
