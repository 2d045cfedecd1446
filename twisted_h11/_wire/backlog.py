"""
How much of a response is unsent.

An application whose producer pauses when it is told to, or that waits for
C{request.drained()}, leaves little behind.  One that writes on and on, because it
does not look or can not be paused, fills our memory as fast as it can write.  So
what is unsent has a bound, C{Limits.writeBufferLength}.

What counts is what is really there: what we keep, and what the transport keeps,
where it can be asked.  A count of what was written tells nothing about that, since
the client takes something all the time.  It only tells when to look.

We look at the end of the turn of the reactor in which the count crossed the bound.
A response that is over by then is never cut for its size: whoever gives us a large
response all at once has made it already, and it does not grow any more.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall

from twisted_h11._wire.progress import bytes_unsent

__all__ = ["Backlog"]


class Backlog:
    """
    What was written to one connection since the client did not keep up.

    @param connection: a L{Failing<twisted_h11._server.failures.Failing>}.
    """

    __slots__ = ("_call", "_connection", "_counted")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._counted = bytes_unsent(connection._wire.transport) or 0
        self._call: IDelayedCall | None = None

    def add(self, length: int) -> None:
        """
        So many bytes are about to be written.
        """
        connection = self._connection
        most = connection.limits.writeBufferLength
        self._counted += length
        if most is not None and self._counted > most and self._call is None:
            self._call = connection.callLater(0, self._look)

    def end(self) -> None:
        """
        The client has caught up, or has gone.
        """
        self._connection = None
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        self._call = None
        connection = self._connection
        unsent = self._unsent()
        if unsent > connection.limits.writeBufferLength and connection._isAnswering():
            connection._tooMuchUnsent(unsent)
        else:
            # At least so much must be written before it can be too much.
            self._counted = unsent

    def _unsent(self) -> int:
        """
        How many bytes wait; as many as were written, where nobody knows.
        """
        connection = self._connection
        kept = bytes_unsent(connection._wire.transport)
        if kept is None:
            return self._counted
        queued: int = connection._wire.queuedLength()
        return kept + queued
