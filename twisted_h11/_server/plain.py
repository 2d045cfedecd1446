"""
What twisted.web's own request does to be answered, in fewer steps.

A framework's class of requests overrides some of the methods that lead from the request
to its resource and from there to the response, and inherits the others.  What it has
inherited is known, so the same is done here: the fields that every response begins
with need no check, their date need not be made anew, and a response that the resource
returns whole leaves whole.

A step is passed by only if nobody has overridden it: in a subclass, in the class
itself, or in the one object.  As soon as anything is unusual, twisted.web's own method
does it.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.error import UnsupportedMethod
from twisted.web.http_headers import Headers
from twisted.web.server import NOT_DONE_YET

from twisted_h11._boundary.twisted_private import (
    encoder_for,
    raw_fields,
    set_known,
)
from twisted_h11._http.response_to_send import http_date
from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.cycle import State
from twisted_h11._server.routing import path_segments
from twisted_h11._server.sending import answer_whole, start

__all__ = ["receive"]

# As they are while nobody has changed the classes themselves.
_requestReceived = http.Request.requestReceived
_process = server.Request.process
_render = server.Request.render
_write = server.Request.write
_setHeader = http.Request.setHeader
_writeOfBase = http.Request.write

# The module http looks for what is deprecated, each time.
_BaseRequest = http.Request
_NO_BODY_CODES = http.NO_BODY_CODES


class _Rendered:
    """
    A resource that was rendered once, with what came of it.

    @param resource: the resource; it is rendered if it is asked again.
    @param outcome: what it returned, or the exception that it raised.
    """

    def __init__(self, resource: Any, outcome: Any) -> None:
        self._resource = resource
        self._outcomes = [outcome]

    def __repr__(self) -> str:
        return repr(self._resource)

    def render(self, request: Any) -> Any:
        """
        Give what came of it.
        """
        if not self._outcomes:
            return self._resource.render(request)
        if isinstance(self._outcomes[0], UnsupportedMethod):
            # Not by a variable, which its traceback would keep.
            raise self._outcomes.pop()
        return self._outcomes.pop()


def receive(request: Any, head: RequestHead) -> None:
    """
    Call the C{requestReceived} of a request that has neither a body nor a query, or do
    what it would.
    """
    if getattr(request.requestReceived, "__func__", None) is _requestReceived:
        request.args = {}
        request.method = head.method
        request.uri = request.path = head.target
        request.clientproto = head.version
        _find(request)
    else:
        request.requestReceived(head.method, head.target, head.version)


def _find(request: Any) -> None:
    """
    Call C{request.process}, or do what it would.
    """
    if (
        getattr(request.process, "__func__", None) is not _process
        or getattr(request.setHeader, "__func__", None) is not _setHeader
        or type(request.responseHeaders) is not Headers
        or request.path == b"*"
    ):
        request.process()
        return
    request.site = site = request.channel.site
    headers = request.responseHeaders
    set_known(headers, b"Server", server.version)
    set_known(headers, b"Date", http_date())
    request.prepath = []
    request.postpath = path_segments(request.path)
    try:
        resource = site.getResourceFor(request)
        encoder = encoder_for(resource, request)
        if encoder is not None:
            request._encoder = encoder
        _answer(request, resource)
    except BaseException:
        # As twisted.web's.
        request.processingFailed(Failure())


def _answer(request: Any, resource: Any) -> None:
    """
    Call C{request.render}, or do what it would.
    """
    if (
        getattr(request.render, "__func__", None) is not _render
        or getattr(request.write, "__func__", None) is not _write
        or _BaseRequest.write is not _writeOfBase
    ):
        request.render(resource)
        return
    try:
        body = resource.render(request)
    except UnsupportedMethod as error:
        request.render(_Rendered(resource, error))
        return
    if body is NOT_DONE_YET:
        return
    # It has none after finish.
    channel = getattr(request, "channel", None)
    if (
        type(body) is not bytes
        or channel is None
        or channel.cycle is None
        or channel.cycle.request is not request
        or request.startedWriting
        or request.method == b"HEAD"
        or request.code in _NO_BODY_CODES
        or request.lastModified is not None
        or request.etag is not None
        or request.cookies
        or request._disconnected
        or request._encoder is not None
        or request._inFakeHead
        or type(request.responseHeaders) is not Headers
    ):
        request.render(_Rendered(resource, body))
        return
    headers, cycle = request.responseHeaders, channel.cycle
    fields = raw_fields(headers)
    typed = bool(fields.get(b"Content-Type"))
    # Its length is its last field, then.
    if (
        (typed or not body or request.defaultContentType is None)
        and b"Content-Length" not in fields
        # As they came from the application, they may be anything.
        and type(request.code) is int
        and type(request.code_message) is bytes
        and answer_whole(cycle, request.code, request.code_message, headers, body)
    ):
        cycle.state = State.COMPLETE
        set_known(headers, b"Content-Length", b"%d" % len(body))
        request.startedWriting = 1
    else:
        set_known(headers, b"Content-Length", b"%d" % len(body))
        if body and not typed and request.defaultContentType is not None:
            set_known(headers, b"Content-Type", request.defaultContentType)
        request.startedWriting = 1
        start(cycle, request.code, request.code_message, headers, body)
    request.sentLength += len(body)
    request.finish()
