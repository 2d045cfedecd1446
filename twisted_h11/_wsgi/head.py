"""
The head of a response of a WSGI application.  It is checked in the application's
thread, so that the traceback shows the faulty call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from twisted.web.http_headers import Headers

from twisted_h11._boundary.twisted_private import add_known
from twisted_h11._http.abnf import CONTROLS, has_control, is_length, is_token

__all__ = ["Head", "WSGIError"]

_status = re.compile(rf"([2-5][0-9]{{2}}) ([^{CONTROLS.decode()}]*)")

# The server sets these itself, and ignores the application's.
_SERVERS = (b"Server", b"Date")


class WSGIError(RuntimeError):
    """
    An application breaks PEP 3333.

    @since: 0.1
    """


class Head:
    """
    The status and the fields of a response.

    @ivar length: the C{Content-Length} in bytes; C{None} if there is none.
    @ivar hasContent: whether content goes to the client (RFC 9112 section 6.3).

    @param method: the request's method.
    @param status: for example C{"200 OK"}.
    @param fields: pairs of name and value.
    @raise TypeError: for an argument of a wrong type.
    @raise ValueError: for a status or field that can not be sent.
    """

    def __init__(self, method: str, status: Any, fields: Any) -> None:
        if not isinstance(status, str):
            raise TypeError(f"the status must be a str like '200 OK', not {status!r}")
        match = _status.fullmatch(status)
        if match is None:
            raise ValueError(
                "the status must be three digits from 200 to 599, a space and a "
                f"reason, like '200 OK', not {status!r}"
            )
        self.code = int(match[1])
        self.reason = _latin1(match[2], "the reason of the status")
        self.length: int | None = None
        self.hasContent = method != "HEAD" and self.code not in (204, 205, 304)
        if isinstance(fields, str) or not isinstance(fields, Sequence):
            raise TypeError(f"the headers must be a list, not {fields!r}")
        self.fields: list[tuple[bytes, bytes]] = []
        for field in fields:
            self._take(field)

    def _take(self, field: Any) -> None:
        """
        Check one field.
        """
        if (
            (type(field) is not tuple and not _is_pair(field))
            or len(field) != 2
            or not (isinstance(field[0], str) and isinstance(field[1], str))
        ):
            raise TypeError(f"a header must be a tuple of two str, not {field!r}")
        name = _name(field[0])
        try:
            value = field[1].encode("latin-1")
        except UnicodeEncodeError:
            value = _latin1(field[1], f"the header {field[0]!r}")
        if has_control(value) is not None:
            raise ValueError(
                f"the header {field[0]!r} has a control character: {field[1]!r}"
            )
        if name in _SERVERS:
            return
        if name == b"Content-Length":
            self._takeLength(field[1].strip(" \t"))
            return
        if name == b"Transfer-Encoding":
            # The server decides the framing; some applications set "chunked".
            if value.strip().lower() not in (b"chunked", b"identity"):
                raise ValueError(f"this transfer coding is not supported: {value!r}")
            return
        self.fields.append((name, value))

    def _takeLength(self, value: str) -> None:
        if is_length(value.encode("latin-1")) is None:
            raise ValueError(f"this is not a Content-Length: {value!r}")
        if self.length not in (None, int(value)):
            raise ValueError(f"Content-Length is both {self.length} and {value}")
        self.length = int(value)

    def setLength(self, length: int) -> None:
        """
        Set the length that the application has not given.

        @param length: the length of the content, in bytes.
        """
        self.length = length

    def apply(self, request: Any, whole: bool = False) -> None:
        """
        Set this status and these fields on a request.

        @param whole: whether to leave out C{Content-Length}, because all content is
            given at once.
        """
        request.setResponseCode(self.code, self.reason)
        headers = request.responseHeaders
        for name, value in self.fields:
            add_known(headers, name, value)
        if self.length is not None and not whole:
            add_known(headers, b"Content-Length", b"%d" % self.length)


def _is_pair(field: Any) -> bool:
    return isinstance(field, Sequence) and not isinstance(field, str)


@lru_cache(maxsize=512)
def _name(text: str) -> bytes:
    """
    The name of a field as Twisted spells it.
    """
    name = _latin1(text, "the name of a header")
    if is_token(name) is None:
        raise ValueError(f"this is not the name of a header: {text!r}")
    [(spelled, _)] = Headers({name: [b""]}).getAllRawHeaders()
    return spelled


def _latin1(text: str, what: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{what} has characters beyond Latin-1: {text!r}") from None
