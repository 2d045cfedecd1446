"""
The head of a response as a WSGI application gives it: checked, in the thread of
the application, where its author sees what was wrong and where.
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

# The server says these, whatever the application does.
_SERVERS = (b"Server", b"Date")


class WSGIError(RuntimeError):
    """
    An application does what PEP 3333 does not allow.

    @since: 0.1
    """


class Head:
    """
    Status and fields.

    @ivar length: what C{Content-Length} says; C{None} if there is none.
    @ivar hasContent: whether content goes to the client (RFC 9112 section 6.3).

    @param method: the request's method.
    @param status: for example C{"200 OK"}.
    @param fields: pairs of name and value.
    @raise TypeError: for a wrong type.
    @raise ValueError: for what can not be sent.
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
            # How content is framed is for the server to say; some say "chunked".
            if value.strip().lower() not in (b"chunked", b"identity"):
                raise ValueError(f"this transfer coding is not known here: {value!r}")
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
        The application did not say how long its content is, but we know.
        """
        self.length = length

    def apply(self, request: Any, whole: bool = False) -> None:
        """
        Make it the head of a request's response.

        @param whole: whether the length will be seen from the content.
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
