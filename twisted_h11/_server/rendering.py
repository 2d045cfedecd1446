"""
Finding the resource of a request, and rendering it.

L{Rendering} differs from twisted.web's request in three ways: methods follow RFC 9110,
C{render} may be asynchronous, and a response that fails in the middle is cut off so
that the client can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectionClosed
from twisted.python import reflect
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.error import UnsupportedMethod
from twisted.web.http import (
    NO_CONTENT,
    NOT_MODIFIED,
    OK,
)
from twisted.web.server import NOT_DONE_YET

from twisted_h11._boundary.guarded import guarded
from twisted_h11._boundary.twisted_private import begin_known, set_known
from twisted_h11._http.response_to_send import error_page, http_date
from twisted_h11._server.adapted import ADAPTERS
from twisted_h11._server.added_fields import STRICT_TRANSPORT
from twisted_h11._server.body import RequestBodyCut
from twisted_h11._server.compression import encoder_of
from twisted_h11._server.error_pages import replace_page
from twisted_h11._server.failing import Failing
from twisted_h11._server.methods import (
    KNOWN_METHODS,
    allow_field,
    methods_told,
    refusal_page,
    render_by_method,
)
from twisted_h11._server.ranges import is_range_failure
from twisted_h11._server.routing import absolute_target, find_resource, path_segments

__all__ = ["BODILESS", "Rendering"]

# The statuses without content, which have no default type either.
BODILESS = (NO_CONTENT, NOT_MODIFIED)

# The exceptions in a render that waits for its client, when the client has gone.
_GONE = (CancelledError, RequestBodyCut, ConnectionClosed)


class Rendering(Failing):
    """
    A request that finds its resource and renders it.

    @ivar routed: the resource that early routing has reached, if it ran.
    """

    routed: Any = None
    _running: Deferred[Any] | None = None
    _ownHalfClose = False

    def process(self) -> None:
        """
        Find the resource for this request, and render it.
        """
        try:
            if self.routed is not None:
                routed, self.routed = self.routed, None
                resrc = find_resource(routed, self)
            else:
                self._prepare()
                self.prepath = []
                if self.path[:1] == b"/" and self.method != b"CONNECT":
                    self.postpath = path_segments(self.path)
                elif self._takeOtherTarget():
                    return
                resrc = self.site.getResourceFor(self)  # type: ignore[union-attr]
            # Most responses have none: avoid the call.
            if (
                getattr(resrc, "getEncoder", None) is not None
                or getattr(self.site, "compression", None) is not None
            ):
                self._encoder = encoder_of(resrc, self)
            self.render(resrc)
        except Exception:
            self.processingFailed(Failure())

    def _prepare(self) -> None:
        channel: Any = self.channel
        self.site = site = channel.site
        headers = self.responseHeaders
        try:
            name, transportSecurity = site.serverHeader, site.transportSecurity
        except AttributeError:
            # A site of Twisted's.
            name = getattr(site, "serverHeader", server.version)
        else:
            # Also added by sending; set here, it leaves the response a common one.
            if transportSecurity is not None and self.isSecure():
                set_known(headers, STRICT_TRANSPORT, transportSecurity)
        begin_known(headers, name, http_date())

    def _takeOtherTarget(self) -> bool:
        """
        Take the path of a target that is not in origin-form.

        @return: whether the target is C{*}; then the response was sent.
        """
        named = absolute_target(self.method, self.uri)
        if named is not None:
            authority, self.path = named
            if not getattr(self.channel, "hostIsForwarded", False):
                self.requestHeaders.setRawHeaders(b"Host", [authority])
        if self.path == b"*":
            self._answerStar()
            return True
        # The target of CONNECT has no path.
        connects = self.method == b"CONNECT"
        self.postpath = [] if connects else path_segments(self.path)
        return False

    def prePathURL(self) -> bytes:
        """
        See L{twisted.web.server.Request.prePathURL}; an IPv6 address gets brackets.
        """
        url: bytes = super().prePathURL()
        name = self.getRequestHostname()
        if b":" in name:
            url = url.replace(b"//" + name, b"//[" + name + b"]", 1)
        return url

    def _answerStar(self) -> None:
        """
        Respond to C{OPTIONS *}, which is about the whole server.
        """
        self.setHeader(b"Allow", b", ".join(sorted(KNOWN_METHODS)))
        self.setHeader(b"Content-Length", b"0")
        self.finish()

    # -- rendering ----------------------------------------------------------------

    def render(self, resrc: Any) -> None:
        """
        Render a resource, and send the response.

        C{render} may return bytes, L{NOT_DONE_YET}, or a Deferred or coroutine
        of either or of C{None}; with C{None} the response is finished, if it is
        not yet.
        """
        adapted = ADAPTERS[type(resrc)]
        try:
            body = (adapted or render_by_method)(resrc, self)
        except Exception as error:
            otherwise = self._otherwise(error, resrc)
            if otherwise is None:
                raise
            body = otherwise()
        if type(body) is bytes:
            self._sendWhole(body)
            return
        if not self._ownHalfClose:
            seconds = getattr(resrc, "halfCloseTimeout", None)
            if seconds is not None:
                self.setHalfCloseTimeout(seconds)
        if body is not NOT_DONE_YET:
            self._rendered(body, resrc)

    def setHalfCloseTimeout(self, seconds: float) -> None:
        """
        Change how long this request may run on when the client has closed its
        sending side; see L{Streaming}.
        """
        raise NotImplementedError

    def _sendWhole(self, body: bytes) -> None:
        """
        Send all of a response's content, and finish it; unless the client has gone, or
        the request's body was refused meanwhile.
        """
        if self._disconnected:
            return
        headers = self.responseHeaders
        if not self.startedWriting and (body or self.method != b"HEAD"):
            # Make it the last field, as the fast path does.
            headers.removeHeader(b"Content-Length")
            if body and self.defaultContentType is not None:
                if not (self.code in BODILESS or headers.hasHeader(b"Content-Type")):
                    set_known(headers, b"Content-Type", self.defaultContentType)
            set_known(headers, b"Content-Length", b"%d" % len(body))
        self.write(b"" if self.method == b"HEAD" else body)
        self.finish()

    def _rendered(self, body: Any, resrc: Any) -> None:
        """
        Take the result of a C{render}.
        """
        if iscoroutine(body):
            body = ensureDeferred(body)
        if isinstance(body, Deferred):
            self._running = body
            body.addCallback(self._renderedLater, resrc)
            body.addErrback(self._renderFailed, resrc)
        elif isinstance(body, bytes):
            self._sendWhole(bytes(body))
        else:
            self._log.error(
                "{resrc} did not return bytes for {request}, but {body}",
                resrc=resrc,
                request=self,
                body=reflect.safe_repr(body),
            )
            self._fail500("The resource did not return bytes.")

    def _renderedLater(self, body: Any, resrc: Any) -> None:
        self._running = None
        if self.finished or self._disconnected or body is NOT_DONE_YET:
            return
        if body is None:
            self.finish()
        else:
            self._rendered(body, resrc)

    def _clientGone(self) -> bool:
        """
        Whether the client has gone, even if C{connectionLost} was not called yet.
        """
        channel: Any = getattr(self, "channel", None)
        return self._disconnected or (
            self._direct and channel is not None and channel.wire.transport is None
        )

    def _renderFailed(self, reason: Failure, resrc: Any) -> None:
        self._running = None
        if not (self._clientGone() and reason.check(*_GONE)):
            otherwise = self._otherwise(reason.value, resrc)
            if otherwise is not None:
                try:
                    self._renderedLater(otherwise(), resrc)
                except Exception:
                    reason = Failure()
                else:
                    reason.cleanFailure()
                    return
            if not guarded("Failing a request", self.processingFailed, reason):
                self._cutResponse()
        # Drop the traceback: the frames of a coroutine refer to this request.
        reason.cleanFailure()

    def _otherwise(
        self, error: BaseException | None, resrc: Any
    ) -> Callable[[], Any] | None:
        """
        How to respond to an exception that the request has caused.

        @param error: the exception that C{render} has raised.
        @param resrc: the resource.
        @return: a function to call instead of C{render}; C{None} if the application
            has failed, or the response has begun.
        """
        if error is None or self._disconnected or self.finished or self.startedWriting:
            return None
        names = methods_told(error, self.method, resrc)
        if names is not None:
            return partial(self._renderOtherwise, resrc, names)
        if is_range_failure(self, error):
            return partial(self._renderWithoutRange, resrc)
        return None

    def _renderWithoutRange(self, resrc: Any) -> Any:
        self.requestHeaders.removeHeader(b"Range")
        self.responseHeaders.removeHeader(b"Content-Range")
        self.setResponseCode(OK)
        return resrc.render(self)

    def _renderOtherwise(self, resrc: Any, names: list[bytes]) -> Any:
        """
        Respond to a request whose method the resource does not have: by GET for HEAD,
        else with 405 or 501.

        @param resrc: the resource.
        @param names: the methods that it has.
        @return: as C{render}.
        """
        if self.method == b"HEAD" and b"GET" in names:
            try:
                return self._renderHeadByGet(resrc)
            except UnsupportedMethod as unsupported:
                names = list(unsupported.allowedMethods)
        allowed = allow_field(resrc, names, self.method)
        code, brief, sentence = refusal_page(self.method, allowed)
        self.setResponseCode(code)
        if self.method in KNOWN_METHODS:
            self.setHeader(b"Allow", b", ".join(allowed))
        return replace_page(self, code, error_page(code, brief, sentence))

    def _renderHeadByGet(self, resrc: Any) -> Any:
        """
        Render GET for a HEAD request; the connection drops the content.
        """
        self.method = b"GET"
        # A stream of HTTP/2 checks only the method.
        self._inFakeHead = not self._direct
        try:
            return resrc.render(self)
        finally:
            self._inFakeHead = False
            self.method = b"HEAD"
