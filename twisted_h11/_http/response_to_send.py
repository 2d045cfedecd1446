"""
Response heads of applications, checked and made ready for sending.

The reason phrases and field values of an application may contain user input.  h11
0.16 checks neither the reason phrase nor control characters in values, so both are
checked here, by the alphabet of RFC 9110 section 5.5 and RFC 9112 section 4.

The only framing field of an application that counts is C{Content-Length}.  Whether a
response has a body, and whether that is chunked, follows from the request and the
status (RFC 9112 section 6.3); h11 writes the fields for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from html import escape
from http import HTTPStatus

import h11
from twisted.web.http import RESPONSES

from twisted_h11._http.abnf import has_control, is_length, is_token
from twisted_h11._http.lists import has_member

__all__ = [
    "BadResponse",
    "ResponseHead",
    "check_fields",
    "error_page",
    "error_response",
    "http_date",
    "malformed_answer",
    "plain_page",
    "reason_of",
]

# RFC 9110 sections 6.5.1 and 15.2: no framing fields in an interim response or a
# trailer section.
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"trailer"))


class BadResponse(ValueError):
    """
    An application has given a response that can not be sent.
    """


def reason_of(status: int) -> bytes:
    """
    The usual reason phrase of a status.
    """
    known: bytes | None = RESPONSES.get(status)
    if known is not None:
        return known
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


def check_fields(pairs: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """
    Check fields for an interim response or a trailer section.

    @return: the pairs, white space around the values removed.
    @raise BadResponse: for a field that can not be sent there.
    @raise TypeError: for a name or value that is not bytes.
    """
    checked = []
    for name, value in pairs:
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            raise TypeError(
                "the name and the value of a field must be bytes, not "
                f"{name!r} and {value!r}"
            )
        if is_token(name) is None:
            raise BadResponse(f"this is not a field name: {name!r}")
        value = value.strip(b" \t")
        if has_control(value) is not None:
            raise BadResponse(f"the field {name!r} has a control character: {value!r}")
        if name.lower() in _FRAMING:
            raise BadResponse(f"the field {name!r} can not be sent here")
        checked.append((name, value))
    return checked


class ResponseHead:
    """
    A response head that can be sent.

    @ivar status: 200 to 599 (RFC 9110 section 15).
    @ivar reason: the reason phrase.
    @ivar raw: its bytes, if the fast path has made and sends it; else not set.
    @ivar length: the length of the content in bytes, if the application has given it.
    @ivar hasContent: whether a body follows on the wire.
    @ivar close: whether the application asked for C{Connection: close}; not set if the
        fast path has made the head.
    """

    __slots__ = (
        "_fields",
        "close",
        "hasContent",
        "length",
        "raw",
        "reason",
        "status",
    )

    raw: bytes

    @classmethod
    def sent(
        cls, status: int, reason: bytes, raw: bytes, length: int | None
    ) -> ResponseHead:
        """
        A head of the fast path (L{twisted_h11._http.fast_responses}).

        @param raw: its bytes.
        """
        head = cls.__new__(cls)
        head.status = status
        head.reason = reason
        head.raw = raw
        head.length = length
        head.hasContent = True
        return head

    def __init__(
        self,
        status: int,
        reason: bytes,
        fields: Iterable[tuple[bytes, bytes]],
        method: bytes,
    ) -> None:
        """
        @param method: the request's method; a response to HEAD has no content.
        @raise BadResponse: naming what can not be sent.
        """
        if not 200 <= status <= 599:
            raise BadResponse(f"{status} is not the status of a final response")
        if has_control(reason) is not None:
            raise BadResponse(f"the reason phrase has a control character: {reason!r}")
        self.status = status
        self.reason = reason
        self.close = False
        self.length: int | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        dated = False
        for name, value in fields:
            if is_token(name) is None:
                raise BadResponse(f"this is not a field name: {name!r}")
            value = value.strip(b" \t")
            if has_control(value) is not None:
                raise BadResponse(
                    f"the field {name!r} has a control character: {value!r}"
                )
            lower = name.lower()
            if lower == b"content-length":
                if not self._takeLength(value):
                    continue
            elif lower == b"transfer-encoding":
                self._checkCoding(value)
                continue
            elif lower == b"connection":
                self._checkConnection(value)
            elif lower == b"date":
                dated = True
            self._fields.append((name, value))
        if not dated:
            # RFC 9110 section 6.6.1: an origin server with a clock sends Date.
            self._fields.append((b"Date", http_date()))
        # RFC 9112 section 6.3: these end with their head.  RFC 9110 section
        # 15.3.6: 205 has no content either, but needs framing to end it.
        self.hasContent = method != b"HEAD" and status not in (204, 205, 304)
        if status == 205 and method != b"HEAD":
            self.removeLength()
            self._fields.append((b"Content-Length", b"0"))
        elif status == 204 or (status == 304 and self.length == 0):
            # RFC 9110 section 8.6: no Content-Length in 204, and in 304 that of a 200,
            # which twisted.web's 0 for a resource that returns nothing is not.
            self.removeLength()

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """
        Pairs of name and value, without C{Transfer-Encoding}.
        """
        try:
            return self._fields
        except AttributeError:
            lines = self.raw[:-4].split(b"\r\n")[1:]
            pairs = [tuple(line.split(b": ", 1)) for line in lines]
            self._fields = [
                (pair[0], pair[1]) for pair in pairs if pair[0] != b"Transfer-Encoding"
            ]
            return self._fields

    def removeLength(self) -> None:
        """
        Remove C{Content-Length}.
        """
        self.length = None
        self._fields = [
            pair for pair in self._fields if pair[0].lower() != b"content-length"
        ]

    def _takeLength(self, value: bytes) -> bool:
        """
        @return: whether this is the first Content-Length.
        """
        if is_length(value) is None:
            raise BadResponse(f"this is not a Content-Length: {value!r}")
        length = int(value)
        if self.length is None:
            self.length = length
            return True
        if self.length != length:
            raise BadResponse(
                f"there are two Content-Length fields: {self.length} and {length}"
            )
        return False

    def _checkCoding(self, value: bytes) -> None:
        # twisted.web's own Request sets "chunked"; h11 writes it if needed.
        if value.lower() not in (b"chunked", b"identity"):
            raise BadResponse(f"this transfer coding is not supported: {value!r}")

    def _checkConnection(self, value: bytes) -> None:
        if has_member((value,), b"close"):
            self.close = True


_date = b""
_dateSecond = -1


def http_date() -> bytes:
    """
    The time now for a C{Date} field, made once a second.

    @return: an IMF-fixdate, RFC 9110 section 5.6.7.
    """
    global _date, _dateSecond
    second = int(time.time())
    if second != _dateSecond:
        _date = formatdate(second, usegmt=True).encode("ascii")
        _dateSecond = second
    return _date


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{code} {brief}</title></head>
<body><h1>{brief}</h1>{detail}</body>
</html>
"""


def error_page(code: int, brief: str, detail: str) -> bytes:
    """
    A default error page.

    @param code: the status.
    @param brief: the title, as text.
    @param detail: HTML, escaped by the caller.
    """
    page = _PAGE.format(code=code, brief=escape(brief), detail=detail)
    return page.encode("utf-8")


def error_response(
    status: int,
    reason: str,
    server: bytes | None,
    extra: Iterable[tuple[bytes, bytes]] = (),
    method: bytes | None = None,
    page: tuple[bytes, bytes] | None = None,
) -> tuple[bytes, int]:
    """
    A whole error response that ends the connection.

    @param status: the status.
    @param reason: one line for the body.
    @param server: the value of the C{Server} field, or C{None} for none.
    @param extra: further fields.
    @param method: the request's method, where it is known; HEAD gets no body.
    @param page: the media type and the content, instead of C{reason}.
    @return: the bytes of the response, and the length of its content.
    """
    kind, body = page or plain_page(reason)
    lines = [
        b"HTTP/1.1 %d %s" % (status, reason_of(status)),
        b"Date: " + http_date(),
    ]
    if server is not None:
        lines.append(b"Server: " + server)
    lines += [
        b"Content-Type: " + kind,
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    ]
    lines += [name + b": " + value for name, value in extra]
    content = b"" if method == b"HEAD" else body
    return b"\r\n".join(lines) + b"\r\n\r\n" + content, len(content)


def plain_page(reason: str) -> tuple[bytes, bytes]:
    """
    The media type and the content of an error page of one line.
    """
    return b"text/plain; charset=utf-8", reason.encode("utf-8") + b"\n"


def malformed_answer(
    error: h11.RemoteProtocolError, headOnly: bool
) -> Iterator[h11.Event]:
    """
    The events of a response to a request that h11 refuses.

    @param headOnly: whether the response has no content.
    """
    kind, body = plain_page("The request is malformed.")
    yield h11.Response(
        status_code=error.error_status_hint,
        headers=[
            (b"Date", http_date()),
            (b"Content-Type", kind),
            (b"Content-Length", b"%d" % len(body)),
            (b"Connection", b"close"),
        ],
    )
    if not headOnly:
        yield h11.Data(data=body)
    yield h11.EndOfMessage()
