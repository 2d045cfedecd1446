"""
What the connections and requests of a server need of the site above them.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted_h11.limits import Limits

__all__ = ["Routed", "Served"]


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
