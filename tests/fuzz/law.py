"""
The Law of the fast path, as functions that raise L{AssertionError}.

For every input on which L{twisted_h11._http.fastpath} answers, the strict layer and
h11 answer the same.  A property test (C{tests/http/test_fastpath_law.py}) and the
fuzz targets beside this module call these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h11
from twisted.web.http_headers import Headers

from twisted_h11._http import fastpath
from twisted_h11._http.fast_responses import begun_head, whole_head
from twisted_h11._http.fastpath import FastHead
from twisted_h11._http.response_to_send import BadResponse, ResponseHead
from twisted_h11._http.strict_requests import Refused, RequestHead, check_request_head
from twisted_h11.limits import Limits

__all__ = [
    "BrokenLaw",
    "check_memory",
    "check_pipeline",
    "check_request",
    "check_response",
    "same",
]

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class BrokenLaw(AssertionError):
    """
    The fast path and the authorities do not agree.
    """


def same(what: str, fast: object, authority: object) -> None:
    """
    What the fast path has is what the authority has.

    @raise BrokenLaw: naming both.
    """
    if fast != authority:
        raise BrokenLaw(f"{what}: the fast path has {fast!r}, not {authority!r}")


def _strictly(head: FastHead, data: bytes, start: int, limits: Limits) -> RequestHead:
    """
    The strict layer has the same head.
    """
    # Where the channel looks for the end of a head without the fast path.
    same("end of head", head.end, data.find(b"\r\n\r\n", start) + 4)
    try:
        strict = check_request_head(data[start : head.end], limits)
    except Refused as refused:
        raise BrokenLaw(f"the strict layer refuses it: {refused}") from None
    same("method", head.method, strict.method)
    same("target", head.target, strict.target)
    same("version", head.version, strict.version)
    same("fields", head.fields, strict.fields)
    same("length", head.length, strict.length)
    same("keep-alive", head.keepAlive, strict.keepAlive)
    same("expectation", head.expectsContinue, strict.expectsContinue)
    return strict


def _by_h11(head: FastHead, data: bytes, start: int) -> None:
    """
    h11 has the same message, and ends it at the same byte.
    """
    conn = h11.Connection(h11.SERVER)
    conn.receive_data(data[start:])
    try:
        request = conn.next_event()
        same("kind of event", h11.Request, type(request))
        assert isinstance(request, h11.Request)
        body = bytearray()
        while type(event := conn.next_event()) is h11.Data:
            body += event.data
    except h11.RemoteProtocolError as error:
        raise BrokenLaw(f"h11 refuses it: {error}") from None
    same("kind of event", h11.EndOfMessage, type(event))
    end = head.end + (head.length or 0)
    same("h11's method", head.method, bytes(request.method))
    same("h11's target", head.target, bytes(request.target))
    same("h11's version", head.version, b"HTTP/" + request.http_version)
    same("h11's fields", head.fields, [*request.headers.raw_items()])
    same("body", data[head.end : end], bytes(body))
    same("what follows", data[end:], conn.trailing_data[0])
    # Neither MUST_CLOSE nor MIGHT_SWITCH_PROTOCOL.
    state = h11.DONE if head.keepAlive else h11.MUST_CLOSE
    same("h11's state of the client", state, conn.their_state)
    same("h11's expectation", False, conn.they_are_waiting_for_100_continue)


def check_request(
    data: bytes,
    start: int = 0,
    limits: Limits | None = None,
    last: FastHead | None = None,
) -> FastHead | None:
    """
    Hold one call of C{read_request} to the Law.

    @param last: an answer of an earlier call.
    @return: the answer.
    @raise BrokenLaw: naming the difference.
    """
    if limits is None:
        limits = Limits()
    head = fastpath.read_request(data, start, limits, last)
    if head is None:
        return None
    strict = _strictly(head, data, start, limits)
    # The rest of a body that is not all here may be anything of its length.
    missing = max(head.end + (head.length or 0) - len(data), 0)
    if missing < 1024 * 1024:
        _by_h11(head, data + bytes(missing), start)
    most = limits.maxBodyLength
    if most is not None and (head.length or 0) > most:
        raise BrokenLaw("the body is longer than the limit")
    names = {name.lower() for name, _ in strict.fields}
    for name in (*names, b"x-not-there", b"x"):
        wanted = [value for key, value in strict.fields if key.lower() == name]
        same(f"values of {name!r}", head.find(name.title()), wanted)
    if last is not None:
        # What was remembered is a short cut, not another opinion.
        alone = fastpath.read_request(data, start, limits, None)
        if alone is None:
            raise BrokenLaw("it is answered only because of the head before")
        same("fields after another head", head.fields, alone.fields)
        same("end after another head", head.end, alone.end)
    return head


def check_pipeline(data: bytes, limits: Limits | None = None) -> int:
    """
    Hold a connection's worth of requests to the Law, as a channel reads them.

    @return: how many the fast path has answered.
    """
    last: FastHead | None = None
    start = count = 0
    while start < len(data):
        head = check_request(data, start, limits, last)
        if head is None:
            break
        start = head.end + (head.length or 0)
        last = head
        count += 1
    return count


def _slow_response(
    status: int,
    reason: bytes,
    fields: Sequence[tuple[bytes, bytes]],
    date: bytes,
    request: bytes = REQUEST,
) -> bytes | None:
    """
    What goes out without the fast path.

    @param request: a GET.
    @return: C{None} if it is refused.
    """
    conn = h11.Connection(h11.SERVER)
    conn.receive_data(request)
    while type(conn.next_event()) is not h11.EndOfMessage:
        pass
    try:
        answer = ResponseHead(status, reason, fields, b"GET")
        event = h11.Response(
            status_code=answer.status, headers=answer.fields, reason=answer.reason
        )
        sent = conn.send(event)
    except (BadResponse, h11.LocalProtocolError):
        return None
    assert sent is not None
    if not any(name.lower() == b"date" for name, _ in fields):
        sent = sent.replace(_date_in(answer), b"Date: " + date, 1)
    # What the connection may do afterwards belongs to the answer.
    if answer.close or not answer.hasContent:
        return b"uncommon " + sent
    return bytes(sent)


def _date_in(answer: ResponseHead) -> bytes:
    return next(b"Date: " + value for name, value in answer.fields if name == b"Date")


def _pairs(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(k, v) for k, values in headers.getAllRawHeaders() for v in values]


def check_response(status: int, reason: bytes, headers: Headers) -> bool:
    """
    Hold C{begun_head} to the Law.

    @return: whether it has answered.
    @raise BrokenLaw: naming the difference.
    """
    raw: Any = headers._rawHeaders
    slow = _slow_response(status, reason, _pairs(headers), b"-")
    made = None
    # The second one is remembered.
    for _ in range(2):
        made = begun_head(status, reason, raw)
        if made is None:
            return False
        same("response head", made.raw, slow)
        # The head as h11 is told of it, should it be needed after all.
        again = _slow_response(status, reason, made.fields, b"-")
        same("response head when replayed", made.raw, again)
        lengths = headers.getRawHeaders(b"Content-Length")
        same("length", made.length, int(lengths[0]) if lengths else None)
    # As the channel says it to a client that closes.
    closing = [*_pairs(headers), (b"Connection", b"close")]
    slow = _slow_response(status, reason, closing, b"-", LAST_REQUEST)
    for _ in range(2):
        made = begun_head(status, reason, raw, True)
        same("last response head", b"uncommon " + (made.raw if made else b""), slow)
    return True


def check_memory(responses: Sequence[tuple[int, bytes, Headers, int]]) -> int:
    """
    Hold several whole responses, one after the other, to the Law.

    @param responses: status, reason, fields without Content-Length, and the
        length of the content.
    @return: how many the fast path has answered.
    """
    count = 0
    for status, reason, headers, length in responses:
        raw: Any = headers._rawHeaders
        data = whole_head(status, reason, raw, length)
        if data is None:
            continue
        fields = [*_pairs(headers), (b"Content-Length", b"%d" % length)]
        same("remembered head", data, _slow_response(status, reason, fields, b"-"))
        # As the channel says it to a client that closes.
        fields.append((b"Connection", b"close"))
        slow = _slow_response(status, reason, fields, b"-", LAST_REQUEST)
        last = whole_head(status, reason, raw, length, True)
        same("last remembered head", b"uncommon " + (last or b""), slow)
        count += 1
    return count
