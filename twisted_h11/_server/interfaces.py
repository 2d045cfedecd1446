"""
What the rooms of the server need of those above them.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted_h11._server.framers import H11Framer
from twisted_h11._server.slow_client import SlowClient
from twisted_h11.limits import Limits

__all__ = ["CycleOwner", "Routed", "Served"]


class Routed(Protocol):
    """
    A site whose resources may be found before the body of a request is here.

    @ivar limits: its bounds.
    @ivar resource: the root of its resources.
    """

    limits: Limits
    resource: Any

    def findsByPath(self) -> bool:
        """
        Whether the site's C{getResourceFor} is the one that this package has, which
        follows the path from C{resource}.
        """


class Served(Routed, Protocol):
    """
    The site of a connection.

    @ivar serverHeader: the value of the C{Server} field, or C{None}.
    @ivar extraHeaders: pairs of bytes that every response gets.
    """

    serverHeader: bytes | None
    extraHeaders: list[tuple[bytes, bytes]]

    def log(self, request: Any) -> None:
        """
        Write a line to the access log, if there is one.
        """


class CycleOwner(Protocol):
    """
    What a cycle needs of its connection.

    @ivar site: the site.
    @ivar persistent: whether another request may follow.
    @ivar cycle: the current cycle.
    """

    site: Served | None
    persistent: Any
    cycle: Any

    def h11Framer(self) -> H11Framer:
        """
        What frames by h11 on this connection.
        """

    def bodyLeft(self) -> int:
        """
        How many bytes of the request's body have not been received, where its length
        is known.
        """

    def slowClient(self) -> SlowClient:
        """
        What watches a client that does not keep up.
        """

    def sendError(self, status: int, reason: str, method: bytes) -> int:
        """
        Send a response of our own, and close.
        """

    def abortConnection(self) -> None:
        """
        End the connection at once.
        """

    def endCycle(self) -> None:
        """
        The response has ended.
        """

    def awaitNext(self) -> None:
        """
        Both messages have ended, and h11 has seen neither.
        """
