"""
The features of a request that twisted.web's does not have.

Its body as a stream, trailers both ways, interim responses, giving the
connection to another protocol, and files as content.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from io import BytesIO
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from twisted.web.http import OK
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from twisted_h11._boundary.checks import (
    INT,
    PAIRS,
    PROTOCOL,
    Kind,
    checked,
    optional,
    wrong,
)
from twisted_h11._boundary.twisted_private import set_known
from twisted_h11._http.lists import has_member
from twisted_h11._server.body import RequestBody, SpooledBody
from twisted_h11._server.rendering import Rendering
from twisted_h11._server.sending import send_interim, send_region, switch
from twisted_h11._wire.delivery import BodyIterator
from twisted_h11._wire.drained import Gate, client_gone
from twisted_h11._wire.files import FileRegion
from twisted_h11.forwarding import BodyProducer

__all__ = ["Streaming", "pairs_of"]

# RFC 9110 section 6.5.1: these are never taken from a trailer section.
_NEVER_TRAILERS = frozenset(
    b"authorization cache-control connection content-encoding content-length "
    b"content-range content-type cookie expect host keep-alive max-forwards "
    b"pragma proxy-authenticate proxy-authorization proxy-connection range "
    b"set-cookie te trailer transfer-encoding upgrade www-authenticate".split()
)


class Streaming(Rendering):
    """
    A request with streams.

    @ivar trailerFields: the trailer section of the request, as received.
    """

    trailerFields: list[tuple[bytes, bytes]] = []  # noqa: RUF012 (never changed)
    """
    The trailer section of the request, as received: pairs of name and value.
    """
    _requestBody: RequestBody | None = None
    _responseTrailers: Headers | None = None
    _hasContent = True
    _gate: Gate | None = None

    def bodySource(self) -> RequestBody:
        """
        The body of this request, with the attributes that functions for responses use,
        so that L{twisted.web.client.readBody} and treq's C{content}, C{collect} and
        C{json_content} work on it.
        """
        if self._requestBody is None:
            content: Any = self.content
            isGone = content is None or content.closed
            self._requestBody = SpooledBody(self, BytesIO() if isGone else content)
            if isGone and (self.finished or self._disconnected):
                # What it was has been dropped.
                self._requestBody.length = UNKNOWN_LENGTH
                self._requestBody.dropped()
        return self._requestBody

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        Deliver the body to a protocol; see L{RequestBody.deliverBody}.
        """
        self.bodySource().deliverBody(protocol)

    def bodyProducer(self) -> BodyProducer | None:
        """
        The body of this request as the body of a request to another server, for
        L{Agent.request<twisted_h11.client.Agent.request>}, with back-pressure.

        @return: C{None} if this request has no body.
        """
        source = self.bodySource()
        return BodyProducer(source) if source.length != 0 else None

    @property
    def body(self) -> BodyIterator[bytes]:
        """
        The body, for C{async for data in request.body}.
        """
        return self.bodySource().__aiter__()

    @checked(most=optional(INT))
    def setBodyLimit(self, most: int | None) -> None:
        """
        Change the maximum length of this request's body.  A longer body gets a 413,
        before the client sends it if it waits for 100 Continue.

        @param most: bytes; C{None} for any number.
        """
        channel: Any = getattr(self, "channel", None)
        if self._direct and channel is not None:
            channel.setBodyLimit(most)

    @cached_property
    def trailers(self) -> Headers:
        """
        The trailer section of the request, once its body has ended, without fields
        that RFC 9110 section 6.5.1 does not allow there.
        """
        trailers = Headers()
        for name, value in self.trailerFields:
            if name.lower() not in _NEVER_TRAILERS:
                trailers.addRawHeader(name, value)
        return trailers

    # -- before the response ----------------------------------------

    @checked(code=INT)
    def sendInterim(
        self, code: int, headers: Headers | Iterable[tuple[bytes, bytes]] = ()
    ) -> bool:
        """
        Send an interim response, for example 103 with C{Link} fields.

        @param code: 100 to 199, not 101 (that is L{switchProtocol}).
        @param headers: its fields.
        @return: whether it was sent: not to an HTTP/1.0 client, nor after the
            final response has begun.
        @raise ValueError: for another status, or fields that can not be sent.
        """
        if not isinstance(headers, Headers) and not PAIRS.test(headers):
            raise wrong("headers", f"a Headers, or {PAIRS.name}", headers)
        if not 100 <= code <= 199 or code == 101:
            raise ValueError(f"{code} is not the status of an interim response")
        channel: Any = getattr(self, "channel", None)
        cycle = channel.cycle if self._direct and channel is not None else None
        return send_interim(cycle, code, pairs_of(headers))

    def sendContinue(self) -> None:
        """
        Send 100 Continue, if the client waits for it.
        """
        channel: Any = getattr(self, "channel", None)
        if self._direct and channel is not None:
            channel.sendContinue()

    @checked(protocol=PROTOCOL)
    def switchProtocol(self, protocol: IProtocol) -> None:
        """
        Accept an C{Upgrade} (set that field in C{responseHeaders} to the chosen
        protocol) or C{CONNECT}, and give the connection to C{protocol}.  What
        the client has sent already is delivered to it.  The request is over.

        @param protocol: a Twisted protocol.
        @raise ValueError: if the client has not requested it, or no C{Upgrade} field is
            set.
        @raise RuntimeError: if the response has begun, the request has not ended, or
            the connection is about to close.
        """
        channel: Any = getattr(self, "channel", None)
        if not self._direct or channel is None or not channel.wire.isOpen:
            raise RuntimeError("There is no connection that could be given away.")
        cycle = channel.cycle
        if self.startedWriting or cycle.answer is not None:
            raise RuntimeError("It is too late to switch protocols.")
        if not cycle.requestEnded:
            raise RuntimeError("It is too early: the request has not ended.")
        headers = self.responseHeaders
        if self.method == b"CONNECT":
            if not 200 <= self.code <= 299:
                self.setResponseCode(OK)
        else:
            # RFC 9110 section 7.8: Upgrade without the option in Connection was
            # for a proxy.
            options = self.requestHeaders.getRawHeaders(b"Connection", ())
            if (
                self.clientproto != b"HTTP/1.1"
                or not self.getHeader(b"Upgrade")
                or not has_member(options, b"upgrade")
            ):
                raise ValueError("The client did not ask for another protocol.")
            if not headers.hasHeader(b"Upgrade"):
                raise ValueError("Set the Upgrade field of responseHeaders first.")
            self.setResponseCode(101)
            set_known(headers, b"Connection", b"Upgrade")
        switch(cycle, self.code, pairs_of(headers))
        channel.switchProtocol(protocol)
        self.startedWriting = 1
        self.finished = 1
        self._finished(channel)

    # -- the response -------------------------------------------------

    def drained(self) -> Deferred[None]:
        """
        Wait until the client has taken nearly all that was written.  A coroutine writes
        under back-pressure with it::

            async for piece in source:
                request.write(piece)
                await request.drained()

        @return: a Deferred that fires with C{None}, at once if there is room, or fails
            with L{ConnectionLost} if the client goes before.  It may be cancelled.
        """
        if self._disconnected:
            return client_gone()
        channel: Any = getattr(self, "channel", None)
        if self.finished or channel is None:
            return succeed(None)
        if self._direct:
            waiting: Deferred[None] = channel.drained()
            return waiting
        if self._gate is None:
            if self.producer is not None:
                # The registered producer gets the back-pressure itself.
                return succeed(None)
            self._gate = Gate()
            self.registerProducer(self._gate, True)
        return self._gate.drained()

    def _dropGate(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None and self.producer is gate:
            self.unregisterProducer()

    def abort(self) -> None:
        """
        Abort the connection at once; C{notifyFinish} fails.
        """
        channel: Any = getattr(self, "channel", None)
        if channel is not None:
            channel.abortConnection()

    def setHalfCloseTimeout(self, seconds: float) -> None:
        """
        Change how long this request may run on when the client has closed its sending
        side; a client that has gone looks the same.  The attribute C{halfCloseTimeout}
        of a resource sets it for all of its requests.

        @param seconds: 0 to end the request at once, as twisted.web does.
        @raise ValueError: if it is not a number of seconds.
        """
        channel: Any = getattr(self, "channel", None)
        if self._direct and channel is not None:
            channel.setHalfCloseTimeout(seconds)
            self._ownHalfClose = True

    @property
    def responseTrailers(self) -> Headers:
        """
        Fields for the trailer section of the response.
        """
        if self._responseTrailers is None:
            self._responseTrailers = Headers()
        return self._responseTrailers

    @checked(
        file=Kind("a file with a descriptor", lambda file: hasattr(file, "fileno")),
        offset=INT,
        count=optional(INT),
    )
    def sendFile(
        self, file: BinaryIO, offset: int = 0, count: int | None = None
    ) -> Deferred[None]:
        """
        Send a region of a file as content, under back-pressure, and by
        C{sendfile(2)} where the connection is a plain socket.

        Set C{Content-Length} before, unless chunks are wanted.  C{finish} may
        be called at once: the end of the response waits for the file.

        @param file: a file opened for reading bytes; it is not closed here.
        @param offset: where the region begins, in bytes.
        @param count: its length, in bytes; the rest of the file if not given.
        @return: a Deferred that fires with C{None} when the last byte was given to the
            transport, or fails when that has become impossible.  The file must stay
            open until then.
        @raise ValueError: if there is no such region.
        @raise RuntimeError: if some of the response was sent encoded.
        """
        size = os.fstat(file.fileno()).st_size
        if count is None:
            count = max(size - offset, 0)
        if offset < 0 or count < 0 or offset + count > size:
            raise ValueError(f"the file has no {count} bytes from {offset} on")
        done: Deferred[None] = Deferred()
        if self._disconnected:
            done.errback(Failure(ConnectionLost("The client has gone.")))
            return done
        encoder: Any = self._encoder
        if encoder:
            self._sendUnencoded()
        self.write(b"")
        channel: Any = getattr(self, "channel", None)
        if not self._direct or channel is None or not self._hasContent or not count:
            if count and not self._direct:
                file.seek(offset)
                self.write(file.read(count))
            done.callback(None)
            return done

        def ended(error: BaseException | None) -> None:
            if error is None:
                done.callback(None)
            else:
                done.errback(Failure(error))

        region = FileRegion(file, offset, count, ended)
        self.sentLength += send_region(channel.cycle, region)
        return done

    def _sendUnencoded(self) -> None:
        """
        Remove the encoder, and its coding from C{Content-Encoding}: files are sent
        unencoded.
        """
        if self.startedWriting:
            raise RuntimeError("A file can not be a part of an encoded response.")
        self._encoder = None
        headers = self.responseHeaders
        codings = b",".join(headers.getRawHeaders(b"Content-Encoding", ())).split(b",")
        if codings[:-1]:
            headers.setRawHeaders(b"Content-Encoding", [b",".join(codings[:-1])])
        else:
            headers.removeHeader(b"Content-Encoding")

    def _finished(self, channel: Any, whole: Any = None) -> None:
        """
        The response is over; see L{Request}.
        """
        raise NotImplementedError


def pairs_of(headers: Headers | Iterable[tuple[bytes, bytes]]) -> Any:
    """
    Fields as pairs of name and value.
    """
    if isinstance(headers, Headers):
        return [(k, v) for k, vs in headers.getAllRawHeaders() for v in vs]
    return list(headers)
