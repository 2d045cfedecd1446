"""
The request that our site makes: twisted.web's, without its framing.

L{Request} is a L{twisted.web.server.Request} to everybody who looks at it.
It differs where that class does the work of a protocol: it does not frame
chunks, it decides about methods as RFC 9110 asks, and it ends a response that
failed in the middle so that the client can tell.

On a channel that is not ours (HTTP/2 streams are Twisted's) it falls back to
what it inherits.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.python import reflect
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.web import http, server, util
from twisted.web.error import UnsupportedMethod
from twisted.web.http_headers import Headers
from twisted.web.server import NOT_DONE_YET

from twisted_h11._channel import Channel
from twisted_h11._outgoing import http_date
from twisted_h11._private import encoder_for, parses_forms

__all__ = ["KNOWN_METHODS", "Request", "RequestDisconnected", "error_page"]

# RFC 9110 section 15.6.2: 501 is for methods that the server does not know,
# section 15.5.6: 405 for those that it knows and this resource does not have.
KNOWN_METHODS = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
)

_absolute_form = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://([^/?]*)([^?]*)(\??)")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{code} {brief}</title></head>
<body><h1>{brief}</h1>{detail}</body>
</html>
"""


class RequestDisconnected(RuntimeError):
    """
    C{finish} was called after the client had gone.

    @since: 0.1
    """


def error_page(code: int, brief: str, detail: str) -> bytes:
    """
    A page of our own for a request that can not be served.

    @param detail: HTML; whoever calls has escaped what must be.
    """
    page = _PAGE.format(code=code, brief=escape(brief), detail=detail)
    return page.encode("utf-8")


class Request(server.Request):
    """
    An HTTP request, served by twisted_h11.

    @ivar rawFields: pairs of name and value as they were received: in their
        order, with the case of their names.  C{requestHeaders} has the same
        fields as twisted.web presents them.

    @since: 0.1
    """

    # Tells the channel that we do not frame chunks.
    leavesFraming = True

    rawFields: list[tuple[bytes, bytes]]

    _direct = False
    _hasContent = True
    _lastTransport: Any = None

    def __init__(self, channel: Any, *args: Any, **kwargs: Any) -> None:
        self.rawFields = []
        if args or kwargs or not isinstance(channel, Channel):
            self._direct = isinstance(channel, Channel)
            super().__init__(channel, *args, **kwargs)
            return
        # What the inherited methods would set, without their reading of the
        # channel's transport (which ends the joining of writes for good).
        self._direct = True
        self.notifications = []
        self.channel = channel  # type: ignore[assignment]
        self.client = channel.getPeer()
        self.host = channel.getHost()
        self.requestHeaders = Headers()
        self.received_cookies = {}
        self.responseHeaders = Headers()
        self.cookies = []
        self.queued = False
        self._parsePOSTFormSubmission = parses_forms(channel.site)
        Componentized.__init__(self)

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

    def getStateToCopyFor(self, issuer: Any) -> Any:
        """
        See L{twisted.spread.flavors.Copyable}.
        """
        self.__dict__.setdefault("transport", None)
        state = super().getStateToCopyFor(issuer)
        state.pop("_lastTransport", None)
        return state

    # -- from the request to a resource -----------------------------------------

    def process(self) -> None:
        """
        Find the resource for this request, and render it.
        """
        channel: Any = self.channel
        self.site = site = channel.site
        headers = self.responseHeaders
        server_header = getattr(site, "serverHeader", server.version)
        if server_header is not None:
            headers.setRawHeaders(b"Server", [server_header])
        headers.setRawHeaders(b"Date", [http_date()])
        if self.path[:1] != b"/":
            self._takeTarget()
        self.prepath = []
        self.postpath = [unquote_to_bytes(s) for s in self.path[1:].split(b"/")]
        if self.path == b"*":
            self._answerStar()
            return
        if self.method == b"CONNECT":
            self.postpath = []
        try:
            resrc = site.getResourceFor(self)
            self._encoder = encoder_for(resrc, self)
            self.render(resrc)
        except Exception:
            self.processingFailed(Failure())

    def _takeTarget(self) -> None:
        """
        RFC 9112 section 3.2.2: the authority of an absolute-form target
        replaces the Host field, whatever that says.
        """
        match = _absolute_form.match(self.uri)
        if match is None or self.method == b"CONNECT":
            return
        authority, path, query = match.groups()
        if not path:
            # RFC 9112 section 3.2.4
            path = b"*" if self.method == b"OPTIONS" and not query else b"/"
        self.path = path
        self.requestHeaders.setRawHeaders(b"Host", [authority])

    def _answerStar(self) -> None:
        """
        C{OPTIONS *} asks about the server as a whole.
        """
        self.setHeader(b"Allow", b", ".join(sorted(KNOWN_METHODS)))
        self.setHeader(b"Content-Length", b"0")
        self.finish()

    def render(self, resrc: Any) -> None:
        """
        Render a resource, and send what it returns.
        """
        try:
            body = resrc.render(self)
        except UnsupportedMethod as unsupported:
            allowed = unsupported.allowedMethods
            if self.method == b"HEAD" and b"GET" in allowed:
                self._renderHeadByGet(resrc)
                return
            body = self._methodRefused(allowed)
        if body is NOT_DONE_YET:
            return
        if not isinstance(body, bytes):
            body = self._notBytes(resrc, body)
        if self.method == b"HEAD":
            if body:
                self.setHeader(b"Content-Length", b"%d" % len(body))
            self.write(b"")
        else:
            self.setHeader(b"Content-Length", b"%d" % len(body))
            self.write(body)
        self.finish()

    def _renderHeadByGet(self, resrc: Any) -> None:
        self.method = b"GET"
        self._inFakeHead = True
        try:
            body = resrc.render(self)
        finally:
            self._inFakeHead = False
            self.method = b"HEAD"
        if body is NOT_DONE_YET:
            self._log.info(
                "Tried to fake a HEAD request for {resrc}, but it got away from me.",
                resrc=resrc,
            )
        else:
            self.setHeader(b"Content-Length", b"%d" % len(body))
        if not self.finished:
            self.write(b"")
            self.finish()

    def _methodRefused(self, allowed: Any) -> bytes:
        self.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        if self.method in KNOWN_METHODS:
            self.setResponseCode(http.NOT_ALLOWED)
            self.setHeader(b"Allow", b", ".join(allowed))
            names = ", ".join(name.decode("ascii", "replace") for name in allowed)
            return error_page(
                405,
                "Method Not Allowed",
                f"<p>This resource has {escape(names)}, and no "
                f"{escape(self.method.decode('ascii'))}.</p>",
            )
        self.setResponseCode(http.NOT_IMPLEMENTED)
        return error_page(
            501, "Not Implemented", "<p>The method of this request is not known.</p>"
        )

    def _notBytes(self, resrc: Any, body: Any) -> bytes:
        self._log.error(
            "{resrc} did not return bytes for {request}, but {body}",
            resrc=resrc,
            request=self,
            body=reflect.safe_repr(body),
        )
        self.setResponseCode(http.INTERNAL_SERVER_ERROR)
        self.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        return error_page(
            500, "Internal Server Error", "<p>The resource did not return bytes.</p>"
        )

    def processingFailed(self, reason: Failure) -> Failure:
        """
        Log a failure, and answer with 500; where the response has begun, end it
        so that the client can tell.

        @return: C{reason}.
        """
        self._log.failure("", failure=reason)
        if self._disconnected or self.finished:
            return reason
        if self.startedWriting and self._direct:
            channel: Any = self.channel
            channel.failResponse()
            return reason
        if self.site is not None and self.site.displayTracebacks:
            detail = util.formatFailure(reason).decode("utf-8", "replace")
            body = error_page(
                500, "web.Server Traceback (most recent call last)", detail
            )
        else:
            body = error_page(500, "Processing Failed", "<p>The server failed.</p>")
        self._encoder = None
        self._inFakeHead = False
        for name in (b"Content-Encoding", b"ETag", b"Last-Modified"):
            self.responseHeaders.removeHeader(name)
        self.setResponseCode(http.INTERNAL_SERVER_ERROR)
        self.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        self.setHeader(b"Content-Length", b"%d" % len(body))
        self.write(body)
        self.finish()
        return reason

    # -- the response ---------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """
        Send some of the response; before the first of it goes the head.

        @param data: content.
        @raise RuntimeError: after C{finish}.
        """
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
        if self._encoder:
            data = self._encoder.encode(data)
        self._writeContent(data)

    def _writeContent(self, data: bytes) -> None:
        channel: Any = self.channel
        if self.startedWriting:
            if data and self._hasContent:
                self.sentLength += len(data)
                channel.sendContent(data)
            return
        self.startedWriting = 1
        headers = self.responseHeaders
        if self.lastModified is not None and not headers.hasHeader(b"Last-Modified"):
            headers.setRawHeaders(
                b"Last-Modified", [http.datetimeToString(self.lastModified)]
            )
        if self.etag is not None:
            headers.setRawHeaders(b"ETag", [self.etag])
        if self.cookies:
            headers.setRawHeaders(b"Set-Cookie", self.cookies)
        self._hasContent = channel.startResponse(
            b"%d" % self.code, self.code_message, headers, data
        )
        if self._hasContent:
            self.sentLength += len(data)

    def _prepareContentType(self) -> None:
        headers = self.responseHeaders
        if (
            self.defaultContentType is not None
            and self.code not in (http.NOT_MODIFIED, http.NO_CONTENT)
            and not headers.hasHeader(b"Content-Type")
            and headers.getRawHeaders(b"Content-Length", [b""])[0] != b"0"
        ):
            headers.setRawHeaders(b"Content-Type", [self.defaultContentType])

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
            super().finish()
            return
        if self._encoder and not self.finished:
            data = self._encoder.finish()
            self._encoder = None
            if data:
                self._writeContent(data)
        http.Request.finish(self)

    def connectionLost(self, reason: Failure) -> None:
        """
        The client has gone, or the connection is about to be closed.
        """
        channel: Any = getattr(self, "channel", None)
        if self._direct and channel is not None:
            self._lastTransport = channel._wire
        super().connectionLost(reason)
