"""
Reactors that are another one, but for how endpoints listen.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.tls import TLSMemoryBIOFactory

__all__ = ["ListeningReactor", "PassingReactor"]


class PassingReactor:
    """
    A reactor that is another one, but for what a subclass does in its own way.

    @param reactor: the other.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


class ListeningReactor(PassingReactor):
    """
    One whose subclass has C{listenTCP}: what listens with TLS does so by that.
    """

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        secure = TLSMemoryBIOFactory(contextFactory, False, factory)
        return self.listenTCP(port, secure, *args, **kwargs)
