"""
Reactors that change how endpoints listen, and delegate the rest to another reactor.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.tls import TLSMemoryBIOFactory

__all__ = ["ListeningReactor", "PassingReactor"]


class PassingReactor:
    """
    A reactor that delegates to another one; a subclass overrides some methods.

    @param reactor: the other reactor.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


class ListeningReactor(PassingReactor):
    """
    A reactor whose C{listenSSL} uses the C{listenTCP} of a subclass.
    """

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        secure = TLSMemoryBIOFactory(contextFactory, False, factory)
        return self.listenTCP(port, secure, *args, **kwargs)
