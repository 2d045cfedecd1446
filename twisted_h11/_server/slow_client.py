"""
A client that does not keep up with its response.

Four parties want to know about it: whoever waits for room (C{request.drained()});
whoever waits for a response to have left; the bound on what is unsent; and the least
rate (L{PeerWatch}).

An application that has called C{finish} is done; its response is not, where the
client takes it slowly.  It has left when its last byte was given to the kernel, and
not before C{notifyFinish} may say so, and the access log.  If the client goes
before, then that is how the response has ended, and what was sent of it is what the
log should count.  A transport keeps some 64 KiB of what it is given without saying
so; what is in there counts as gone.

An application whose producer pauses when it is told to, or that waits for
C{request.drained()}, leaves little unsent.  One that writes on and on, because it
does not look or can not be paused, fills our memory as fast as it can write.  So
what is unsent has a bound, C{Limits.writeBufferLength}.  What counts is what is really
there: what we keep, and what the transport keeps, where it can be asked.  A count of
what was written only tells when to look.  We look at the end of the turn of the
reactor in which the count crossed the bound.  A response that is over by then is
never cut for its size: it does not grow any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_h11._boundary.guarded import guarded
from twisted_h11._server.peer_watch import PeerWatch, Watched
from twisted_h11._wire.drained import Waiting
from twisted_h11._wire.pressure import queued_length
from twisted_h11._wire.progress import bytes_unsent
from twisted_h11._wire.wire import Wire

__all__ = ["SlowClient", "SlowClientOwner", "Told"]

Told = Callable[[Failure | None, int], object]


class SlowClientOwner(Watched, Protocol):
    """
    What is needed of the connection.

    @ivar cycle: the current L{Cycle<twisted_h11._server.cycle.Cycle>}, or C{None}.
    """

    cycle: Any


class SlowClient:
    """
    One client; made when something has to wait for it first.

    @param owner: its connection.
    @param wire: the wire of the connection.
    @ivar told: called once, when a response that is behind has left or will not: with
        C{None} and 0, or with the failure that ended the connection, and the number
        of bytes that the kernel was not given.
    """

    __slots__ = ("_backlog", "_owner", "_waiting", "_watch", "_wire", "told")

    def __init__(self, owner: SlowClientOwner, wire: Wire) -> None:
        self._owner = owner
        self._wire = wire
        self._watch: PeerWatch | None = None
        self._backlog: _Backlog | None = None
        self._waiting: Waiting | None = None
        self.told: Told | None = None

    def waits(self) -> None:
        """
        What is written waits: watch the client.
        """
        if self._watch is None:
            self._watch = PeerWatch(self._owner, self._wire)
        self._watch.begin()

    def taken(self) -> None:
        """
        The transport has room again: the client makes progress.
        """
        if self._watch is not None:
            self._watch.taken()
        self._forgetBacklog()
        if self._wire.queue is None:
            self.tell()

    def writable(self) -> None:
        """
        More may be written: it is the turn of whoever has waited longest.
        """
        wire = self._wire
        if self._waiting is not None:
            while wire.hasRoom and wire.closing is None and self._waiting.next():
                pass

    def drained(self) -> Deferred[None]:
        """
        @return: fires when there is room; fails with L{ConnectionLost} if the
            connection ends before.  It may be cancelled.
        """
        if self._waiting is None:
            self._waiting = Waiting()
        return self._waiting.add()

    def countUnsent(self, length: int) -> None:
        """
        So many bytes are about to be written although the client does not keep up.
        """
        if self._backlog is None:
            self._backlog = _Backlog(self._owner, self._wire)
        self._backlog.add(length)

    def tell(self, reason: Failure | None = None, unsent: int = 0) -> None:
        """
        The response has left.

        @param reason: what has ended the connection before.
        @param unsent: how many bytes the kernel was not given.
        """
        told, self.told = self.told, None
        if told is not None:
            guarded("The end of a response", told, reason, unsent)

    def end(self) -> None:
        """
        The client takes nothing any more: nobody looks at it.
        """
        self._forgetBacklog()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.end()

    def fail(self) -> None:
        """
        Tell whoever waits for room that there will be none.
        """
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.fail()

    def _forgetBacklog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.end()


class _Backlog:
    """
    What was written to one connection since the client did not keep up.
    """

    __slots__ = ("_call", "_counted", "_owner", "_wire")

    def __init__(self, owner: SlowClientOwner, wire: Wire) -> None:
        self._owner = owner
        self._wire = wire
        self._counted = bytes_unsent(wire.transport) or 0
        self._call: IDelayedCall | None = None

    def add(self, length: int) -> None:
        """
        So many bytes are about to be written.
        """
        most = self._owner.limits.writeBufferLength
        self._counted += length
        if most is not None and self._counted > most and self._call is None:
            self._call = self._owner.callLater(0, self._look)

    def end(self) -> None:
        """
        The client has caught up, or has gone.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        self._call = None
        owner = self._owner
        cycle, most = owner.cycle, owner.limits.writeBufferLength
        kept = bytes_unsent(self._wire.transport)
        # As many as were written, where nobody knows.
        unsent = self._counted if kept is None else kept + queued_length(self._wire)
        # At least so much must be written before it can be too much.
        self._counted = unsent
        if most is None or unsent <= most or cycle is None or not cycle.isAnswering():
            return
        cycle.complain(
            "{request} has {length} bytes that {peer} has not taken yet, and is not "
            "over: more than writeBufferLength, {most}; the connection is dropped",
            request=cycle.request,
            length=unsent,
            peer=owner.getPeer(),
            most=most,
        )
        owner.abortConnection()
