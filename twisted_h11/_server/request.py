"""
The request that our site makes: twisted.web's, and what it lacks.

L{Request} is a L{twisted.web.server.Request} to everybody who looks at it.  It
does not frame what it sends, has its body as a stream and its fields as they
came, sends trailers and interim responses, and can give its connection away.

On a channel that is not ours (HTTP/2 streams are Twisted's) it falls back to
what it inherits.
"""

from __future__ import annotations

import warnings
from functools import cached_property, partial
from io import BytesIO
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IProducer
from twisted.python import reflect
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import NO_CONTENT, NOT_MODIFIED, datetimeToString
from twisted.web.http_headers import Headers
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import provider

from twisted_h11._boundary.guarded import guarded, log_failure
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._boundary.overrides import overrides
from twisted_h11._boundary.twisted_private import encoder_for, raw_fields, set_known
from twisted_h11._http.strict import RequestHead
from twisted_h11._server.body import RequestBody
from twisted_h11._server.channel import Channel
from twisted_h11._server.ranges import bounded
from twisted_h11._server.request_headers import RequestHeaders
from twisted_h11._server.static_files import send_static
from twisted_h11._server.streaming import Streaming, pairs_of

__all__ = ["Request", "RequestDisconnected"]

# Asked for as a number: bytes look for bytes four times as long.
_QUESTION_MARK = ord("?")

# What content passes on its way out.
_WRITING = ("finish", "unregisterProducer", "write")

# What is not called for a request that is rendered before its body.
_PASSED_BY = ("process", "requestReceived", "gotLength", "handleContentChunk")


class RequestDisconnected(RuntimeError):
    """
    C{finish} was called after the client had gone.

    @since: 0.1
    """


def _copyable(addr: Any) -> Any:
    """
    An address as L{twisted.web.distrib} can send it.
    """
    if isinstance(addr, (IPv4Address, UNIXAddress)):
        return addr
    if isinstance(addr, IPv6Address):
        return IPv4Address("TCP", addr.host, addr.port)
    return UNIXAddress(None)


@provider(INonQueuedRequestFactory)
class Request(Streaming):
    """
    An HTTP request, served by twisted_h11.

    @ivar responseTrailers: fields for the trailer section of the response; set
        them before C{finish}.  Only a chunked response has one.

    @since: 0.1
    """

    # Tells the channel that we do not frame chunks.
    leavesFraming = True
    servesWhole = True
    _sendsWhole = True
    queued = False
    _parsePOSTFormSubmission = True
    _direct = True

    _requestHead: RequestHead | None = None
    _lastTransport: Any = None

    def __init__(self, channel: Any, queued: Any = False, **kwargs: Any) -> None:
        if kwargs or not isinstance(channel, Channel):
            self._direct = isinstance(channel, Channel)
            super().__init__(channel, queued, **kwargs)
            return
        # What the inherited methods would set, without their reading of the
        # channel's transport (which ends the joining of writes for good).  A
        # test compares the two.
        self.notifications = []
        self.channel = channel  # type: ignore[assignment]
        self.client = channel.getPeer()
        self.host = channel.getHost()
        self.responseHeaders = Headers()
        self.cookies = []
        Componentized.__init__(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The channel and _sendWhole go past these only where they are ours.
        cls.servesWhole = all(
            getattr(cls, name) is getattr(Request, name)
            for name in (
                "gotLength",
                "handleContentChunk",
                "headReceived",
                "parseCookies",
                "requestReceived",
            )
        )
        cls._sendsWhole = cls.write is Request.write and cls.finish is Request.finish

    @property
    def transport(self) -> Any:
        """
        The transport of the connection.
        """
        channel = getattr(self, "channel", None)
        if channel is None:
            return self._lastTransport
        return channel.transport

    @transport.setter
    def transport(self, transport: Any) -> None:
        self._lastTransport = transport
        channel: Any = getattr(self, "channel", None)
        if transport is None and self._direct and channel is not None:
            # It may be on its way to another protocol.
            channel.callLater(0, channel._lookForSuccessor)

    def getTypeToCopy(self) -> bytes:
        """
        See L{twisted.spread.flavors.Copyable}.  L{twisted.web.distrib} knows
        twisted.web's request, and that is what we are to the other side.
        """
        if type(self) is Request:
            return reflect.qual(server.Request).encode("ascii")
        name: bytes = super().getTypeToCopy()
        return name

    def getStateToCopyFor(self, issuer: Any) -> Any:
        """
        See L{twisted.spread.flavors.Copyable}.
        """
        state = self.__dict__
        state.setdefault("transport", None)
        addresses = {name: state[name] for name in ("client", "host")}
        try:
            # What is no TCP or UNIX address has no name there.
            state.update((name, _copyable(a)) for name, a in addresses.items())
            copied = dict(super().getStateToCopyFor(issuer))
        finally:
            state.update(addresses)
        # They may not have been asked for yet.
        copied["args"] = self.args
        for name in (
            "_lastTransport",
            "_requestHead",
            "_source",
            "_responseTrailers",
            "trailers",
            "routed",
            "_running",
            "_ownHalfClose",
            "_gate",
        ):
            copied.pop(name, None)
        copied["received_cookies"] = self.received_cookies
        return copied

    # -- the head ---------------------------------------------------

    def headReceived(self, head: RequestHead) -> None:
        """
        Called by the channel when the head is here.
        """
        self._requestHead = head
        self.requestHeaders = RequestHeaders(head)

    @cached_property
    def rawFields(self) -> list[tuple[bytes, bytes]]:
        """
        Pairs of name and value as they were received: in their order, with the
        case of their names.  C{requestHeaders} has the same fields as
        twisted.web presents them.
        """
        head = self._requestHead
        return list(head.fields) if head is not None else []

    @cached_property
    def received_cookies(self) -> dict[bytes, bytes]:  # type: ignore[override]
        """
        The cookies that the client sent.
        """
        found = {}
        for line in self.requestHeaders.getRawHeaders(b"Cookie", ()):
            for cookie in line.split(b";"):
                name, equals, value = cookie.lstrip().partition(b"=")
                if equals:
                    found[name] = value
        return found

    def parseCookies(self) -> None:
        """
        Cookies are parsed when somebody asks for them.
        """
        if "received_cookies" in self.__dict__:
            super().parseCookies()

    def gotLength(self, length: int | None) -> None:
        """
        See L{twisted.web.http.Request.gotLength}.
        """
        channel: Any = self.channel
        if length == 0 and not hasattr(channel.site, "getContentFile"):
            self.content = BytesIO()
        else:
            super().gotLength(length)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        See L{twisted.web.http.Request.requestReceived}.
        """
        # It may have been asked for before the body was here.
        self.__dict__.pop("args", None)
        self.content.seek(0)  # type: ignore[union-attr]
        self._takeLine(command, path, version)
        self.process()

    def serve(self, head: RequestHead) -> None:
        """
        Called by the channel for a request without a body, in the place of
        C{headReceived}, C{parseCookies}, C{gotLength} and C{requestReceived}.
        """
        self._requestHead = head
        self.requestHeaders = RequestHeaders(head)
        self.content = BytesIO()
        self._takeLine(head.method, head.target, head.version)
        self.process()

    def _takeLine(self, command: bytes, path: bytes, version: bytes) -> None:
        self.method = command
        self.uri = path
        self.clientproto = version
        self.path = path.partition(b"?")[0] if _QUESTION_MARK in path else path

    # -- the body as a stream ---------------------------------------

    def mayRouteEarly(self) -> bool:
        """
        Whether this request can be rendered before its body; not if a subclass
        overrides what would be passed by.  Called by the channel.
        """
        cls = type(self)
        if any(getattr(cls, n) is not getattr(Request, n) for n in _PASSED_BY):
            return False
        head = self._requestHead
        if head is None:
            return False
        self._takeLine(head.method, head.target, head.version)
        return head.target != b"*" and head.method != b"CONNECT"

    def prepareEarly(self) -> None:
        """
        Set what C{process} would set before it asks a resource.  Called by the
        channel.
        """
        self._prepare()
        self.sitepath: list[bytes] = []

    def renderEarly(self, resource: Any, source: RequestBody) -> None:
        """
        Render a streaming resource.  Called by the channel.
        """
        self._source = source
        self.routed = None
        try:
            self._encoder = encoder_for(resource, self)
            self.render(resource)
        except Exception:
            self.processingFailed(Failure())

    # -- the response -----------------------------------------------

    def setLastModified(self, when: float) -> Any:
        """
        See L{twisted.web.http.Request.setLastModified}; a condition that is no
        date is none.
        """
        try:
            return super().setLastModified(when)
        except IndexError:
            # Of Twisted's parser, for a date of no words.
            return None

    def write(self, data: bytes) -> None:
        """
        Send some of the response; before the first of it goes the head.

        @param data: content: bytes, or a buffer whose items are bytes.
        @raise RuntimeError: after C{finish}.
        @raise TypeError: for anything else.  Unless something is written, or the
            response finished, in the same turn of the reactor, it fails then:
            perhaps nobody is there who could answer.
        """
        if type(data) is not bytes:
            data = self._asBytes(data)
        if not self._direct:
            super().write(data)
            return
        if self.finished:
            raise RuntimeError(
                "Request.write called on a request after Request.finish was called."
            )
        if self._disconnected:
            return
        if not self.startedWriting:
            self._prepareContentType()
        if self._inFakeHead:
            return
        encoder: Any = self._encoder
        if encoder:
            data = as_bytes(encoder.encode(data), "what an encoder gives")
        self._writeContent(data)

    def _asBytes(self, data: Any) -> bytes:
        if isinstance(data, str) and not data:
            # Nothing; twisted.web's distrib and test servers write it.
            return b""
        try:
            return as_bytes(data)
        except TypeError:
            channel: Any = getattr(self, "channel", None)
            if self._direct and channel is not None and not self.finished:
                written = self.startedWriting, self.sentLength
                channel.callLater(0, self._failUnlessWritten, written)
            raise

    def _failUnlessWritten(self, written: tuple[int, int]) -> None:
        if (self.startedWriting, self.sentLength) == written:
            self._fail500("The resource wrote something that is not bytes.")

    def _writeContent(self, data: bytes) -> None:
        channel: Any = self.channel
        if self.startedWriting:
            if data and self._hasContent:
                self.sentLength += len(data)
                channel.sendContent(data)
            return
        self.startedWriting = 1
        try:
            headers = self.responseHeaders
            if self.lastModified is not None:
                if not headers.hasHeader(b"Last-Modified"):
                    changed = datetimeToString(self.lastModified)
                    headers.setRawHeaders(b"Last-Modified", [changed])
            if self.etag is not None:
                headers.setRawHeaders(b"ETag", [self.etag])
            if self.cookies:
                headers.setRawHeaders(b"Set-Cookie", self.cookies)
            self._hasContent = channel.startResponse(
                b"%d" % self.code, self.code_message, headers, data
            )
        except Exception:
            if channel._answer is None:
                # Nothing is out: there may still be an answer that says so.
                self.startedWriting = 0
            raise
        if self._hasContent:
            self.sentLength += len(data)
            if channel._answerLeft is None and self.clientproto != b"HTTP/1.0":
                self.chunked = 1

    def _prepareContentType(self) -> None:
        headers = self.responseHeaders
        if (
            self.defaultContentType is not None
            and self.code not in (NOT_MODIFIED, NO_CONTENT)
            and not headers.hasHeader(b"Content-Type")
            and headers.getRawHeaders(b"Content-Length", [b""])[0] != b"0"
        ):
            set_known(headers, b"Content-Type", self.defaultContentType)

    def _sendWhole(self, body: bytes) -> None:
        """
        Send all of a response's content, and finish it: in one go, if there is
        nothing about the response that write and finish would have to do.
        """
        if (
            self._sendsWhole
            and self._direct
            and not self.startedWriting
            and not self._disconnected
            and self.method != b"HEAD"
            and self._encoder is None
            and not self._inFakeHead
            and not self.cookies
            and self.etag is None
            and self.lastModified is None
            and self._responseTrailers is None
            and getattr(self.write, "__func__", None) is _write
            and getattr(self.finish, "__func__", None) is _finish
        ):
            headers = self.responseHeaders
            fields = raw_fields(headers)
            if b"Content-Length" in fields:
                headers.removeHeader(b"Content-Length")
            if body and b"Content-Type" not in fields and self.code != NOT_MODIFIED:
                if self.defaultContentType is not None:
                    set_known(headers, b"Content-Type", self.defaultContentType)
            channel: Any = self.channel
            if channel.answerWhole(self.code, self.code_message, headers, body):
                self.startedWriting = self.finished = 1
                self.sentLength = len(body)
                self._finished(channel, whole=True)
                return
        super()._sendWhole(body)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer of content.  The producers of
        L{twisted.web.static.File} are served by L{sendFile} where they can be.
        """
        if not streaming:
            producer = bounded(producer)
            if self._direct and send_static(self, producer):
                return
        super().registerProducer(producer, streaming)

    def overridesWriting(self) -> bool:
        """
        Whether content has to go through the methods of this request, one by one.
        """
        return overrides(self, Request, _WRITING) or (
            Request.write is not _write or Request.finish is not _finish
        )

    def finish(self) -> None:
        """
        The response is complete.

        @raise RequestDisconnected: if the client has gone.
        """
        if self._disconnected:
            raise RequestDisconnected(
                "Request.finish called on a request after its connection was lost; "
                "use Request.notifyFinish to keep track of this."
            )
        if not self._direct:
            self._dropGate()
            super().finish()
            return
        channel: Any = getattr(self, "channel", None)
        encoder: Any = self._encoder
        if encoder and not self.finished:
            data = as_bytes(encoder.finish(), "what an encoder gives")
            self._encoder = None
            if data:
                self._writeContent(data)
        if self.finished:
            warnings.warn("Warning! request.finish called twice.", stacklevel=2)
            return
        if not self.startedWriting:
            self.write(b"")
        if self._responseTrailers is not None:
            channel.answerTrailers = pairs_of(self._responseTrailers)
        self.finished = 1
        self._finished(channel)

    def _finished(self, channel: Any, whole: bool = False) -> None:
        if self.producer is not None:
            self._log.failure(
                "",
                Failure(
                    RuntimeError(f"Producer was not unregistered for {self.uri!r}")
                ),
            )
            self.unregisterProducer()
        behind = channel._writeFull or channel._sending is not None
        if behind:
            channel.whenSent(partial(self._sent, channel.factory))
        else:
            # As guarded() does it, for every request.
            try:
                channel.factory.log(self)
            except KeyboardInterrupt:
                raise
            except BaseException:
                log_failure("The access log")
        if whole:
            channel.wholeAnswered()
        else:
            channel.requestDone(self)
        del self.channel
        content, self.content = self.content, None
        if content is not None:
            # As guarded() does it, for every request.
            try:
                content.close()
            except KeyboardInterrupt:
                raise
            except BaseException:
                log_failure("Closing the content of a request")
        if self.notifications and not behind:
            self._notify(None)

    def _sent(self, factory: Any, reason: Failure | None, unsent: int) -> None:
        """
        The response has left, some time after it was finished, or will not.
        """
        self.sentLength = max(self.sentLength - unsent, 0)
        guarded("The access log", factory.log, self)
        self._notify(reason)

    def _notify(self, reason: Failure | None) -> None:
        notifications, self.notifications = self.notifications, []
        for notification in notifications:
            if reason is None:
                guarded("notifyFinish", notification.callback, None)
            else:
                guarded("notifyFinish", notification.errback, reason)

    def connectionLost(self, reason: Failure) -> None:
        """
        The client has gone, or the connection is about to be closed.
        """
        channel: Any = getattr(self, "channel", None)
        if self._direct and channel is not None:
            self._lastTransport = channel._wire
        # As the inherited method, whose first failure would be its last.
        self._disconnected = True
        self.channel = None  # type: ignore[assignment]
        source, self._source = self._source, None
        running, self._running = self._running, None
        if self.content is not None:
            guarded("Closing the content of a request", self.content.close)
        if self._direct and channel is not None and channel._answer is not None:
            # What was cut has its line, too.
            unsent = channel._droppedLength
            self.sentLength = max(self.sentLength - unsent, 0)
            if self.startedWriting and not self.finished:
                guarded("The access log", channel.factory.log, self)
        self._notify(reason)
        if source is not None:
            source.failed(reason)
        if running is not None:
            guarded("Cancelling a request", running.cancel)


# Ours, whatever a class may be given in their place.
_write = Request.write
_finish = Request.finish
