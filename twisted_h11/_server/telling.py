"""
When a response has left.

An application that has called C{finish} is done; its response is not, where the
client takes it slowly.  It has left when its last byte was given to the kernel, and
not before C{notifyFinish} may say so, and the access log.  If the client goes
before, then that is how the response has ended, and what was sent of it is what the
log should count.

A transport keeps some 64 KiB of what it is given without saying so; what is in there
counts as gone.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure

from twisted_h11._boundary.guarded import guarded
from twisted_h11._server.handover import HandingOver

__all__ = ["Telling"]


class Telling(HandingOver):
    """
    One connection, seen from who waits for a response to have left.  No request is
    begun before, so there is one at most.
    """

    _whenSent: Callable[[Failure | None, int], object] | None = None

    def wireTaken(self) -> None:
        """
        Called by the wire: the transport has room again.
        """
        if self._wire.queue is None:
            self._tellSent()

    def whenSent(self, told: Callable[[Failure | None, int], object]) -> None:
        """
        Have somebody told of the end of a response that is behind: more of it waits
        for the client than a transport keeps without saying so.

        @param told: called once: with C{None} and 0 when the last byte was given
            to the kernel, or with the failure that ended the connection, and the
            number of bytes that the kernel was not given.
        """
        self._whenSent = told
        if self._wire.transport is None:
            self._tellSent()

    def _tellSent(self, reason: Failure | None = None, unsent: int = 0) -> None:
        told, self._whenSent = self._whenSent, None
        if told is not None:
            guarded("The end of a response", told, reason, unsent)

    def wireQueueSent(self) -> bool:
        """
        Called by the wire: all regions of files are out.
        """
        if not self._wire.full:
            self._tellSent()
        return super().wireQueueSent()

    def _abort(self) -> None:
        if self._whenSent is None:
            super()._abort()
            return
        unsent = self._wire.unsentLength()
        super()._abort()
        self._tellSent(Failure(ConnectionAborted()), unsent)
