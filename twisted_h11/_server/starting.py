"""
Making a request object for a request head, and choosing where its body goes.

A request whose resource streams (L{twisted_h11._server.routing}) is rendered when its
head has arrived, and its body goes to a L{RequestBody<twisted_h11._server.body>}.  Any
other request collects its body first, as in twisted.web.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.web import http, server
from twisted.web.http_headers import Headers
from twisted.web.iweb import INonQueuedRequestFactory

from twisted_h11._boundary.guarded import log_failure
from twisted_h11._boundary.twisted_private import raw_fields
from twisted_h11._http.chunks import ChunkDecoder, StrictRules
from twisted_h11._http.fastpath import FastHead
from twisted_h11._http.strict_requests import Refused, RequestHead
from twisted_h11._server.adapted import adapt_request, is_proxy_request
from twisted_h11._server.body import RequestBody
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.incoming import Incoming, answer
from twisted_h11._server.plain import receive
from twisted_h11._server.request_headers import RequestHeaders
from twisted_h11._server.routing import route_early
from twisted_h11._server.states import Reading

__all__ = ["serve_bodiless", "serve_whole", "start_by_h11", "start_request"]


# How many classes are remembered.
_MOST_KINDS = 10_000


class _Kinds(dict[type, tuple[bool, bool, bool]]):
    """
    For each class of requests: whether it is called with the channel only, whether the
    class has its own C{requestHeaders}, and whether L{adapt_request} applies.
    """

    def __missing__(self, kind: type) -> tuple[bool, bool, bool]:
        if len(self) >= _MOST_KINDS:
            # The application makes classes all the time: do not keep them all.
            self.clear()
        self[kind] = known = (
            _takes_channel_alone(kind),
            hasattr(kind, "requestHeaders"),
            is_proxy_request(kind),
        )
        return known


_kinds = _Kinds()


def _takes_channel_alone(factory: Any) -> bool:
    return getattr(factory, "leavesFraming", False) or bool(
        INonQueuedRequestFactory.providedBy(factory)
    )


def start_request(channel: Any, cycle: Cycle, incoming: Incoming) -> None:
    """
    Make a request, and render it now if its resource streams.

    @param channel: the channel of the request; its C{requestFactory} makes it.
    @param cycle: the cycle of the request.
    @param incoming: its body.
    @raise Refused: if its body is too long.
    """
    head = cycle.head
    try:
        cycle.request = request = _make_request(channel, head)
        if head.length == 0:
            request.gotLength(0)
            return
        resource, most = route_early(channel.site, request, head.target)
        # In this try: maxBodyLength of a resource may have any type.
        incoming.setLimit(most)
    except (KeyboardInterrupt, Refused):
        raise
    except BaseException:
        log_failure("Making a request")
        cycle.applicationFailed()
        return
    try:
        if resource is not None:
            incoming.sink = sink = RequestBody(channel, request, head.length)
            request.renderEarly(resource, sink)
        else:
            request.gotLength(head.length)
    except KeyboardInterrupt:
        raise
    except BaseException:
        log_failure("A request")
        cycle.applicationFailed()


def start_by_h11(channel: Any, reader: Any, head: RequestHead, raw: bytes) -> None:
    """
    Begin a request that is not common, with h11.

    @param reader: the channel's reader, which has read the head.
    @param raw: the bytes of the head.
    @raise Refused: if h11 parses it to other values, or its body is too long.
    """
    if not channel.h11Framer().head(raw, head):
        raise Refused(400, "The request is malformed.")
    chunks = None
    if head.length is None:
        chunks = ChunkDecoder(StrictRules(channel.limits), channel.fastPath)
    cycle = channel.makeCycle(head, None)
    cycle.clientWaits = (
        head.expectsContinue and head.length != 0 and not reader.hasBytes
    )
    wire = channel.wire
    reader.incoming = incoming = Incoming(cycle, wire, head.length, chunks)
    reader.state = Reading.BODY
    start_request(channel, cycle, incoming)
    incoming.readLong()
    if wire.closing is None and incoming.sink is None:
        channel.sendContinue()


def serve_whole(channel: Any, cycle: Cycle, factory: Any) -> None:
    """
    Make a request without a body, and have it process itself.

    @param factory: a class that overrides no method that L{start_request} calls.
    """
    cycle.requestEnded = True
    try:
        cycle.request = request = factory(channel)
        request.serve(cycle.head)
    except KeyboardInterrupt:
        raise
    except BaseException:
        log_failure("A request")
        # If the cycle has ended, the response was complete before the failure.
        if channel.cycle is cycle:
            cycle.applicationFailed()


def serve_bodiless(channel: Any, cycle: Cycle) -> None:
    """
    Make a request without a body, by any C{requestFactory}, and have it process itself.

    @raise Refused: if it has too many arguments.
    """
    cycle.requestEnded = True
    try:
        cycle.request = request = _make_request(channel, cycle.head)
        if getattr(request.gotLength, "__func__", None) in _gotLength and not hasattr(
            channel.site, "getContentFile"
        ):
            # The same as gotLength(0).
            request.content = BytesIO()
        else:
            request.gotLength(0)
    except KeyboardInterrupt:
        raise
    except BaseException:
        log_failure("Making a request")
        cycle.applicationFailed()
        return
    if channel.wire.closing is not None or cycle.request is not request:
        # The request was aborted in its constructor or gotLength.
        return
    head = cycle.head
    if head.method == b"POST" or b"?" in head.target:
        answer(cycle, channel.site, channel.limits)
        return
    try:
        receive(request, head)
    except KeyboardInterrupt:
        raise
    except BaseException:
        log_failure("A request")
        if cycle.request is request:
            cycle.applicationFailed()


def _make_request(channel: Any, head: RequestHead) -> Any:
    """
    Make the request object, as L{twisted.web.http.HTTPChannel} does.
    """
    factory = channel.requestFactory
    isKind = isinstance(factory, type)
    if _kinds[factory][0] if isKind else _takes_channel_alone(factory):
        request = factory(channel)
    else:
        request = factory(channel, 0)
    takeHead = getattr(request, "headReceived", None)
    if takeHead is not None:
        takeHead(head)
    else:
        _, hasFields, isProxy = _kinds[type(request)]
        _give_fields(request, head, hasFields)
        if isProxy:
            adapt_request(request)
        if (
            type(head) is FastHead
            and b"\ncookie:" not in head.lowered
            and getattr(request.parseCookies, "__func__", None) is _parseCookies
        ):
            # There are no cookies to parse.
            return request
    request.parseCookies()
    return request


# twisted.web's own methods, which are skipped where their effect is known.
_gotLength = (server.Request.gotLength, http.Request.gotLength)
_parseCookies = http.Request.parseCookies


def _give_fields(request: Any, head: RequestHead, isOwn: bool) -> None:
    """
    Give a foreign request its fields: as L{RequestHeaders}, if its C{Headers} object is
    the empty one of twisted.web's constructor, with no other reference to it.

    @param isOwn: whether the class has its own C{requestHeaders}.
    """
    if (
        not isOwn
        and type(request.requestHeaders) is Headers
        # Two references: the attribute, and the argument of _holders.
        and _holders(request.requestHeaders) == 2
        and not raw_fields(request.requestHeaders)
    ):
        request.requestHeaders = RequestHeaders(head)
    else:
        addRawHeader = request.requestHeaders.addRawHeader
        for name, value in head.fields:
            addRawHeader(name, value)


# How many references to an object there are; 0, which never matches, without
# sys.getrefcount.
_holders: Callable[[object], int] = getattr(sys, "getrefcount", lambda _: 0)
