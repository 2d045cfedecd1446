"""
TLS handshakes that the other side ends with a C{close_notify}.

pyOpenSSL raises a C{ZeroReturnError} without arguments then.  Twisted's TLS layer looks
for the reason in the arguments, and raises C{IndexError} to the reactor: whoever can
connect, or is connected to, gets a traceback into the log.  The connections here give a
reason.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol

__all__ = ["ReasonedConnection", "prepare_handshake"]

_REASON = ("SSL routines", "", "the other side has ended it")


class ReasonedConnection(SSL.Connection):
    """
    A connection whose handshake fails with a reason.
    """

    def do_handshake(self) -> None:
        """
        See L{SSL.Connection}.
        """
        try:
            super().do_handshake()
        except SSL.ZeroReturnError:
            raise SSL.Error([_REASON]) from None


def prepare_handshake(transport: Any) -> bool:
    """
    If C{transport} is Twisted's TLS layer with a plain connection of pyOpenSSL, give
    that a reason to fail with, before its handshake.

    @return: whether it is such a layer, on which a handshake begins.
    """
    if not isinstance(transport, TLSMemoryBIOProtocol):
        return False
    connection: Any = transport.getHandle()
    if type(connection) is SSL.Connection:
        connection.__class__ = ReasonedConnection
    return True
