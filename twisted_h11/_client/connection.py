"""
One client connection: one request at a time, and its response.

The connection is an L{H11Protocol<twisted_h11.protocol.H11Protocol>} in the
role of the client.  Its rules:

B{Both directions at once.}  The response is read while the request is still
going out.  An answer that comes early (a 413, a redirect) is delivered early,
and is not lost when the server closes the connection on the rest of the
request.  If the response ends before the request does, the rest of the request
is not sent, and the connection is dropped.

B{Framing decides, never guesses.}  Where a body ends is known from its head
alone.  Anything that arrives beyond it, or on an idle connection, condemns the
connection: it was not asked for, so it can not be the answer to the next
request (RFC 9112 section 9.2).

B{Whole heads.}  A head is looked at when it is complete.  The usual one is read
by the fast path, a pure function, and the usual chunked body by L{ChunkReader};
all others by an h11 connection that lives for this response only, and is first
shown the request.  A request that may not take this fast path
(C{Agent(..., fastPath=False)}) has an h11 connection for its whole exchange: it
writes the head and the body of the request, and reads every head and every body.
What stays with us are the size of a head, which is given to h11 when it is
complete, and the end of the connection.

B{One owner.}  Whoever made the connection (the pool) is told when it is idle,
and when it is gone; exactly once each.
"""

from __future__ import annotations

import socket
import weakref
from collections.abc import Callable
from enum import Enum
from typing import Any

import h11
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IProtocol, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from twisted_h11._client import errors
from twisted_h11._client.errors import TimedOut, UnexpectedEnd
from twisted_h11._client.h11_role import begin_exchange
from twisted_h11._client.parties import ExchangeHandler, Owner
from twisted_h11._client.request import ClientRequest
from twisted_h11._client.request_sender import PIECE_LENGTH, BodySender
from twisted_h11._client.response import Response
from twisted_h11._client.response_reader import (
    IN_HEAD,
    NOTHING,
    SWITCHING,
    ResponseReader,
    Wait,
)
from twisted_h11._client.sent import TLSPassage, none_left
from twisted_h11._http.fastpath import CHUNKED, UNTIL_CLOSE
from twisted_h11._wire.progress import bytes_unsent
from twisted_h11._wire.wire import APPLICATION, CONSUMER

try:
    from select import POLLIN, poll
except ImportError:  # pragma: no cover - not on POSIX
    poll = None  # type: ignore[assignment,misc]

__all__ = ["ClientConnection"]


@implementer(IHandshakeListener)
class ClientConnection(ResponseReader):
    """
    One connection to a server or proxy.

    @ivar served: how many requests it was given.
    @ivar since: when it was made.
    @ivar wantsHandshake: whether its TLS handshake is still under way.
    """

    since = 0.0
    wantsHandshake = False

    _fullSince = 0.0
    _poll: Any = None
    _gone = False
    _tlsConnection: Any = None
    _passage: TLSPassage | None = None

    _log = Logger()

    def __init__(self, owner: Owner, clock: Any) -> None:
        super().__init__()
        self._owner = owner
        self._clock = clock
        self.callLater = clock.callLater

    @property
    def state(self) -> str:
        """
        What the connection is doing, in a word or two.
        """
        if self._switchedTo is not None:
            return "switched"
        if self._wire.transport is None:
            return "closed" if self._gone else "connecting"
        if self._wire.closing is not None:
            return "closing"
        if self.wantsHandshake:
            return "handshaking"
        mode = self._mode
        if mode == NOTHING:
            return "idle"
        if mode == SWITCHING:
            return "switching"
        if mode == IN_HEAD:
            return "waiting" if self._sender is None else "sending"
        return "receiving" if self._sender is None else "sending and receiving"

    def __repr__(self) -> str:
        asked = "" if self._request is None else f" {self._request!r}"
        return (
            f"<{type(self).__name__} {self.state}{asked}, request {self.served}, "
            f"at {id(self):#x}>"
        )

    # -- the connection -----------------------------------------------------

    def connectionMade(self) -> None:
        """
        Look at what kind of transport it is.
        """
        super().connectionMade()
        wire = self._wire.transport
        self.since = self._clock.seconds()
        self.secure = ISSLTransport.providedBy(wire)
        self.wantsHandshake = isinstance(wire, TLSMemoryBIOProtocol)
        self.peer = wire.getPeer() if hasattr(wire, "getPeer") else None
        self.host = wire.getHost() if hasattr(wire, "getHost") else None
        self._tells = bytes_unsent(wire) is not None
        if poll is not None:
            raw = wire.transport if self.wantsHandshake else wire
            getHandle = getattr(raw, "getHandle", None)
            handle = getHandle() if getHandle is not None else None
            if isinstance(handle, socket.socket):
                self._poll = poll()
                self._poll.register(handle.fileno(), POLLIN)
        if self._owner is not None:
            self._owner.connectionOpened(self)

    def adopt(self, owner: Owner) -> None:
        """
        From now on C{owner} is told.
        """
        self._owner = owner

    @property
    def handshakeDetails(self) -> Any:
        """
        The OpenSSL connection, while the transport is there; it knows why a
        handshake failed.
        """
        return self._tlsConnection

    @property
    def layers(self) -> Any:
        """
        The transport, for a look at its TLS; not for writing to it.
        """
        return self._wire.transport

    def expireIn(self, seconds: float | None) -> None:
        """
        Close, unless there is another request within C{seconds}.
        """
        self._wire.deadline.arm(seconds, Wait.IDLE)

    def handshakeCompleted(self) -> None:
        """
        TLS is established: what the application sends can be sent now.

        Twisted 24.7 says so also when the certificate was for another name;
        then it is closing the connection already.
        """
        if self.wantsHandshake and not self._wire.transport.disconnecting:
            self.wantsHandshake = False
            if self._owner is not None:
                self._owner.connectionReady(self)

    def isUsable(self) -> bool:
        """
        Whether an idle connection is still good for a request.

        The end of the connection, or bytes that nobody asked for, may have
        arrived already without the reactor having told us: a look at the
        socket finds that out before a request is risked on it.
        """
        return (
            self._mode == NOTHING
            and self._wire.closing is None
            and self._wire.transport is not None
            and not self._wire.eof
            and (self._poll is None or not self._poll.poll(0))
        )

    # -- sending ------------------------------------------------------------

    def start(self, request: ClientRequest, handler: ExchangeHandler) -> None:
        """
        Send a request.  The connection must be idle.
        """
        assert self._mode == NOTHING and self._wire.transport is not None, self
        self._request = request
        self._handler = handler
        self._mode = IN_HEAD
        self._bytesSeen = False
        self._persistent = request.persistent
        self.served += 1
        body = request.body
        if not request.fast:
            self._h11 = begin_exchange(request)
        if body is None:
            self._sendWhole(request, b"")
        elif (
            isinstance(body, bytes)
            and len(body) <= PIECE_LENGTH
            and not (request.expect or request.chunked)
        ):
            self._sendWhole(request, body)
        else:
            sender = self._sender = BodySender(self, request)
            self._wire.send(request.head)
            if request.report is not None:
                request.report("head sent", self)
            if self._sender is not sender:
                # Whoever was told has cancelled it.
                return
            if request.expect:
                self._wire.deadline.arm(request.settings.continueTimeout, Wait.CONTINUE)
            else:
                self._startBody()
            assert sender is not None
            return
        if request.report is not None:
            request.report("head sent", self)
            request.report("body sent", self)
            if self._request is not request:
                return
        if self.secure:
            self._passage = None
            if self.served > 1 and request.method not in request.settings.retryMethods:
                self._passage = TLSPassage(self._wire.transport, request, self._clock)
        self._rearm()

    def _sendWhole(self, request: ClientRequest, body: bytes) -> None:
        if request.fast:
            self._wire.send(request.head + body)
            return
        begun = self._wire.beginBatch()
        self._wire.send(request.head)
        if body:
            self.sendEvent(h11.Data(data=body))
        self.sendEvent(h11.EndOfMessage())
        self._wire.endBatch(begun)

    def _startBody(self) -> None:
        self._wire.deadline.disarm()
        if self._sender is not None:
            self._sender.start()
            self._rearm()

    def bodySent(self) -> None:
        """
        The whole request has been written.
        """
        self._sender = None
        if self._request is not None:
            if self._request.report is not None:
                self._request.report("body sent", self)
            self._rearm()

    def generationFailed(self, reason: Failure) -> None:
        """
        The producer of the body has failed.
        """
        self._break(reason, errors.Generation)

    def wireWaits(self) -> None:
        """
        Called by the wire: the server does not read.
        """
        self._fullSince = self._clock.seconds()
        if self._wire.deadline.waiting is not Wait.WRITE:
            self._rearm()

    def tellProducer(self, call: Callable[[], object]) -> bool:
        """
        Called by the wire: call a method of what produces the body.
        """
        try:
            call()
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._break(Failure(), errors.Generation)
        return True

    def wireWritable(self) -> None:
        """
        Called by the wire: the server reads again.
        """
        # A fast upload comes here with each write: the timer stays, and looks
        # at the clock when it is due.
        if self._mode != IN_HEAD or self._sender is None:
            self._rearm()

    # -- time ---------------------------------------------------------------

    def _rearm(self) -> None:
        """
        Set the timer to what is waited for now.
        """
        request = self._request
        if request is None or self._mode in (NOTHING, SWITCHING):
            return
        settings = request.settings
        if self._wire.full and (self._sender is not None or self._mode == IN_HEAD):
            self._wire.deadline.arm(settings.writeTimeout, Wait.WRITE)
        elif self._mode == IN_HEAD:
            sender = self._sender
            if sender is None:
                self._wire.deadline.arm(settings.headTimeout, Wait.HEAD)
            elif sender.started:
                self._wire.deadline.disarm()
        elif self._unclaimed is not None:
            self._wire.deadline.arm(settings.claimTimeout, Wait.CLAIM)
        elif self._held:
            self._wire.deadline.disarm()
        else:
            self._lastPiece = self._clock.seconds()
            self._wire.deadline.arm(settings.readTimeout, Wait.READ)

    def _writeTimedOut(self) -> None:
        if not self._wire.full:
            # It reads again; the next pause begins anew.
            self._rearm()
            return
        assert self._request is not None
        seconds = self._request.settings.writeTimeout
        if seconds is not None:
            left = self._fullSince + seconds - self._clock.seconds()
            if left > 0:
                self._wire.deadline.arm(left, Wait.WRITE)
                return
        self._timedOut("writeTimeout", "The server took nothing of the request for")

    def deadlineOver(self, wait: Enum) -> None:
        """
        Called by the wire: what was waited for has not happened in time.
        """
        if wait is Wait.READ:
            self._readTimedOut()
        elif wait is Wait.HEAD:
            self._headTimedOut()
        elif wait is Wait.WRITE:
            self._writeTimedOut()
        elif wait is Wait.CLAIM:
            self._claimTimedOut()
        elif wait is Wait.CONTINUE:
            self._startBody()
        else:
            self.loseConnection()

    def _headTimedOut(self) -> None:
        self._timedOut("headTimeout", "No response head came within")

    def _readTimedOut(self) -> None:
        # The timer is not pushed forward with each piece: the clock is read.
        assert self._request is not None
        seconds = self._request.settings.readTimeout
        if seconds is not None:
            left = self._lastPiece + seconds - self._clock.seconds()
            if left > 0:
                self._wire.deadline.arm(left, Wait.READ)
                return
        self._timedOut("readTimeout", "Nothing of the response body came for")

    def _claimTimedOut(self) -> None:
        self._timedOut("claimTimeout", "Nobody asked for the response body for")

    def _timedOut(self, name: str, what: str) -> None:
        assert self._request is not None
        seconds = getattr(self._request.settings, name)
        self._break(Failure(TimedOut(f"{what} {seconds:g} s")))

    # -- what the response asks for -----------------------------------------

    def claimBody(self, response: Response) -> None:
        """
        Somebody reads the body now.
        """
        if self._mode == SWITCHING:
            # There is no body, and nobody will take the connection.
            self._takeResponse()
            self._mode = NOTHING
            self._request = None
            self._abort()
            response._ended()
            return
        self._unclaimed = None
        self._body = response
        self._wire.release(CONSUMER)
        self._rearm()

    def holdBody(self, held: bool) -> None:
        """
        The reader of the body is paused, or goes on.
        """
        self._held = held
        if held:
            self._wire.hold(APPLICATION)
        else:
            self._wire.release(APPLICATION)
        self._rearm()

    def abortResponse(self, reason: Failure) -> None:
        """
        The rest of the body is not wanted.
        """
        self._break(reason)

    def switchFor(self, response: Response, protocol: IProtocol) -> None:
        """
        Give the connection away.
        """
        if self._mode != SWITCHING:
            raise RuntimeError("The server has not switched to another protocol")
        self._takeResponse()
        self._mode = NOTHING
        request, self._request = self._request, None
        self._tellGone(connectionDone)
        response._connection = None
        if request is not None and request.report is not None:
            request.report("ended", self)
        self.switchProtocol(protocol)

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        data = bytes(self._buffer)
        self._buffer.clear()
        return data, self._wire.eof

    def _abandoned(self, reference: weakref.ref[Response]) -> None:
        """
        The response was thrown away and its body with it.
        """
        if self._unclaimed is reference:
            self._break(Failure(ConnectionAborted()))

    # -- the end ------------------------------------------------------------

    def cancelRequest(self, request: ClientRequest) -> None:
        """
        The answer to the request is not wanted any more.  By now the connection may
        have another one.
        """
        if self._request is not request:
            return
        if self._sender is not None:
            self._break(Failure(CancelledError()), errors.Generation)
        else:
            self._break(Failure(CancelledError()))

    def breakOff(self, reason: Failure, request: ClientRequest | None = None) -> None:
        """
        Give the exchange up, and the connection.

        @param request: only if it still has this request.
        """
        if request is None or self._request is request:
            self._break(reason)

    def _break(
        self, reason: Failure, kind: Any = None, nothingSent: bool = False
    ) -> None:
        """
        The exchange has failed: drop the connection and tell whoever waits.
        """
        if self._mode == NOTHING:
            return
        mode = self._mode
        request = self._request
        handler, self._handler = self._handler, None
        sender, self._sender = self._sender, None
        sending = sender is not None
        response = self._takeResponse()
        bytesSeen = self._bytesSeen
        self._mode = NOTHING
        self._request = None
        self._interim = None
        self._h11 = None
        passage, self._passage = self._passage, None
        if passage is not None:
            passage.cancel()
        self._buffer.clear()
        self._abort()
        # All that is called from here on is the application's, or calls it.
        if sender is not None:
            sender.stop()
        assert request is not None
        elapsed = self._clock.seconds() - request.started
        late = isinstance(reason.value, TimedOut)
        if mode == IN_HEAD:
            phase = errors.SENDING if sending or kind else errors.HEAD
            if kind is None:
                if bytesSeen:
                    kind = errors.FailedTimedOut if late else errors.Failed
                elif sending:
                    kind = errors.TransmissionTimedOut if late else errors.Transmission
                elif late:
                    kind = errors.NeverReceivedTimedOut
                else:
                    kind = errors.NeverReceived
            failure = errors.wrap(kind, phase, elapsed, reason)
            if request.report is not None:
                request.report("ended", self, failure)
            if handler is not None:
                handler.requestFailed(failure, nothingSent)
            return
        failure = errors.wrap(
            errors.FailedTimedOut if late else errors.Failed,
            errors.BODY,
            elapsed,
            reason,
            response=response,
        )
        if request.report is not None:
            request.report("ended", self, failure)
        if response is not None:
            response._ended(failure)

    def wireClosing(self) -> None:
        """
        Called by the wire: the connection is about to close.
        """
        if self._owner is not None:
            self._owner.connectionClosing(self)

    def _abort(self) -> None:
        super()._abort()
        if self._owner is not None:
            self._owner.connectionClosing(self)

    def readConnectionLost(self) -> None:
        """
        The server will send nothing more.
        """
        self._wire.eof = True
        if self._mode == SWITCHING:
            return
        if self._wire.closing is not None:
            super().readConnectionLost()
            return
        self._ended(Failure(ConnectionDone()), self._wire.transport)
        if self._wire.closing is None:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone.
        """
        # Tests call it with None.
        reason = reason or connectionDone
        self._gone = True
        self._poll = None
        wire = self._wire.transport
        if self.wantsHandshake:
            self._tlsConnection = wire.getHandle()
        super().connectionLost(reason)
        self._ended(reason, wire)
        self._tellGone(reason)

    def _noneLeft(self, wire: Any) -> bool:
        """
        Whether it is certain that nothing of the request has left.
        """
        passage = self._passage
        if passage is not None and passage.waiting:
            return True
        request = self._request
        return request is not None and none_left(wire, request, self._sender)

    def _tellGone(self, reason: Failure) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.connectionGone(self, reason)

    def _ended(self, reason: Failure, wire: Any) -> None:
        """
        No more bytes will come: what does that mean for the response?
        """
        mode = self._mode
        if mode == NOTHING:
            return
        if mode == IN_HEAD:
            self._break(reason, None, not self._bytesSeen and self._noneLeft(wire))
            return
        left = self._left
        if mode != SWITCHING and left == UNTIL_CLOSE and reason.check(ConnectionDone):
            # TLS tells a complete end from a cut; a bare socket does not.
            self._persistent = False
            loss = None
            if not self.secure:
                text = "Only the end of the connection ended the body"
                loss = errors.adopt(Failure(PotentialDataLoss(text)))
            self._bodyEnded(True, loss)
            return
        if mode == SWITCHING or left == UNTIL_CLOSE:
            error = UnexpectedEnd("The connection broke")
        elif left == CHUNKED:
            error = UnexpectedEnd("The connection ended before the last chunk")
        else:
            error = UnexpectedEnd(
                f"The connection ended {left} bytes before the body did"
            )
        error.__cause__ = reason.value
        self._break(Failure(error))
