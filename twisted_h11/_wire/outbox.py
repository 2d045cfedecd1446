"""
Responses of one turn of the reactor, sent together at its end.

A send wakes a sleeping peer process on another processor, which costs as much as
all the rest of a short response.  A server that sends each response at once wakes
its peer (behind a proxy, the one peer of all its connections) for each of them.  A
server that first handles all events of one C{epoll} call, and then sends all
responses, wakes it once.  On a busy server that is worth more than a fifth of its
rate, and the responses arrive sooner.

So what a wire has pending stays pending, if its transport is a bare socket, until the
reactor's next turn begins, which is before it looks at any socket again.  That holds
for writes while a segment is handled, and for writes by a Deferred, a thread or a
producer in the same turn.  A response in twenty pieces that one turn writes is one
call of the kernel.  All other operations on the wire flush first, so the order of
bytes is kept.  There is no timer: a server-sent event leaves in the turn in which it
was written.

With only one busy peer there are no other responses to collect, and keeping a
complete response until the end of the turn costs a tenth of the rate.  The number of
busy peers is the number of connections that waited in each of the last few turns.
While it is one, ends of responses are sent at once, except for one now and then, to
count again.  An incomplete response always waits: there may be more of it.

C{transport.write} would collect too: in a buffer of the transport, at the price
of two calls of C{epoll_ctl} and another event for each response.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from twisted_h11._boundary.guarded import log_failure

__all__ = ["MOST_WAITING", "Outbox", "leave"]

# At most so many connections with complete responses wait; then they are flushed.
# Beyond a few there is nothing more to gain.
MOST_WAITING = 64

# After so many turns in which only one connection waited there is one busy peer;
# then so many responses are sent at once before the next count.
_FEW_TURNS = 4
_AT_ONCE = 32


class Pending(Protocol):
    """
    A wire that has something to send.

    @ivar transport: its transport, a bare socket.
    @ivar pending: the bytes to send.
    @ivar closing: how the connection ends; C{None} while it is open.
    """

    transport: Any
    pending: Any
    closing: Any

    def flush(self) -> None:
        """
        Send what is pending.
        """


class Outbox:
    """
    The connections of one site that have something to send at the end of this
    turn of the reactor.  Each has no more than
    L{BATCH_LENGTH<twisted_h11._wire.sockets.BATCH_LENGTH>} bytes.
    """

    def __init__(self) -> None:
        self._scheduled = False
        # Wires with incomplete responses, and those that end with the turn: a
        # dictionary, for its order.
        self._writing: dict[Pending, None] = {}
        # Wires with complete responses.
        self._waiting: list[Pending] = []
        self._lonelyTurns = 0
        self._atOnce = 0

    def wait(self, wire: Pending) -> None:
        """
        Flush C{wire} before the reactor waits again; its response is not complete, or
        the connection ends with the turn.

        @param wire: one whose transport is a bare socket.
        """
        if not self._scheduled:
            self._schedule(wire)
        self._writing[wire] = None

    def add(self, wire: Pending) -> None:
        """
        Flush C{wire} before the reactor waits again, or now; its response is complete.

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
            # Everything was flushed before the end of the turn.
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
        elif wire.closing is None:
            continue
        # As guarded() does it, for every response.
        try:
            wire.flush()
            if wire.closing is not None and wire.transport is not None:
                wire.closing.turnOver()
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("Writing a response")
    return sent


def leave(wire: Any, more: bool) -> None:
    """
    Flush a wire at the end of the turn, or now: if it has no L{Outbox}, has no room,
    or is closing, but not with the turn.

    @param more: whether more of the response may follow in this turn.
    """
    outbox = wire.outbox
    closes = wire.closing is not None
    if outbox is None or not wire.hasRoom or (closes and not wire.held):
        wire.flush()
    elif closes:
        # It waits for the end of the turn already.
        pass
    elif more:
        wire.held = True
        outbox.wait(wire)
    else:
        outbox.add(wire)
