"""
The interfaces that lower modules of the server need of higher ones.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted_h11._server.framers import H11Framer
from twisted_h11._server.slow_client import SlowClient
from twisted_h11.limits import Limits

__all__ = ["CycleOwner", "Routed", "Served"]


class Routed(Protocol):
    """
    A site whose resources may be found before the body of a request has arrived.

    @ivar limits: its bounds.
    @ivar resource: the root of its resources.
    """

    limits: Limits
    resource: Any

    def findsByPath(self) -> bool:
        """
        Whether the site's C{getResourceFor} is this package's, which follows the path
        from C{resource}.
        """


class Served(Routed, Protocol):
    """
    The site of a connection.

    @ivar serverHeader: the value of the C{Server} field, or C{None}.
    @ivar extraHeaders: pairs of bytes that every response gets.
    @ivar transportSecurity: the value of C{Strict-Transport-Security}, or C{None}.
    """

    serverHeader: bytes | None
    extraHeaders: list[tuple[bytes, bytes]]
    transportSecurity: bytes | None

    def log(self, request: Any) -> None:
        """
        Write a line to the access log, if there is one.
        """


class CycleOwner(Protocol):
    """
    The interface of a connection for its cycles.

    @ivar site: the site.
    @ivar persistent: whether another request may follow.
    @ivar cycle: the current cycle.
    @ivar takesNothing: whether the transport has said that it will take nothing more,
        because the client has gone: then no response can be as long as it should.
    """

    site: Served | None
    persistent: Any
    cycle: Any
    takesNothing: bool

    def h11Framer(self) -> H11Framer:
        """
        The connection's L{H11Framer}.
        """

    def bodyLeft(self) -> int:
        """
        How many bytes of the request's body have not been received; 0 if its length is
        not known.
        """

    def slowClient(self) -> SlowClient:
        """
        The watch over a client that does not keep up; made on first need.
        """

    def sendError(self, status: int, reason: str, method: bytes) -> int:
        """
        Send an error response, and close.
        """

    def abortConnection(self) -> None:
        """
        Abort the connection at once.
        """

    def dropBody(self) -> None:
        """
        The response has ended, and the connection ends: the rest of the request is not
        wanted.
        """

    def endCycle(self) -> None:
        """
        The response has ended: begin the next cycle, if the request has ended too.
        """

    def endAfterResponse(self) -> None:
        """
        Close the connection after its last response.
        """

    def awaitNext(self) -> None:
        """
        Both messages have ended, without h11: wait for the next request.
        """
