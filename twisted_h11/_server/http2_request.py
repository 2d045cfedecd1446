"""
The request object of an HTTP/2 stream, with its exceptions handled.

Twisted's HTTP/2 lets an exception of a request object propagate to the connection,
where it looks like a malformed frame of the client.  L{StreamRequest} logs the
exception, and resets only the stream, once there is one.

A stream that is not served has a L{RefusedStream} instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.http_headers import Headers

from twisted_h11._boundary.guarded import guarded, log_failure

__all__ = ["RefusedStream", "StreamRequest"]


class StreamRequest:
    """
    A request object, whose methods are guarded that Twisted's stream calls while the
    request arrives.

    @param make: makes the request object, which may be of a framework's class.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._request: Any = _begin(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def gotLength(self, length: int | None) -> None:
        """
        The fields have arrived: pass on the length of the body.
        """
        _begin(self._request.gotLength, length)

    def parseCookies(self) -> None:
        """
        The fields have arrived: parse the cookies.
        """
        _begin(self._request.parseCookies)

    def handleContentChunk(self, data: bytes) -> None:
        """
        Pass on a piece of the body.
        """
        self._call("Taking the body of a request", "handleContentChunk", data)

    def requestReceived(self, *args: bytes) -> None:
        """
        The request is complete: process it.
        """
        self._call("A request", "requestReceived", *args)

    def connectionLost(self, reason: Any) -> None:
        """
        The response will not be complete: log what was sent of it, as HTTP/1 does for
        requests of this package, and pass that on.
        """
        request = self._request
        channel: Any = getattr(request, "channel", None)
        if getattr(channel, "answer", None) is not None and getattr(
            request, "leavesFraming", False
        ):
            request.sentLength = max(request.sentLength - channel.unsent, 0)
            guarded("The access log", channel.factory.log, request)
        request.connectionLost(reason)

    def _call(self, what: str, name: str, *args: bytes) -> None:
        request = self._request
        if not guarded(what, getattr(request, name), *args):
            # A request that is over has no channel.
            channel = getattr(request, "channel", None)
            if channel is not None:
                channel.abortConnection()


def _begin(call: Callable[..., Any], *args: object) -> Any:
    """
    Call a method before the stream exists: an exception is logged, and raised again,
    so that it ends the connection.
    """
    try:
        return call(*args)
    except Exception:
        log_failure("Making a request")
        raise


class RefusedStream:
    """
    The request object of a stream that is about to be reset.
    """

    def __init__(self) -> None:
        self.requestHeaders = Headers()

    def _nothing(self, *_: object) -> None:
        pass

    gotLength = parseCookies = handleContentChunk = _nothing
    requestReceived = connectionLost = _nothing
