"""
The callbacks of connections and exchanges.
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
    The caller of an exchange.  One of the two methods is called, once.
    """

    def responseReceived(self, response: Response) -> None:
        """
        The head of the final response was received.
        """

    def requestFailed(self, failure: Failure, nothingSent: bool) -> None:
        """
        The exchange failed before the head of the final response.

        @param nothingSent: whether the server certainly received nothing of the
            request.
        """


class Owner(Interface[Connection]):
    """
    The owner of a connection: an attempt to connect, the pool, or a tunnel.
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
        The connection is closed, or was given to another protocol.
        """


class ClientLine(Interface):
    """
    What an exchange needs of its connection.

    @ivar wire: the transport.
    @ivar clock: the reactor's time.
    @ivar served: how many requests were sent on the connection, with this one.
    @ivar secure: whether it is encrypted.
    @ivar tellsUnsent: whether the transport tells how many bytes it has not sent.
    @ivar peer: the address of the server.
    @ivar host: the local address.
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
        The exchange has failed: drop the connection.
        """

    def giveTo(
        self, protocol: IProtocol, data: bytes, report: Callable[[str], None]
    ) -> None:
        """
        Give the transport to another protocol.

        @param data: the bytes that were received after the response.
        @param report: called with C{"ended"} before the protocol begins.
        """
