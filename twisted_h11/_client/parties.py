"""
Who is told what about a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol as Interface

from twisted.python.failure import Failure

if TYPE_CHECKING:
    from twisted_h11._client.connection import ClientConnection
    from twisted_h11._client.response import Response

__all__ = ["ExchangeHandler", "Owner"]


class ExchangeHandler(Interface):
    """
    Whoever has started a request is told one of two things, once.
    """

    def responseReceived(self, response: Response) -> None:
        """
        The head of the final response is here.
        """

    def requestFailed(self, failure: Failure, nothingSent: bool) -> None:
        """
        There will be no response.

        @param nothingSent: whether it is certain that the server has seen
            nothing of the request.
        """


class Owner(Interface):
    """
    Whoever has made a connection.
    """

    def connectionReady(self, connection: ClientConnection) -> None:
        """
        The TLS handshake is complete.
        """

    def connectionOpened(self, connection: ClientConnection) -> None:
        """
        The connection has its transport.
        """

    def connectionIdle(self, connection: ClientConnection) -> None:
        """
        The connection may be used for another request.
        """

    def connectionClosing(self, connection: ClientConnection) -> None:
        """
        The connection will take no more requests.
        """

    def connectionGone(self, connection: ClientConnection, reason: Failure) -> None:
        """
        The connection is closed, or belongs to another protocol now.
        """
