"""
The processing of twisted.web's own request, in fewer steps.

A framework's request class overrides some of the methods that find the resource and
send the response, and inherits the others.  The inherited methods have the same effect
here at less cost: the first fields of each response need no check, the date is cached,
and a response that the resource returns whole is sent whole.

An inherited method is replaced only if it is not overridden in a subclass, patched in
the class, or set on the object.  In unusual cases twisted.web's own method is called.
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

# The original methods, to notice when an application has patched the classes.
_requestReceived = http.Request.requestReceived
_process = server.Request.process
_render = server.Request.render
_write = server.Request.write
_setHeader = http.Request.setHeader
_writeOfBase = http.Request.write

# Read once: the module http checks each access for deprecated names.
_BaseRequest = http.Request
_NO_BODY_CODES = http.NO_BODY_CODES


class _Rendered:
    """
    A resource that was rendered once, with the outcome.

    @param resource: the resource; a second C{render} calls it.
    @param outcome: what its C{render} has returned, or the exception.
    """

    def __init__(self, resource: Any, outcome: Any) -> None:
        self._resource = resource
        self._outcomes = [outcome]

    def __repr__(self) -> str:
        return repr(self._resource)

    def render(self, request: Any) -> Any:
        """
        Return the outcome, or raise it.
        """
        if not self._outcomes:
            return self._resource.render(request)
        if isinstance(self._outcomes[0], UnsupportedMethod):
            # Without a variable: the traceback would keep it.
            raise self._outcomes.pop()
        return self._outcomes.pop()


def receive(request: Any, head: RequestHead) -> None:
    """
    Do what C{requestReceived} does for a request without a body and a query, or call it
    if it is overridden, or if the response repeats the version of an HTTP/1.0 request.
    """
    if (
        getattr(request.requestReceived, "__func__", None) is _requestReceived
        and head.version == b"HTTP/1.1"
    ):
        request.args = {}
        request.method = head.method
        request.uri = request.path = head.target
        request.clientproto = head.version
        _find(request)
    else:
        request.requestReceived(head.method, head.target, head.version)


def _find(request: Any) -> None:
    """
    Do what C{request.process} does, or call it if it is overridden.
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
        # As in twisted.web's method.
        request.processingFailed(Failure())


def _answer(request: Any, resource: Any) -> None:
    """
    Do what C{request.render} does, or call it if it is overridden.
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
    # A request has no channel after finish.
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
    # Then Content-Length is the last field.
    if (
        (typed or not body or request.defaultContentType is None)
        and b"Content-Length" not in fields
        # The application may have set values of any type.
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
