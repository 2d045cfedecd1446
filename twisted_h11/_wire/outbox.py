"""
Responses of one turn of the reactor, sent together at its end.

The kernel does not only copy what is sent.  If the peer sleeps it wakes it, on
another processor, and that costs as much as all the rest of a short response.  A
server that sends each answer as soon as it has it wakes its peer (behind a proxy
the one peer of all its connections) for each of them; one that has worked off
what C{epoll} had to say, and then sends one answer after the other, wakes it
once.  On a busy server that is worth more than a fifth of its rate, and the
answers arrive sooner, not later.

So what a wire has pending stays pending, if its transport is a bare socket, until the
reactor's next turn begins, which is before it looks at any socket again.  That is so
for what is written while a segment is worked off, and for what is written by anybody
else in this turn: a Deferred, a thread, a producer.  A response in twenty pieces is one
call of the kernel, where one turn writes all of them.  Whatever else is done to the
wire flushes first, as it always does, so nothing is overtaken.  Nothing waits for a
time: an event for a browser leaves in the turn in which it was written.

Where there is but one busy peer there is nothing to collect from others, and waiting
for the end of the turn with a response that is complete is a loss, of a tenth of its
rate.  How many there are is seen from how many waited in the last few turns; while
there was one, the ends of responses go at once, but for every now and then, to see
whether that has changed.  A response that goes on always waits: there may be more of
it.

C{transport.write} would collect too: in a buffer of the transport, at the price
of two calls of C{epoll_ctl} and another event for each answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from twisted_h11._boundary.guarded import guarded

__all__ = ["MOST_WAITING", "Outbox", "leave"]

# How many connections whose responses are complete wait at most; then the first need
# not wait any longer for the others.  Beyond a few there is nothing more to gain.
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
    turn of the reactor.  Each has no more than
    L{BATCH_LENGTH<twisted_h11._wire.sockets.BATCH_LENGTH>} bytes.
    """

    def __init__(self) -> None:
        self._scheduled = False
        # Whose responses go on: a dictionary, for its order.
        self._writing: dict[Pending, None] = {}
        # Whose responses have ended.
        self._waiting: list[Pending] = []
        self._lonelyTurns = 0
        self._atOnce = 0

    def wait(self, wire: Pending) -> None:
        """
        Flush C{wire} before the reactor waits again; there may be more.

        @param wire: one whose transport is a bare socket.
        """
        if not self._scheduled:
            self._schedule(wire)
        self._writing[wire] = None

    def add(self, wire: Pending) -> None:
        """
        Flush C{wire} before the reactor waits again, or now.

        @param wire: one whose transport is a bare socket.
        """
        if self._atOnce:
            self._atOnce -= 1
            wire.flush()
            return
        if not self._scheduled:
            self._schedule(wire)
        if self._writing:
            self._writing.pop(wire, None)
        waiting = self._waiting
        waiting.append(wire)
        if len(waiting) >= MOST_WAITING:
            self._flush()

    def _schedule(self, wire: Pending) -> None:
        self._scheduled = True
        wire.transport.reactor.callLater(0, self._turnOver)

    def _turnOver(self) -> None:
        self._scheduled = False
        writing, self._writing = self._writing, {}
        sent = self._flush() + _flush_all(writing)
        if sent > 1:
            self._lonelyTurns = self._atOnce = 0
        elif not sent:
            # All of it has left before.
            pass
        elif self._lonelyTurns < _FEW_TURNS:
            self._lonelyTurns += 1
        else:
            self._atOnce = _AT_ONCE

    def _flush(self) -> int:
        waiting, self._waiting = self._waiting, []
        return _flush_all(waiting)


def _flush_all(wires: Iterable[Pending]) -> int:
    """
    @return: how many had something to send.
    """
    sent = 0
    for wire in wires:
        if wire.pending:
            sent += 1
            guarded("Writing a response", wire.flush)
    return sent


def leave(wire: Any, more: bool) -> None:
    """
    Have what is pending at a wire leave at the end of the turn, or now where the
    transport collects.

    @param more: whether something may be written before that.
    """
    outbox = wire.outbox
    if outbox is None or not wire.hasRoom or wire.closing is not None:
        wire.flush()
    elif more:
        wire.held = True
        outbox.wait(wire)
    else:
        outbox.add(wire)
