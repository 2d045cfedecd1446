"""
Making the OpenSSL connection of a client, by code of the application.

Twisted asks for it when the transport is there already.  If that raises, then
nobody is told: neither the protocol, nor whoever waits for the endpoint.  So here
it does not raise; the problem is kept, and whoever waits looks for it.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["CarefulCreator"]


@implementer(IOpenSSLClientConnectionCreator)
class CarefulCreator:
    """
    A connection creator that always creates a connection.

    @ivar original: what makes the connections.
    @ivar problem: why the last one must not be used, or C{None}.
    """

    problem: Failure | None = None

    def __init__(self, creator: Any) -> None:
        self.original = creator

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """
        See L{IOpenSSLClientConnectionCreator}.
        """
        self.problem = None
        try:
            connection = self.original.clientConnectionForTLS(tlsProtocol)
            if not hasattr(connection, "set_connect_state"):
                raise TypeError(
                    f"{self.original!r} made {connection!r}, which is no connection "
                    "of OpenSSL"
                )
        except BaseException:
            self.problem = Failure()
            # No byte of it is sent.
            return SSL.Connection(SSL.Context(SSL.TLS_METHOD))
        return connection
