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
    @return: a Deferred that has failed with C{ConnectionLost}.
    """
    return fail(Failure(ConnectionLost("The client has gone.")))


class Waiting:
    """
    The queue of callers that wait until one client has taken what was written.
    """

    def __init__(self) -> None:
        self._waiting: deque[Deferred[None]] = deque()

    def add(self) -> Deferred[None]:
        """
        Queue the caller.

        @return: a Deferred that fires with C{None} when it is the caller's turn, or
            fails with C{ConnectionLost}.  Cancel it to leave the queue.
        """
        deferred: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(deferred)
        return deferred

    def next(self) -> bool:
        """
        Fire the Deferred that has waited longest.

        @return: whether there was one.
        """
        if not self._waiting:
            return False
        self._waiting.popleft().callback(None)
        return True

    def fail(self) -> None:
        """
        Fail all waiting Deferreds: the client will never take anything more.
        """
        waiting, self._waiting = self._waiting, deque()
        for deferred in waiting:
            deferred.errback(ConnectionLost("The client has gone."))


@implementer(IPushProducer)
class Gate:
    """
    A push producer that records whether its consumer takes more, for connections of
    Twisted's own, such as its HTTP/2 streams.
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
        The consumer takes more: fire the waiting Deferreds.
        """
        self._paused = False
        while not self._paused and self._waiting.next():
            pass

    def stopProducing(self) -> None:
        """
        The consumer will never take anything more: fail the waiting Deferreds.
        """
        self._stopped = True
        self._waiting.fail()
