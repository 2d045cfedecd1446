"""
Response heads, final and interim, and regions of files.

A common response head is made by the fast path, any other by h11.
"""

from __future__ import annotations

from collections.abc import Iterable

import h11
from twisted.internet.error import ConnectionAborted
from twisted.logger import Logger
from twisted.web.http_headers import Headers

from twisted_h11._boundary.twisted_private import raw_fields
from twisted_h11._http.fast_responses import begun_head, whole_head
from twisted_h11._http.response_to_send import BadResponse, ResponseHead, check_fields
from twisted_h11._server.added_fields import adds_fields, fields_to_add
from twisted_h11._server.cycle import Cycle, State
from twisted_h11._server.framers import FastFramer, Pairs
from twisted_h11._wire.files import FileRegion

__all__ = [
    "answer_whole",
    "respond",
    "send_interim",
    "send_region",
    "start",
    "switch",
]

_log = Logger()

# A global is faster than a member of an enumeration.
_STREAMING = State.STREAMING

# Content up to this length, in bytes, is copied behind its head.
_LONG = 16 * 1024


def respond(
    cycle: Cycle,
    code: bytes,
    reason: bytes,
    headers: Headers | Iterable[tuple[bytes, bytes]],
    version: bytes = b"HTTP/1.1",
) -> None:
    """
    Send a response head, or a 500 if the head is invalid.

    @param version: C{b"HTTP/1.0"} is sent to a client of that version.
    """
    wire, owner = cycle.wire, cycle.owner
    # wire.isOpen, without the call.
    if wire.transport is None or wire.closing is not None or cycle.answer is not None:
        return
    try:
        status = int(code)
        if type(headers) is Headers and _respond_fast(cycle, status, reason, headers):
            return
        if isinstance(headers, Headers):
            pairs = [(k, v) for k, vs in headers.getAllRawHeaders() for v in vs]
        else:
            pairs = list(headers)
        pairs += fields_to_add(owner.site, owner, pairs)
        answer = ResponseHead(status, reason, pairs, cycle.head.method)
        old = version == cycle.head.version == b"HTTP/1.0"
        _respond_by_h11(cycle, answer, b"HTTP/1.0" if old else None)
    except (BadResponse, h11.LocalProtocolError, TypeError, ValueError) as error:
        # The application may have given values of any type.
        _respond_failed(cycle, error)


def _respond_fast(
    cycle: Cycle, status: int, reason: bytes, headers: Headers, data: bytes = b""
) -> bool:
    """
    Send a response head without h11, if it is a common one.

    @param data: the first content.
    @return: whether the head is common; if not, nothing was done.
    """
    owner, head, framer = cycle.owner, cycle.head, cycle.framer
    site = owner.site
    if (
        type(framer) is not FastFramer
        # h11 puts Connection elsewhere if only the server wants to close.
        or (head.keepAlive and not owner.persistent)
        or (site is not None and adds_fields(site, owner, headers))
        or head.method == b"HEAD"
    ):
        return False
    answer = begun_head(status, reason, raw_fields(headers), not owner.persistent)
    if answer is None:
        return False
    length = answer.length
    if length is not None:
        if len(data) > length:
            return False
        cycle.left = length - len(data)
    cycle.answer = answer
    cycle.state = _STREAMING
    framer.respond(answer, data)
    return True


def _respond_by_h11(
    cycle: Cycle, answer: ResponseHead, version: bytes | None = None
) -> None:
    owner = cycle.owner
    connects = cycle.head.method == b"CONNECT"
    if answer.close or (connects and answer.status >= 300) or cycle.clientWaits:
        # Without 100 Continue it is unknown whether the client sends its body or
        # its next request, so this is the last one (as in Go net/http).
        owner.persistent = False
    if not owner.persistent and not answer.close:
        answer.fields.append((b"Connection", b"close"))
    if connects and answer.status < 300:
        answer.removeLength()
    # Before answer is set: wake() replays an answer that was sent.
    framer = cycle.wake()
    cycle.answer = answer
    cycle.left = answer.length if answer.hasContent else 0
    if connects and answer.status < 300:
        # RFC 9110 section 9.3.6: neither length nor coding; a tunnel follows.
        answer.hasContent = False
    cycle.state = _STREAMING
    framer.respond(answer, version)


def _respond_failed(cycle: Cycle, error: Exception) -> None:
    """
    The application's response head is invalid: log that, and send a 500.
    """
    request = cycle.request
    _log.error(
        "{request} gave a response that can not be sent: {error}",
        request=request,
        error=str(error),
    )
    cycle.answer = None
    if request is not None:
        request.code = 500
    cycle.owner.sendError(500, "The server failed.", cycle.head.method)


def start(
    cycle: Cycle, status: int, reason: bytes, headers: Headers, data: bytes
) -> bool:
    """
    Send a response head and its first content in one write.

    @return: whether the response has content on the wire.
    """
    wire = cycle.wire
    if (
        cycle.answer is None
        and len(data) <= _LONG
        # Without room, content must be counted by Cycle.send.
        and wire.hasRoom
        # wire.isOpen, without the call.
        and wire.transport is not None
        and wire.closing is None
        # The application may have given values of any type.
        and type(status) is int
        and type(reason) is bytes
        and type(headers) is Headers
        and _respond_fast(cycle, status, reason, headers, data)
    ):
        return True
    wire.beginJoin()
    try:
        respond(cycle, b"%d" % status, reason, headers)
        cycle.send(data)
    finally:
        wire.endJoin()
    return cycle.answer is not None and cycle.answer.hasContent


def answer_whole(
    cycle: Cycle, status: int, reason: bytes, headers: Headers, content: bytes
) -> bool:
    """
    Send a whole common response without h11.  Call L{Cycle.wholeAnswered} when the
    request is over.

    @return: whether the response is common; if not, nothing was done.
    """
    wire, owner = cycle.wire, cycle.owner
    site = owner.site
    if (
        cycle.unseenHead is None
        or not cycle.requestEnded
        or cycle.answer is not None
        # wire.isOpen, without the call.
        or wire.transport is None
        or wire.closing is not None
        or (
            site is not None
            # Most sites add none: avoid the call.
            and (site.extraHeaders or site.transportSecurity is not None)
            and adds_fields(site, owner, headers)
        )
    ):
        return False
    head = whole_head(
        status, reason, raw_fields(headers), len(content), not owner.persistent
    )
    if head is None:
        return False
    if len(content) > _LONG:
        wire.send(head)
        wire.send(content)
    else:
        wire.send(head + content)
    return True


def send_interim(cycle: Cycle | None, status: int, pairs: Pairs) -> bool:
    """
    Send an interim response (RFC 9110 section 15.2).

    @return: whether it was sent; not to an HTTP/1.0 client, nor when the final
        response has begun.
    @raise ValueError: for fields that can not be sent.
    """
    pairs = check_fields(pairs)
    if (
        cycle is None
        or not cycle.wire.isOpen
        or cycle.answer is not None
        or cycle.head.version == b"HTTP/1.0"
    ):
        return False
    if status == 100:
        cycle.clientWaits = False
    cycle.wake().interim(status, pairs)
    return True


def switch(cycle: Cycle, status: int, pairs: Pairs) -> None:
    """
    Send the response to Upgrade or CONNECT; the request is over.
    """
    framer, wire = cycle.wake(), cycle.wire
    # No endJoin(): what is joined is sent with the next write, or by detach().
    wire.joining += 1
    try:
        if status == 101:
            framer.interim(status, pairs)
        else:
            framer.switch(status, pairs)
    finally:
        wire.joining -= 1
    cycle.request = None


def send_region(cycle: Cycle | None, region: FileRegion) -> int:
    """
    Send a region of a file as content of the current response.

    @return: how many of its bytes the response has, if nothing fails.
    """
    answer = cycle.answer if cycle is not None else None
    if cycle is not None and answer is None and cycle.isAnswering() and len(region):
        # A raw response.
        cycle.wire.backPressure().sendRegion(region)
        return len(region)
    if cycle is None or answer is None or cycle.isOver or not cycle.wire.isOpen:
        region.end(ConnectionAborted("The response is over."))
        return 0
    left = cycle.left
    if left is not None and answer.hasContent:
        if len(region) > left:
            cycle.tooLong(0)
            region = FileRegion(region.file, region.offset, left, region.ended)
        cycle.left = left - len(region)
    if answer.hasContent and len(region):
        cycle.wake().data(region)
        return len(region)
    region.end(None)
    return 0
