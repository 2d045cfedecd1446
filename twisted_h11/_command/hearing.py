"""
Hearing from workers: whether they can be heard, and were heard in time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from twisted_h11._boundary.explain import explain
from twisted_h11._command.notified import NotifySockets
from twisted_h11._command.steps import SteppedCall
from twisted_h11._command.worker_place import Worker

__all__ = ["Hearing"]


class Hearing:
    """
    Waits for the signs of life of workers.

    @param reactor: the reactor.
    @param sockets: the sockets for the workers' notifications.
    @param timeout: seconds within which a worker has to be heard.
    @param silent: called with a worker that was not heard in time, although it could
        have been.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        sockets: NotifySockets,
        timeout: float,
        silent: Callable[[Worker], object],
    ) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._timeout = timeout
        self._silent = silent

    def restore(self, worker: Worker) -> bool:
        """
        Make the socket of a worker again, if it was removed.

        @return: whether that was done.
        @raise OSError: if it is not possible.
        @raise CannotListenError: likewise.
        """
        wasRemoved = self._sockets.restore(worker.name)
        if wasRemoved:
            self._log.warn(
                "The socket of worker {worker} was removed: it is made again",
                worker=str(worker),
            )
        return wasRemoved

    def awaitBeat(self, worker: Worker) -> None:
        """
        Wait for the next sign of life.
        """
        missed = partial(self._missed, worker)
        worker.await_(SteppedCall(self._reactor, self._timeout, missed))

    def _missed(self, worker: Worker) -> None:
        try:
            mayLive = self.restore(worker)
        except (OSError, CannotListenError) as error:
            self._log.error(
                "The socket of worker {worker} was removed, and can not be made again, "
                "so whether it lives is not known: {reason}",
                worker=str(worker),
                reason=explain(error),
            )
            mayLive = True
        if mayLive:
            self.awaitBeat(worker)
        else:
            self._silent(worker)
