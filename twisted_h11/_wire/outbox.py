"""
Responses of one turn of the reactor, sent together at its end.

The kernel does not only copy what is sent.  If the peer sleeps it wakes it, on
another processor, and that costs as much as all the rest of a short response.  A
server that sends each answer as soon as it has it wakes its peer (behind a proxy
the one peer of all its connections) for each of them; one that has worked off
what C{epoll} had to say, and then sends one answer after the other, wakes it
once.  On a busy server that is worth more than a fifth of its rate, and the
answers arrive sooner, not later.

So what a wire has pending when a segment is worked off stays pending, if its
transport is a bare socket, until the reactor's next turn
begins, which is before it looks at any socket again.  Whatever else is done
to the wire flushes first, as it always does, so nothing is overtaken.

Where there is but one busy peer there is nothing to collect, and waiting for the
end of the turn is a loss, of a tenth of its rate.  How many there are is seen
from how many waited in the last few turns; while there was one, its answers go at
once when they are complete (L{Outbox.add}), but for every now and then, to see whether
that has changed.  What more may be written to in the same turn (L{Outbox.wait}) waits
for its end all the same: one call for the head, the pieces and the end of a response.

C{transport.write} would collect too: in a buffer of the transport, at the price
of two calls of C{epoll_ctl} and another event for each answer.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted_h11._boundary.guarded import guarded

__all__ = ["MOST_WAITING", "Outbox"]

# How many connections wait at most; then the first need not wait any longer for
# the others.  Beyond a few there is nothing more to gain.
MOST_WAITING = 64

# So many turns in which one connection waited mean that there is one busy peer;
# then so many answers go at once before we look again.
_FEW_TURNS = 4
_AT_ONCE = 32


class Pending(Protocol):
    """
    A wire that has something to send.

    @ivar transport: its transport, a bare socket.
    @ivar pending: what it has to send.
    """

    transport: Any
    pending: Any

    def flush(self) -> None:
        """
        Send it.
        """


class Outbox:
    """
    The connections of one site that have something to send at the end of this
    turn of the reactor.
    """

    def __init__(self) -> None:
        # In order, and each once.
        self._waiting: dict[Pending, None] = {}
        self._lonelyTurns = 0
        self._atOnce = 0

    def add(self, wire: Pending) -> None:
        """
        Flush C{wire} before the reactor waits again, or now: what it has to send is
        complete.

        @param wire: one whose transport is a bare socket.
        """
        if self._atOnce:
            self._atOnce -= 1
            wire.flush()
        else:
            self.wait(wire)

    def wait(self, wire: Pending) -> None:
        """
        Flush C{wire} before the reactor waits again: more may be written in this turn.

        @param wire: one whose transport is a bare socket.
        """
        waiting = self._waiting
        if not waiting:
            wire.transport.reactor.callLater(0, self._turnOver)
        waiting[wire] = None
        if len(waiting) >= MOST_WAITING:
            self._flush()

    def _turnOver(self) -> None:
        sent = self._flush()
        if sent > 1:
            self._lonelyTurns = 0
        elif not sent:
            # All of it has left before.
            pass
        elif self._lonelyTurns < _FEW_TURNS:
            self._lonelyTurns += 1
        else:
            self._atOnce = _AT_ONCE

    def _flush(self) -> int:
        """
        @return: how many had something to send.
        """
        waiting, self._waiting = self._waiting, {}
        sent = 0
        for wire in waiting:
            if wire.pending:
                sent += 1
                guarded("Writing a response", wire.flush)
        return sent
