"""
Waiting until a client has taken what was written to it.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["Gate", "Waiting", "client_gone"]


def client_gone() -> Deferred[None]:
    """
    There is nobody to wait for.
    """
    return fail(Failure(ConnectionLost("The client has gone.")))


class Waiting:
    """
    Who waits for one client.
    """

    def __init__(self) -> None:
        self._waiting: deque[Deferred[None]] = deque()

    def add(self) -> Deferred[None]:
        """
        @return: fires when it is the caller's turn; it may be cancelled.
        """
        deferred: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(deferred)
        return deferred

    def next(self) -> bool:
        """
        It is the turn of whoever has waited longest.

        @return: whether there was anybody.
        """
        if not self._waiting:
            return False
        self._waiting.popleft().callback(None)
        return True

    def fail(self) -> None:
        """
        The client will never take anything more.
        """
        waiting, self._waiting = self._waiting, deque()
        for deferred in waiting:
            deferred.errback(ConnectionLost("The client has gone."))


@implementer(IPushProducer)
class Gate:
    """
    Knows, as a producer, whether a consumer takes more; for a connection that is
    not ours, as the streams of Twisted's HTTP/2.
    """

    def __init__(self) -> None:
        self._waiting = Waiting()
        self._paused = False
        self._stopped = False

    def drained(self) -> Deferred[None]:
        """
        See L{Streaming.drained<twisted_h11._server.streaming.Streaming.drained>}.
        """
        if self._stopped:
            return client_gone()
        return self._waiting.add() if self._paused else succeed(None)

    def pauseProducing(self) -> None:
        """
        The consumer takes nothing more for now.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        It does again.
        """
        self._paused = False
        while not self._paused and self._waiting.next():
            pass

    def stopProducing(self) -> None:
        """
        It never will.
        """
        self._stopped = True
        self._waiting.fail()
