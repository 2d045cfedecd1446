"""
Resources in L{twisted.web.resource.EncodingResourceWrapper}, for requests of foreign
classes.

An encoder removes C{Content-Length}, so that the client can not tell any more whether
the content is complete.  So the content is counted before it is encoded, as L{Request
<twisted_h11.server.Request>} does by itself: what exceeds the length is dropped, and a
response that falls short of it is cut off.

A range of the file is none of the encoded content; so a C{Range} field is checked when
the request has its encoder.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.web.resource import EncodingResourceWrapper

from twisted_h11._server.ranges import render_ranged

__all__ = ["Encoded"]


class Encoded(EncodingResourceWrapper):
    """
    A wrapped resource whose encoder counts.  To anything but C{type} it looks like the
    wrapper that it stands for.

    @param resource: the L{EncodingResourceWrapper}.
    """

    def __init__(self, resource: Any) -> None:
        super().__init__(resource, [])

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.original)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["original"], name)

    def __repr__(self) -> str:
        return repr(self.original)

    def getEncoder(self, request: Any) -> Any:
        """
        The encoder that the wrapped resource chooses.
        """
        encoder = self.original.getEncoder(request)
        return None if encoder is None else _Counting(encoder, request)

    def render(self, request: Any) -> Any:
        """
        Render the wrapped resource.
        """
        return render_ranged(self.original, request)


class _Counting:
    """
    Counts the content of one response, and passes it to its encoder.

    @param encoder: an encoder; see C{twisted.web.iweb._IRequestEncoder}.
    @param request: a request of a foreign class.
    """

    _log = Logger()

    def __init__(self, encoder: Any, request: Any) -> None:
        self._encoder = encoder
        self._request = request
        # How many bytes are missing; None without a length.
        self._left: int | None = None
        self._begun = self._complained = False

    def encode(self, data: bytes) -> bytes:
        """
        Encode a piece of the content.
        """
        request = self._request
        if not self._begun:
            self._begun = True
            length = request.responseHeaders.getRawHeaders(b"Content-Length", [b""])[0]
            if length.isdigit() and request.method != b"HEAD":
                self._left = int(length)
        elif request.responseHeaders.hasHeader(b"Content-Length"):
            # The encoder has left the field: it is the length of what it makes.
            self._left = None
        left = self._left
        if left is not None:
            if len(data) > left:
                self._complain("more", request)
                data = data[:left]
            self._left = left - len(data)
        encoded: bytes = self._encoder.encode(data)
        return encoded

    def finish(self) -> bytes:
        """
        @return: the rest of the encoded content; nothing, if the response is cut off.
        """
        # Dropped: an encoder of Twisted's keeps a reference to the request.
        encoder, self._encoder = self._encoder, None
        request, self._request = self._request, None
        # None if the client has gone.
        channel = getattr(request, "channel", None)
        if (
            self._left
            and channel is not None
            and not request.responseHeaders.hasHeader(b"Content-Length")
        ):
            if not getattr(channel, "takesNothing", False):
                self._complain("less", request)
            # A stream of HTTP/2 has no failResponse.
            getattr(channel, "failResponse", channel.abortConnection)()
            return b""
        encoded: bytes = encoder.finish()
        return encoded

    def _complain(self, what: str, request: Any) -> None:
        if not self._complained:
            self._complained = True
            self._log.error(
                "{request} sent {what} than its Content-Length",
                request=request,
                what=what,
            )
