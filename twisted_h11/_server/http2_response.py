"""
The responses of HTTP/2 streams: their heads, and the length of their content.

h2 does not check what an application has given: an invalid status or a control
character in a field makes the client end the connection, with all its other requests
(RFC 9113 section 8.1.1).  So heads are checked by the rules of HTTP/1 first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.web.http_headers import Headers

from twisted_h11._http.response_to_send import ResponseHead, plain_page
from twisted_h11._server.added_fields import fields_to_add
from twisted_h11._server.error_pages import page_of
from twisted_h11._server.streaming import pairs_of

__all__ = ["Content", "failed_answer", "fields_of", "head_of"]

# RFC 9113 section 8.2.2; TE is a field of requests, and h2 raises for it.
_OF_CONNECTIONS = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)


def head_of(
    stream: Any,
    code: bytes,
    reason: bytes,
    headers: Headers | Iterable[tuple[bytes, bytes]],
) -> ResponseHead:
    """
    Check a response head, and add the fields of the site.

    @param stream: the stream.
    @raise ValueError: for a head that can not be sent.
    @raise TypeError: for a value of another type.
    """
    pairs = pairs_of(headers)
    pairs += fields_to_add(stream.site, stream, pairs)
    answer = ResponseHead(int(code), reason, pairs, stream.command)
    if answer.status == 304:
        # RFC 9110 section 8.6 allows it; clients that use h2 refuse it.
        answer.removeLength()
    return answer


def fields_of(answer: ResponseHead) -> Headers:
    """
    The fields of a head that HTTP/2 allows.
    """
    headers = Headers()
    for name, value in answer.fields:
        if name.lower() not in _OF_CONNECTIONS:
            headers.addRawHeader(name, value)
    return headers


def failed_answer(stream: Any) -> tuple[ResponseHead, bytes]:
    """
    The head and the content of a 500, for an application whose head is invalid.
    """
    site = stream.site
    # For the access log.
    stream.request.code = 500
    kind, body = page_of(site, 500) or plain_page("The server failed.")
    pairs = [(b"Content-Type", kind), (b"Content-Length", b"%d" % len(body))]
    server = getattr(site, "serverHeader", None)
    if server is not None:
        pairs.append((b"Server", server))
    pairs += fields_to_add(site, stream, pairs)
    return ResponseHead(500, b"", pairs, stream.command), body


class Content:
    """
    The content of a response, as far as its head allows it.
    """

    def __init__(self) -> None:
        self._mayCome = self._exceeds = False
        # How many bytes are missing of the Content-Length; None without one.
        self._left: int | None = None

    def begin(self, answer: ResponseHead) -> None:
        """
        The head was sent.
        """
        self._mayCome = answer.hasContent
        self._left = answer.length if answer.hasContent else None

    def take(self, data: bytes) -> bytes:
        """
        Count some content.

        @return: the part of it that is to be sent.
        """
        if not self._mayCome:
            return b""
        if self._left is not None:
            self._exceeds = self._exceeds or len(data) > self._left
            data = data[: self._left]
            self._left -= len(data)
        return data

    def end(self) -> None:
        """
        Nothing is taken any more.
        """
        self._mayCome = False

    @property
    def exceeds(self) -> bool:
        """
        Whether there was more than the C{Content-Length}.
        """
        return self._exceeds

    @property
    def misses(self) -> bool:
        """
        Whether there was less than the C{Content-Length}.
        """
        return bool(self._left)
