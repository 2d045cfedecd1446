"""
One server connection: requests in, responses out, strictly in order.

A L{Channel} is what C{request.channel} is to the requests of twisted.web, and
keeps all that they, and the frameworks on top of them, use of it.  Below it is
h11, through L{H11Protocol}.

B{Reading.}  h11 never gives bytes back, so it is never fed beyond the current
message.  What arrives waits in C{_buffer}; C{_read} names the method that may
look at it now:

  - C{_readHead}: between messages.  The head is found by its empty line, judged
    by L{twisted_h11._strict}, then given to h11.  Both must agree.
  - C{_readBody}: as many bytes as belong to the message go to h11.
  - C{_readNothing}: the request is complete; what follows waits for the
    response.  Reading goes on for a few bytes more (C{Limits.readAhead}), since
    a transport that is paused does not notice that its peer has gone.

Each returns whether there is something for the next one to do, and a loop calls
them; so a thousand pipelined requests that are answered at once need a loop,
not a stack.  No request is begun while the peer does not take our bytes: that
is what bounds the memory of a peer that sends requests and reads no responses.

B{Writing.}  C{_answer} is the response head that was sent, C{_answerLeft} what
is missing of its content.  An application that sends too much, too little, or
fails in the middle, ends the connection: it is never made to look as if the
response had been complete.

B{The end of a cycle} is in C{_endCycle}: the next request, or the end of the
connection, in stages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import h11
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IProtocol, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import INonQueuedRequestFactory

from twisted_h11._flow import APPLICATION, READ_AHEAD
from twisted_h11._outgoing import BadResponse, ResponseHead, Unchunker, error_response
from twisted_h11._refused import RefusedRequest
from twisted_h11._strict import (
    ChunkScanner,
    Refused,
    RequestHead,
    check_partial_head,
    check_request_head,
)
from twisted_h11.protocol import H11Protocol

if TYPE_CHECKING:
    from twisted_h11.server import Site

__all__ = ["Channel"]


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
        self._channel._hold(APPLICATION)

    def resumeProducing(self) -> None:
        """
        Read from the network again, as far as we are concerned.
        """
        self._channel._release(APPLICATION)


class Channel(H11Protocol):
    """
    One connection of a L{Site<twisted_h11.server.Site>}.

    @ivar site: the site; C{factory} is the same object.
    @ivar requestFactory: what makes a request, called with the channel.
    @ivar timeOut: seconds that the connection may be idle; C{None} for ever.
    @ivar persistent: whether another request may follow the current one.  An
        application may set it to a false value.
    """

    site: Site | None = None
    factory: Any = None
    requestFactory: Any = None
    timeOut: float | None = 75
    persistent: Any = True

    _buffer = b""
    _start = 0
    _scanned = 0
    _read = "_readHead"
    _advancing = False
    _skippedLine = False
    _draining = False
    _handOver: tuple[IProtocol, bytes] | None = None

    # The current cycle.
    _head: RequestHead | None = None
    _request: Any = None
    _bodyLeft: int | None = 0
    _chunks: ChunkScanner | None = None
    _received = 0
    _answer: ResponseHead | None = None
    _answerLeft: int | None = None
    _answerOver = False
    _unchunker: Unchunker | None = None
    _complained = False

    def __repr__(self) -> str:
        if self._request is not None and self._closing is None:
            return f"<Channel {self._read[1:]} for {self._request!r}>"
        return super().__repr__()

    # -- from the transport ---------------------------------------------------

    def connectionMade(self) -> None:
        """
        Wait for the first byte.
        """
        super().connectionMade()
        timeout = self.limits.firstByteTimeout
        if timeout is not None and self.timeOut is not None:
            timeout = min(timeout, self.timeOut)
        self._arm(None if self.timeOut is None else timeout, "_idleTimedOut")

    def dataReceived(self, data: bytes) -> None:
        """
        Take bytes, and do everything that can be done with them.
        """
        if self._dropping is not None:
            self._drop(len(data))
            return
        if self._start < len(self._buffer):
            self._buffer = self._buffer[self._start :] + data
            self._scanned -= self._start
        else:
            self._buffer = data
            self._scanned = 0
        self._start = 0
        self._advance()

    def readConnectionLost(self) -> None:
        """
        The client will send nothing more, but may still read.
        """
        self._eof = True
        if self._dropping is not None:
            if self._closing == "_linger":
                self._loseNow()
            return
        if self._request is not None:
            self._arm(self.limits.halfCloseTimeout, "_abort")
        self._advance()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the request, and drop everything.
        """
        request, self._request = self._request, None
        super().connectionLost(reason)
        self._forget()
        self._buffer = b""
        self._start = 0
        if request is not None:
            request.connectionLost(reason)

    def _forget(self) -> None:
        """
        The site has nothing to do with this connection any more.
        """
        site = self.site
        if site is not None:
            site._channelGone(self)

    def _letGo(self) -> None:
        super()._letGo()
        self._forget()

    # -- the loop -----------------------------------------------------------------

    def _advance(self) -> None:
        """
        Do all that can be done with the bytes that are here.
        """
        if self._advancing:
            return
        self._advancing = True
        begun = self._batch()
        try:
            while self._closing is None and self._wire is not None:
                if not getattr(self, self._read)():
                    break
        except Refused as refused:
            self._refuse(refused.status, refused.reason)
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, "The request is malformed.")
        finally:
            self._advancing = False
            self._endBatch(begun)
        if self._handOver is not None:
            self._deliverHandOver()
        elif self._wire is None:
            self._deliverToSuccessor()
        elif self._closing is None:
            self._balance()

    def _balance(self) -> None:
        """
        Pause the network when enough waits that we can not look at now.
        """
        if self._read == "_readNothing" or self._writeFull:
            if len(self._buffer) - self._start > self.limits.readAhead:
                self._hold(READ_AHEAD)
        else:
            self._release(READ_AHEAD)

    def _writable(self) -> None:
        if self._closing is None and self._read == "_readHead":
            if self._wait is None and not self._eof:
                self._arm(self.timeOut, "_idleTimedOut")
            self._advance()

    # -- the head -------------------------------------------------------------------

    def _readHead(self) -> bool:
        buffer = self._buffer
        start = self._start
        if start >= len(buffer):
            if self._eof:
                self.loseConnection()
            return False
        if self._writeFull or self._sending is not None:
            return False
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
        end += 4
        raw = buffer[start:end]
        head = check_request_head(raw, self.limits)
        self._start = end
        self._scanned = 0
        self._skippedLine = False
        self._beginCycle(head, raw)
        return True

    def _waitForHead(self) -> bool:
        if self._eof:
            raise Refused(400, "The request is incomplete.")
        if self._wait != "_headTimedOut" and self.timeOut is not None:
            self._arm(self.limits.headTimeout, "_headTimedOut")
        return False

    def _beginCycle(self, head: RequestHead, raw: bytes) -> None:
        """
        A request head is here: give it to h11, and make a request of it.
        """
        if not self._eof:
            self._disarm()
        self._head = head
        self._answer = None
        self._answerLeft = None
        self._answerOver = False
        self._unchunker = None
        self._complained = False
        self._received = 0
        self._read = "_readBody"
        conn = self.h11Connection
        conn.receive_data(raw)
        event = conn.next_event()
        if (
            type(event) is not h11.Request
            or event.method != head.method
            or event.target != head.target
        ):
            raise Refused(400, "The request is malformed.")
        self.persistent = head.keepAlive and not self._draining
        most = self.limits.maxBodyLength
        length = head.length
        self._bodyLeft = length
        if length is None:
            self._chunks = ChunkScanner(self.limits, most)
        else:
            self._chunks = None
            if most is not None and length > most:
                raise Refused(413, "The request body is too long.")
        self._request = request = self._makeRequest(head)
        if request is not None and head.expectsContinue:
            self._sendContinue()

    def _makeRequest(self, head: RequestHead) -> Any:
        """
        Make the request object, as L{twisted.web.http.HTTPChannel} would.
        """
        try:
            factory = self.requestFactory
            if INonQueuedRequestFactory.providedBy(factory):
                request = factory(self)
            else:
                request = factory(self, 0)
            if getattr(request, "leavesFraming", False):
                request.rawFields = head.fields
            addRawHeader = request.requestHeaders.addRawHeader
            for name, value in head.fields:
                addRawHeader(name, value)
            request.parseCookies()
            request.gotLength(head.length)
        except Exception:
            self._log.failure("A request could not be made")
            self._refuse(500, "The server failed.")
            return None
        return request

    def _sendContinue(self) -> None:
        """
        Ask for the body, unless some of it is here (RFC 9110 section 10.1.1).
        """
        conn = self.h11Connection
        if (
            self._start >= len(self._buffer)
            and self._bodyLeft != 0
            and conn.they_are_waiting_for_100_continue
        ):
            self.sendEvent(
                h11.InformationalResponse(
                    status_code=100, headers=[], reason=b"Continue"
                )
            )

    # -- the body -------------------------------------------------------------------

    def _readBody(self) -> bool:
        start = self._start
        waiting = len(self._buffer) - start
        chunks = self._chunks
        if chunks is not None:
            end = chunks.scan(self._buffer, start)
        else:
            assert self._bodyLeft is not None
            end = start + min(waiting, self._bodyLeft)
            self._bodyLeft -= end - start
        if end > start:
            piece = self._buffer
            if start or end < len(piece):
                piece = piece[start:end]
            self._start = end
            self.h11Connection.receive_data(piece)
        elif self._bodyLeft != 0:
            if self._eof:
                raise Refused(400, "The request is incomplete.")
            return False
        return self._takeEvents()

    def _takeEvents(self) -> bool:
        """
        Hand over what h11 made of the bytes it has.

        @return: whether the body has ended.
        """
        conn = self.h11Connection
        while True:
            event = conn.next_event()
            if type(event) is h11.Data:
                self._bodyReceived(bytes(event.data))
            elif type(event) is h11.EndOfMessage:
                self._bodyEnded()
                return True
            else:
                if self._closing is None and not self._eof and self._wait is None:
                    self._arm(self.timeOut, "_bodyTimedOut")
                return False
            if self._closing is not None:
                return False

    def _bodyReceived(self, data: bytes) -> None:
        self._received += len(data)
        request = self._request
        if request is None:
            # The response has ended before the request (RFC 9110 section 9.3
            # lets it): the rest is read and dropped, if there is not too much.
            if self._received > self.limits.drainLength:
                self._closeInStages()
            return
        if self._wait == "_bodyTimedOut":
            self._arm(self.timeOut, "_bodyTimedOut")
        try:
            request.handleContentChunk(data)
        except Exception:
            self._log.failure("A request could not take its body")
            self._applicationFailed()

    def _bodyEnded(self) -> None:
        self._read = "_readNothing"
        if not self._eof:
            self._disarm()
        request = self._request
        head = self._head
        if request is None:
            self._endCycle()
            return
        assert head is not None
        try:
            request.requestReceived(head.method, head.target, head.version)
        except Exception:
            self._log.failure("A request failed")
            if self._request is request:
                self._applicationFailed()

    def _readNothing(self) -> bool:
        return False

    # -- the response, as a request writes it ------------------------------------------

    def writeHeaders(
        self,
        version: bytes,
        code: bytes,
        reason: bytes,
        headers: Headers | Iterable[tuple[bytes, bytes]],
    ) -> None:
        """
        Send a response head.  If it can not be sent, a 500 goes out instead.

        @param version: not used; h11 knows the client's version.
        @param code: the status, for example C{b"200"}.
        @param reason: the reason phrase.
        @param headers: the fields.
        """
        head = self._head
        if self._wire is None or head is None or self._answer is not None:
            return
        if isinstance(headers, Headers):
            pairs = [(k, v) for k, vs in headers.getAllRawHeaders() for v in vs]
        else:
            pairs = list(headers)
        if self.site is not None and self.site.extraHeaders:
            pairs += self.site.extraHeaders
        try:
            answer = ResponseHead(int(code), reason, pairs, head.method)
        except BadResponse as error:
            self._answerFailed(error)
            return
        if answer.close or (head.method == b"CONNECT" and answer.status >= 300):
            self.persistent = False
        if not self.persistent and not answer.close:
            answer.fields.append((b"Connection", b"close"))
        self._answer = answer
        self._answerLeft = answer.length if answer.hasContent else 0
        self.sendEvent(
            h11.Response(
                status_code=answer.status, headers=answer.fields, reason=answer.reason
            )
        )

    def startResponse(
        self, code: bytes, reason: bytes, headers: Headers, data: bytes
    ) -> bool:
        """
        Send a response head and its first content in one write.

        @return: whether the response has content on the wire.
        """
        self._joining += 1
        try:
            self.writeHeaders(b"HTTP/1.1", code, reason, headers)
            self.sendContent(data)
        finally:
            self._joining -= 1
        if self._pending and not (self._joining or self._batching):
            self._flush()
        return self._answer is not None and self._answer.hasContent

    def write(self, data: bytes) -> None:
        """
        Send content of a response.  For a request that frames its chunks by
        itself, as twisted.web's do, the framing is taken off.  Before a
        response head it is a raw response, and goes out as it is.
        """
        request = self._request
        if self._answer is None:
            if request is not None and not self._answerOver:
                self._send(data)
            return
        if getattr(request, "chunked", False) and self._framesItself():
            if self._unchunker is None:
                self._unchunker = Unchunker()
            try:
                data = self._unchunker.unframe(data)
            except BadResponse as error:
                self._complain("{error}", error=error)
                self.failResponse()
                return
        self.sendContent(data)

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Send content of a response; see L{write}.
        """
        self.write(b"".join(parts))

    def _framesItself(self) -> bool:
        """
        Whether the request's C{write} calls C{toChunk}.  Ours says not.
        """
        return not getattr(self._request, "leavesFraming", False)

    def sendContent(self, data: bytes) -> None:
        """
        Send content of the current response.

        @param data: content, not framed.  What is more than the response's
            C{Content-Length} is dropped.
        """
        answer = self._answer
        if not data or answer is None or self._answerOver or not answer.hasContent:
            return
        left = self._answerLeft
        if left is not None:
            if len(data) > left:
                self._complain(
                    "{request} sent more than its Content-Length", request=self._request
                )
                self.persistent = False
                data = data[:left]
                if not data:
                    return
            self._answerLeft = left - len(data)
        self.sendEvent(h11.Data(data=data))

    def requestDone(self, request: Any) -> None:
        """
        The request's response has ended.

        @raise TypeError: if it is not the current request.
        """
        if request is not self._request:
            if self._wire is None or self._closing is not None:
                return
            raise TypeError(f"{request!r} is not the request that is answered now")
        self._request = None
        if self._wire is None or self._closing is not None:
            return
        answer = self._answer
        if answer is None:
            # A raw response: only its writer knows how it is framed.
            self._closeInStages()
        elif self._answerOver:
            self._closeInStages()
        elif answer.hasContent and self._answerLeft:
            self._complain(
                "{request} sent less than its Content-Length", request=request
            )
            self._answerOver = True
            self.h11Connection.send_failed()
            self._closeInStages()
        else:
            if self.h11Connection.our_state is h11.SEND_BODY:
                self.sendEvent(h11.EndOfMessage())
            self._answerOver = True
            self._endCycle()

    def failResponse(self) -> None:
        """
        End the connection in the middle of a response, so that the client
        knows that it is not complete.
        """
        self._answerOver = True
        self.persistent = False
        if self._wire is None or self._closing is not None:
            return
        conn = self.h11Connection
        answer = self._answer
        # Without a length and without chunks, the end of the connection is the
        # end of the response; only a reset tells that it is not whole.
        delimitedByClose = (
            answer is not None
            and answer.hasContent
            and self._answerLeft is None
            and self._head is not None
            and self._head.version == b"HTTP/1.0"
        )
        conn.send_failed()
        if delimitedByClose:
            self._abort()
        else:
            self._closeInStages()

    def _answerFailed(self, error: BadResponse) -> None:
        """
        The application's response head can not be sent.
        """
        self._log.error(
            "{request} gave a response that can not be sent: {error}",
            request=self._request,
            error=str(error),
        )
        request = self._request
        if request is not None:
            request.code = 500
        self._sendError(500, "The server failed.")

    def _complain(self, text: str, **kwargs: Any) -> None:
        """
        Log a fault of the application, once in a cycle.
        """
        if not self._complained:
            self._complained = True
            self._log.error(text, **kwargs)

    def _applicationFailed(self) -> None:
        """
        The application raised: 500 if nothing was sent, else the end.
        """
        request, self._request = self._request, None
        if self._answer is None and not self._answerOver:
            self._sendError(500, "The server failed.")
        else:
            self.failResponse()
        if request is not None:
            request.connectionLost(Failure(ConnectionDone("The request failed.")))

    # -- the end of a cycle -----------------------------------------------------------

    def drain(self) -> None:
        """
        Close as soon as nothing is under way: at once if idle, else after the
        current response, which says C{Connection: close} if it still can.
        """
        self._draining = True
        self.persistent = False
        if self._read == "_readHead" and self._start >= len(self._buffer):
            self.loseConnection()

    def _endCycle(self) -> None:
        """
        The response has ended; has the request?  Then begin the next cycle.
        """
        conn = self.h11Connection
        if self._read == "_readBody":
            left = self._bodyLeft
            if (
                not self.persistent
                or (left is not None and left > self.limits.drainLength)
                or conn.our_state is not h11.DONE
            ):
                self._closeInStages()
            else:
                self._received = 0
                self._arm(self.timeOut, "_bodyTimedOut")
            return
        if not self.persistent or conn.our_state is not h11.DONE:
            self._closeInStages()
            return
        conn.start_next_cycle()
        self._head = None
        self._answer = None
        self._answerOver = False
        self._read = "_readHead"
        if self._eof:
            pass
        elif self._writeFull:
            # The peer has yet to take what we wrote: it is not idle.
            self._disarm()
        else:
            self._arm(self.timeOut, "_idleTimedOut")
        self._advance()

    def _refuse(self, status: int, reason: str) -> None:
        """
        Answer a request that the application never sees, and close.
        """
        request, self._request = self._request, None
        if request is not None:
            request.connectionLost(Failure(ConnectionDone(reason)))
        self._log.info(
            "Refused a request from {peer} with {status}: {reason}",
            peer=self.getPeer(),
            status=status,
            reason=reason,
        )
        if self._answer is not None or self._answerOver:
            # The response to this request is out already.
            self._closeInStages()
            return
        length = self._sendError(status, reason)
        if self.site is not None:
            self.site.log(
                RefusedRequest(
                    self.getPeer(), self._head, self._partial(), status, length
                )
            )

    def _partial(self) -> bytes:
        """
        What is known of a request whose head was refused.
        """
        return self._buffer[self._start : self._start + self.limits.maxHeadLength]

    def _sendError(self, status: int, reason: str) -> int:
        """
        Send a response of our own, and close.

        @return: the length of its content.
        """
        self._answerOver = True
        self.persistent = False
        site = self.site
        data, length = error_response(
            status,
            reason,
            site.serverHeader if site is not None else None,
            site.extraHeaders if site is not None else (),
            self._head.method if self._head is not None else None,
        )
        if self._h11 is not None:
            self._h11.send_failed()
        self._send(data)
        self._closeInStages()
        return length

    # -- time-outs ---------------------------------------------------------------------

    def _idleTimedOut(self) -> None:
        self._log.debug("Timing out idle client {peer}", peer=self.getPeer())
        self.loseConnection()

    def _headTimedOut(self) -> None:
        self._refuse(408, "The request head did not arrive in time.")

    def _bodyTimedOut(self) -> None:
        self._refuse(408, "The request body did not arrive in time.")

    def setTimeout(self, period: float | None) -> float | None:
        """
        Change the idle time-out of this connection.

        @param period: seconds, or C{None} for no time-out.
        @return: what it was.
        """
        before, self.timeOut = self.timeOut, period
        if self._wait in ("_idleTimedOut", "_bodyTimedOut", "_headTimedOut"):
            self._arm(period, self._wait)
        return before

    def resetTimeout(self) -> None:
        """
        Begin the current wait anew, if it is one for the client.
        """
        if self._wait in ("_idleTimedOut", "_bodyTimedOut"):
            self._arm(self.timeOut, self._wait)

    # -- more of twisted.web's HTTPChannel ------------------------------------------------

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        address: IAddress = self._wire.getPeer()
        return address

    def getHost(self) -> IAddress:
        """
        Our own address.
        """
        address: IAddress = self._wire.getHost()
        return address

    def isSecure(self) -> bool:
        """
        Whether the transport is TLS.
        """
        return ISSLTransport.providedBy(self._wire)

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

    # -- upgrades --------------------------------------------------------------------------

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        trailing = b"" if self._h11 is None else self._h11.trailing_data[0]
        trailing += self._buffer[self._start :]
        self._buffer = b""
        self._start = 0
        return trailing, self._eof

    def _protocolUpgradeForWebsockets(self, protocol: IProtocol) -> None:
        """
        Called by L{twisted.web.websocket.WebSocketResource}, before it writes
        its own 101 response to the transport.
        """
        trailing, closed = self._takeTrailingData()
        self._h11 = None
        self.switchProtocol(protocol)
        if trailing:
            # Frames that came together with the handshake belong to the new
            # protocol, but not before the response is out.
            self._handOver = (protocol, trailing)
            if not self._advancing:
                self.callLater(0, self._deliverHandOver)

    def _deliverHandOver(self) -> None:
        assert self._handOver is not None
        protocol, trailing = self._handOver
        self._handOver = None
        protocol.dataReceived(trailing)

    def _deliverToSuccessor(self) -> None:
        """
        Somebody took the transport (autobahn, daphne): what came with the
        handshake belongs to the protocol that is there now.
        """
        trailing = self._takeTrailingData()[0]
        taken, self._taken = self._taken, None
        if taken is None or not trailing:
            return
        for name in ("wrappedProtocol", "protocol"):
            successor = getattr(taken, name, None)
            if successor is not None and successor is not self:
                successor.dataReceived(trailing)
                return
