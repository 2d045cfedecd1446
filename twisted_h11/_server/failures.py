"""
When a server connection goes wrong: refusals, failures, clients that do not take.

Whatever happens, three things hold: the client can tell a response that is not
complete from one that is; the connection is not used again; and there is one
line in the log that says why.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_h11._boundary.guarded import guarded
from twisted_h11._http.response_head import ResponseHead, error_response
from twisted_h11._http.strict import RequestHead
from twisted_h11._server.interfaces import Served
from twisted_h11._server.refused import RefusedRequest
from twisted_h11._server.telling import Telling
from twisted_h11._wire.backlog import Backlog
from twisted_h11._wire.drained import Waiting, client_gone
from twisted_h11._wire.progress import bytes_taken

__all__ = ["Failing"]


class Failing(Telling):
    """
    One connection, seen from its ends.

    @ivar site: the site; C{factory} is the same object.
    @ivar persistent: whether another request may follow the current one.  An
        application may set it to a false value.
    @ivar countedHost: the address under which the site counts this connection.
    """

    _log = Logger()

    site: Served | None = None
    factory: Any = None
    persistent: Any = True
    countedHost: str | None = None

    # The current cycle, as far as it is needed here: the request's head, the
    # request, the response head that was sent, how much of the content is
    # missing (None if no length was said), and whether the response is over.
    _head: RequestHead | None = None
    _request: Any = None
    _answer: ResponseHead | None = None
    _answerLeft: int | None = None
    _answerOver = False
    _complained = False

    _peer: Any = None
    _stallCall: IDelayedCall | None = None
    _resumes = 0
    _backlog: Backlog | None = None
    _drainWaiting: Waiting | None = None
    _lastTaken: tuple[int, int, int | None] = (0, 0, None)

    def failResponse(self) -> None:
        """
        End the connection in the middle of a response, so that the client
        knows that it is not complete.
        """
        answered, self._answerOver = self._answerOver, True
        self.persistent = False
        if self._wire.transport is None or self._wire.closing is not None:
            return
        # How a raw response is delimited only its writer knows.
        raw = self._answer is None and not answered
        byClose = not answered and self._endsWithConnection()
        self._failState()
        if byClose or raw:
            self._abort()
        else:
            self._closeInStages()

    def _endsWithConnection(self) -> bool:
        """
        Whether the response has neither a length nor chunks, so that the end of
        the connection is its end; then only a reset tells that it is not whole.
        """
        answer = self._answer
        return (
            answer is not None
            and answer.hasContent
            and self._answerLeft is None
            and self._head is not None
            and not self._head.chunkedAllowed
        )

    def loseConnection(self) -> None:
        """
        Close the connection after what was written has gone out; or reset it, if a
        response that is not complete would look as if it were.
        """
        if not self._answerOver and self._endsWithConnection():
            self.failResponse()
        else:
            super().loseConnection()

    def _failState(self) -> None:
        if self._h11 is not None:
            self._h11.send_failed()

    def _answerFailed(self, error: Exception) -> None:
        """
        The application's response head can not be sent.
        """
        request = self._request
        self._log.error(
            "{request} gave a response that can not be sent: {error}",
            request=request,
            error=str(error),
        )
        self._answer = None
        if request is not None:
            request.code = 500
        self._sendError(500, "The server failed.", self._method())

    def _method(self) -> bytes:
        return self._head.method if self._head is not None else b"-"

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
        if self._begun(request):
            self.failResponse()
        else:
            self._sendError(500, "The server failed.", self._method())
        self._tellLost(request, "The request failed.")

    def _tellLost(self, request: Any, reason: str) -> None:
        """
        Tell a request that nothing more of it will be sent.
        """
        if request is not None:
            lost = Failure(ConnectionDone(reason))
            guarded("A request's connectionLost", request.connectionLost, lost)

    def failRequest(self, request: Any) -> None:
        """
        The request can not be answered any further: 500 if nothing was sent, else
        the end of the connection, by which the client can tell.  The request is
        told that it is over.
        """
        if request is self._request:
            self._applicationFailed()

    def producing(self) -> object:
        """
        Called by the wire: the producer produces content of this request's response.
        """
        return self._request

    def producerFailed(self, what: object) -> None:
        """
        Called by the wire: the producer has raised.
        """
        if what is not None and what is self._request:
            self._applicationFailed()

    def _begun(self, request: Any) -> bool:
        """
        Whether some of the response may be out: ours, or a raw one.
        """
        return (
            self._answer is not None
            or self._answerOver
            or bool(getattr(request, "startedWriting", False))
        )

    def _refuse(self, status: int, reason: str) -> None:
        """
        Answer a request that the application never sees, and close.
        """
        peer = self.getPeer()
        request, self._request = self._request, None
        self._log.info(
            "Refused a request from {peer} with {status}: {reason}",
            peer=peer,
            status=status,
            reason=reason,
        )
        if self._begun(request):
            # The response to this request is on its way.
            self.failResponse()
            self._tellLost(request, reason)
            return
        partial = b""
        if self._head is None:
            partial = self._buffer[self._start :][: self.limits.maxHeadLength]
        refused = RefusedRequest(peer, self._head, partial, status)
        refused.sentLength = self._sendError(status, reason, refused.method)
        if self.site is not None:
            guarded("The access log", self.site.log, refused)
        self._tellLost(request, reason)

    def _sendError(self, status: int, reason: str, method: bytes) -> int:
        """
        Send a response of our own, and close.

        @param method: of the request; HEAD gets no content.
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
            method,
        )
        self._failState()
        self._wire.send(data)
        self._closeInStages()
        return length

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        peer: IAddress | None = self._peer
        if peer is None:
            peer = self._wire.transport.getPeer()
            if self._head is not None:
                # Sooner it may not be the last word: the PROXY protocol tells it
                # with the first bytes.
                self._peer = peer
        return peer

    # -- a client that does not take its response -------------------------------

    def wireWaits(self) -> None:
        """
        Called by the wire: the client does not read as fast as we write.
        """
        if self._stallCall is None and self._wire.transport is not None:
            self._watchPeer()

    def wireTaken(self) -> None:
        """
        Called by the wire: the client makes progress.
        """
        self._resumes += 1
        self._forgetBacklog()
        super().wireTaken()

    def wireWritable(self) -> None:
        """
        Called by the wire: more may be written.
        """
        if self._drainWaiting is not None:
            while self._hasRoom() and self._drainWaiting.next():
                pass

    def drained(self) -> Deferred[None]:
        """
        Wait until the client has taken what was written, but for a little.

        @return: fires with C{None}, at once if there is room; fails with
            L{ConnectionLost} if the connection ends before.  It may be cancelled.
        """
        if self._wire.transport is None or self._wire.closing is not None:
            return client_gone()
        if self._hasRoom():
            return succeed(None)
        if self._drainWaiting is None:
            self._drainWaiting = Waiting()
        return self._drainWaiting.add()

    def _hasRoom(self) -> bool:
        return self._wire.hasRoom and self._wire.closing is None

    def _failDrained(self) -> None:
        waiting, self._drainWaiting = self._drainWaiting, None
        if waiting is not None:
            waiting.fail()

    def _countUnsent(self, length: int) -> None:
        """
        So many bytes are written although the client does not keep up.
        """
        if self._backlog is None:
            self._backlog = Backlog(self)
        self._backlog.add(length)

    def _forgetBacklog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.end()

    def _isAnswering(self) -> bool:
        """
        Whether the application may still write to the current response.
        """
        return (
            self._wire.transport is not None
            and self._wire.closing is None
            and self._request is not None
            and not self._answerOver
        )

    def _tooMuchUnsent(self, length: int) -> None:
        """
        The application writes faster than the client reads, and can not be
        stopped.
        """
        self._complain(
            "{request} has {length} bytes that {peer} has not taken yet, and is not "
            "over: more than writeBufferLength, {most}; the connection is dropped",
            request=self._request,
            length=length,
            peer=self.getPeer(),
            most=self.limits.writeBufferLength,
        )
        self._abort()

    def _watchPeer(self) -> None:
        if self.limits.minResponseRate is not None:
            self._lastTaken = self._whatIsTaken()
            self._stallCall = self.callLater(self.limits.rateWindow, self._checkPeer)

    def _whatIsTaken(self) -> tuple[int, int, int | None]:
        queue = self._wire.queue
        left = 0
        if queue is not None and queue.sender is not None:
            left = queue.sender.left
        return self._resumes, left, bytes_taken(self._wire.transport)

    def _checkPeer(self) -> None:
        """
        A window is over: has the client taken enough in it?
        """
        self._stallCall = None
        rate = self.limits.minResponseRate
        if rate is None or self._wire.transport is None:
            return
        queue = self._wire.queue
        if not self._wire.full and (queue is None or queue.sender is None):
            return
        resumes, left, taken = self._lastTaken
        now = self._whatIsTaken()
        if now[:2] == (resumes, left):
            least = rate * self.limits.rateWindow
            if taken is None or now[2] is None or now[2] - taken < least:
                self._log.info(
                    "{peer} does not take its response; the connection is dropped",
                    peer=self.getPeer(),
                )
                self._abort()
                return
        self._watchPeer()

    def wireEnded(self) -> None:
        """
        Called by the wire: nobody takes anything any more.
        """
        super().wireEnded()
        self._forgetBacklog()
        call, self._stallCall = self._stallCall, None
        if call is not None and call.active():
            call.cancel()
