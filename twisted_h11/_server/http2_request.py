"""
A request of HTTP/2, as Twisted's stream sees it.

Twisted's HTTP/2 passes on what a request raises, until it looks as if the client had
sent something that nobody can read.  Here it is logged; and once the stream is there it
costs that, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted_h11._boundary.guarded import guarded, log_failure

__all__ = ["StreamRequest"]


class StreamRequest:
    """
    A request, with something around what is called while it arrives.

    @param make: makes the request, which need not be one of ours.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._request: Any = _begin(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def gotLength(self, length: int | None) -> None:
        """
        The fields are here.
        """
        _begin(self._request.gotLength, length)

    def parseCookies(self) -> None:
        """
        So are those with cookies.
        """
        _begin(self._request.parseCookies)

    def handleContentChunk(self, data: bytes) -> None:
        """
        Some of the body is here.
        """
        self._call("Taking the body of a request", "handleContentChunk", data)

    def requestReceived(self, *args: bytes) -> None:
        """
        All of it is here.
        """
        self._call("A request", "requestReceived", *args)

    def _call(self, what: str, name: str, *args: bytes) -> None:
        request = self._request
        if not guarded(what, getattr(request, name), *args):
            # Of one that is over it has none.
            channel = getattr(request, "channel", None)
            if channel is not None:
                channel.abortConnection()


def _begin(call: Callable[..., Any], *args: object) -> Any:
    """
    Call what may raise while nobody but the connection could be ended for it.
    """
    try:
        return call(*args)
    except Exception:
        log_failure("Making a request")
        raise
