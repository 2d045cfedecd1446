"""
Compression of responses.

Whether a response is compressed is decided when its head is complete: by its status,
its type, its length, and C{Accept-Encoding}.  Until then the request has an L{Encoder}
without a decision; so a file that is not compressed is still sent as a region, and its
ranges are served.

A response that is written in one piece keeps a C{Content-Length}.  A response in
several pieces, without a C{Content-Length}, is flushed with each piece: the application
may expect the client to get each piece at once.

The compressed content is another representation (RFC 9110 section 8.8.3): a strong
entity tag becomes a weak one, as in nginx, and C{Vary} names C{Accept-Encoding}.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from twisted_h11._boundary.checks import INT, STR, checked, listed
from twisted_h11._boundary.twisted_private import encoder_for
from twisted_h11._http.lists import has_member, with_member
from twisted_h11._http.negotiation import choose_coding

__all__ = ["COMPRESSED_TYPES", "Compression", "encoder_of"]

COMPRESSED_TYPES = (
    "application/atom+xml",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/rss+xml",
    "application/wasm",
    "application/xhtml+xml",
    "application/xml",
    "image/svg+xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/markdown",
    "text/plain",
    "text/xml",
)
"""
Media types that are compressed by default: text.  Images, films and archives are
compressed already, and the events of C{text/event-stream} must arrive at once.
"""

# Text that only its own name in the types compresses.
_EVENTS = b"text/event-stream"

# Responses with these statuses have no content, or only a part.
_NEVER = frozenset((204, 205, 206, 304))

# zlib's argument for the format of gzip, with the largest window.
_GZIP = 31

_VARIES = b"Accept-Encoding"

# The fields that describe the content as it is, without a content coding (RFC 9110
# section 8.6, RFC 9530 sections 2 and 3).
_OF_THE_PLAIN = (
    b"Accept-Ranges",
    b"Content-Digest",
    b"Content-Length",
    b"Content-Md5",
    b"Digest",
    b"Repr-Digest",
)


class Compression:
    """
    Which responses of a site are compressed, by gzip (RFC 9110 section 8.4.1.3).

    It applies to the responses of L{Request<twisted_h11.server.Request>}.  Do not
    compress a page with both a secret and text that an attacker can choose (the BREACH
    attack); C{Cache-Control: no-transform} prevents compression.

    C{Limits.maxCompressors} bounds how many are compressed at the same time.

    @since: 0.1
    """

    @checked(types=listed(STR), minimumLength=INT, level=INT)
    def __init__(
        self,
        *,
        types: Iterable[str] = COMPRESSED_TYPES,
        minimumLength: int = 1024,
        level: int = 6,
    ) -> None:
        """
        @param types: media types, such as C{text/html}; C{text/*} for all of a kind,
            without C{text/event-stream}.
        @param minimumLength: the least length of content to compress, in bytes, where
            the length is known.  Starlette has 500, nginx 20.
        @param level: 1 (fastest) to 9 (smallest).
        @raise TypeError: for an argument of a wrong type.
        @raise ValueError: for an invalid level or type.
        """
        if not 1 <= level <= 9:
            raise ValueError(f"level must be 1 to 9, not {level}")
        kinds = {kind.strip().lower() for kind in types}
        for kind in kinds:
            main, slash, sub = kind.partition("/")
            if not (main and slash and sub and kind.isascii()):
                raise ValueError(f"not a media type: {kind!r}")
        self._kinds = frozenset(kind.encode("ascii") for kind in kinds)
        self._minimumLength = minimumLength
        self._level = level
        self._running: WeakSet[Any] = WeakSet()

    def encoder(self, request: Any) -> Encoder:
        """
        The encoder of a request, which decides later whether to compress.
        """
        return Encoder(self, request)

    def compressor(self, request: Any) -> Any:
        """
        Decide whether to compress the response to a request, whose head is otherwise
        complete.  Adds C{Vary} to any response that this policy covers.

        @return: a C{zlib.compressobj}, or C{None}.
        """
        headers = request.responseHeaders
        # RFC 9110 sections 15.3.7 and 15.4.5: the fields that a 200 would have.
        tells = request.code in (206, 304)
        if not tells and not self._isWorthIt(request.code, headers):
            return None
        varies = with_member(headers.getRawHeaders(b"Vary", []), _VARIES)
        headers.setRawHeaders(b"Vary", varies)
        if tells:
            return None
        accepted = request.requestHeaders.getRawHeaders(_VARIES, ())
        if choose_coding(accepted, (b"gzip",)) is None:
            return None
        if len(self._running) >= request.site.limits.maxCompressors:
            return None
        return zlib.compressobj(self._level, zlib.DEFLATED, _GZIP)

    def began(self, encoder: Encoder) -> None:
        """
        Count a compressed response until its encoder is freed.
        """
        self._running.add(encoder)

    def _isWorthIt(self, code: int, headers: Any) -> bool:
        if code in _NEVER or headers.hasHeader(b"Content-Encoding"):
            return False
        if has_member(headers.getRawHeaders(b"Cache-Control", ()), b"no-transform"):
            return False
        length = headers.getRawHeaders(b"Content-Length", [b""])[0]
        if length.isdigit() and int(length) < self._minimumLength:
            return False
        kind = headers.getRawHeaders(b"Content-Type", [b""])[0]
        kind = kind.partition(b";")[0].strip().lower()
        if kind in self._kinds:
            return True
        return kind != _EVENTS and kind.partition(b"/")[0] + b"/*" in self._kinds


def encoder_of(resource: Any, request: Any) -> Any:
    """
    The encoder of the response to a request: its resource's encoder, else the site's.

    @return: an encoder, or C{None}.
    """
    # Most resources have none: avoid the call for each request.
    if getattr(resource, "getEncoder", None) is not None:
        encoder = encoder_for(resource, request)
        if encoder is not None:
            return encoder
    compression = getattr(request.site, "compression", None)
    return None if compression is None else compression.encoder(request)


class Encoder:
    """
    The encoder of one response; see C{twisted.web.iweb._IRequestEncoder}.

    @cvar leavesRanges: whether range requests are answered without encoding.
    """

    leavesRanges = True

    def __init__(self, policy: Compression, request: Any) -> None:
        self._policy = policy
        self._request = request
        self._compressor: Any = None
        self._settled = False
        # Whether to flush each piece; whether all content was one piece.
        self._flushes = self._isWhole = False

    def settle(self) -> bool:
        """
        Decide, once, whether the content is compressed.  Call this only when the head
        of the response is complete.
        """
        if not self._settled:
            self._settled = True
            request = self._request
            headers = request.responseHeaders
            self._compressor = self._policy.compressor(request)
            if self._compressor is not None:
                self._flushes = not headers.hasHeader(b"Content-Length")
        return self._compressor is not None

    def encode(self, data: bytes) -> bytes:
        """
        Compress a piece of the content.
        """
        request = self._request
        if not request.startedWriting and self.settle():
            length = request.responseHeaders.getRawHeaders(b"Content-Length", [b""])[0]
            if length == b"%d" % len(data):
                return self._encodeWhole(data)
            self._begin(None)
        compressor = self._compressor
        if compressor is None:
            return data
        if self._isWhole:
            return b""
        encoded: bytes = compressor.compress(data)
        if self._flushes and data:
            encoded += compressor.flush(zlib.Z_SYNC_FLUSH)
        return encoded

    def _encodeWhole(self, data: bytes) -> bytes:
        encoded: bytes = self._compressor.compress(data) + self._compressor.flush()
        if len(encoded) >= len(data):
            self._compressor = None
            return data
        self._isWhole = True
        self._begin(len(encoded))
        return encoded

    def _begin(self, length: int | None) -> None:
        """
        Change the head for compressed content.

        @param length: the length of the compressed content, if it is known.
        """
        request = self._request
        if length is None:
            self._policy.began(self)
        headers = request.responseHeaders
        headers.setRawHeaders(b"Content-Encoding", [b"gzip"])
        for name in _OF_THE_PLAIN:
            headers.removeHeader(name)
        if length is not None:
            headers.setRawHeaders(b"Content-Length", [b"%d" % length])
        etag = request.etag
        if etag is not None and etag.startswith(b'"'):
            request.etag = b"W/" + etag
        tags = headers.getRawHeaders(b"ETag", [])
        if tags and tags[0].startswith(b'"'):
            headers.setRawHeaders(b"ETag", [b"W/" + tags[0]])

    def finish(self) -> bytes:
        """
        @return: the rest of the compressed content.
        """
        request = self._request
        if request.method == b"HEAD" and not request.startedWriting and self.settle():
            # The same head as in a response to GET.
            self._begin(None)
        self._request = None
        compressor, self._compressor = self._compressor, None
        if compressor is None or self._isWhole or request.method == b"HEAD":
            return b""
        rest: bytes = compressor.flush()
        return rest
