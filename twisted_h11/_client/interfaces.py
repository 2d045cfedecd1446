"""
Who is told what about a connection and about its exchanges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from typing import Protocol as Interface

from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure

from twisted_h11._client.response import Response
from twisted_h11._wire.wire import Wire

__all__ = ["ClientLine", "ExchangeHandler", "Owner"]

Connection = TypeVar("Connection", contravariant=True)


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


class Owner(Interface[Connection]):
    """
    Whoever has made a connection.
    """

    def connectionReady(self, connection: Connection) -> None:
        """
        The TLS handshake is complete.
        """

    def connectionOpened(self, connection: Connection) -> None:
        """
        The connection has its transport.
        """

    def connectionIdle(self, connection: Connection) -> None:
        """
        The connection may be used for another request.
        """

    def connectionClosing(self, connection: Connection) -> None:
        """
        The connection will take no more requests.
        """

    def connectionGone(self, connection: Connection, reason: Failure) -> None:
        """
        The connection is closed, or belongs to another protocol now.
        """


class ClientLine(Interface):
    """
    What an exchange needs of its connection.

    @ivar wire: the transport.
    @ivar clock: the time.
    @ivar served: how many requests the connection was given, this one included.
    @ivar secure: whether it is encrypted.
    @ivar tellsUnsent: whether the transport tells what it has not sent.
    @ivar peer: the address of the server.
    @ivar host: our own.
    """

    wire: Wire
    clock: Any
    served: int
    secure: bool
    tellsUnsent: bool
    peer: Any
    host: Any

    def sendWhole(self, data: bytes) -> None:
        """
        Send a request that is complete.
        """

    def exchangeOver(self, reusable: bool) -> None:
        """
        The response is complete.
        """

    def exchangeFailed(self) -> None:
        """
        There is no way to go on: drop the connection.
        """

    def giveTo(
        self, protocol: IProtocol, data: bytes, report: Callable[[str], None]
    ) -> None:
        """
        Give the transport to another protocol.

        @param data: what was received for it.
        @param report: told that the exchange has ended, before the protocol begins.
        """
