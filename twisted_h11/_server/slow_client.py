"""
A client that does not keep up with its response.

Four things depend on it: callers that wait for room (C{request.drained()}); the end of
a finished response; the bound on unsent bytes; and the least rate (L{PeerWatch}).

After C{finish} a slow client has not taken the whole response yet.  The response is
sent when its last byte was given to the kernel; only then C{notifyFinish} fires, and
the access log gets its line.  If the client goes before, C{notifyFinish} fails, and the
log counts the bytes that were sent.  A transport buffers some 64 KiB without reporting
it; these count as sent.

An application whose producer obeys C{pauseProducing}, or that waits for
C{request.drained()}, leaves little unsent.  One that writes without waiting fills the
memory as fast as it can write.  So unsent bytes have a bound,
C{Limits.writeBufferLength}.  The bytes that are really kept count, here and in the
transport, if it can tell.  A count of written bytes only decides when to check: at the
end of the turn of the reactor in which it exceeds the bound.  A response that is
complete by then is not cut for its size, because it does not grow any more.
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
    The interface of the connection.

    @ivar cycle: the current L{Cycle<twisted_h11._server.cycle.Cycle>}, or C{None}.
    """

    cycle: Any


class SlowClient:
    """
    The state of one client; made when something waits for it for the first time.

    @param owner: its connection.
    @param wire: the wire of the connection.
    @ivar told: called once at the end of a finished response: with C{None} and 0 when
        it was sent, or with the failure that ended the connection, and the number of
        bytes that the kernel was not given.
    """

    __slots__ = ("_backlog", "_owner", "_waiting", "_watch", "_wire", "told")

    def __init__(self, owner: SlowClientOwner, wire: Wire) -> None:
        self._owner = owner
        self._wire = wire
        self._watch = PeerWatch(owner, wire)
        self._backlog: _Backlog | None = None
        self._waiting: Waiting | None = None
        self.told: Told | None = None

    def waits(self) -> None:
        """
        The transport has no room: begin to watch the client.
        """
        self._watch.begin()

    def taken(self) -> None:
        """
        The transport has room again: the client makes progress.
        """
        self._watch.taken()
        self._forgetBacklog()
        if self._wire.queue is None:
            self.tell()

    def writable(self) -> None:
        """
        More may be written: resume the callers that wait for room, one by one.
        """
        wire = self._wire
        if self._waiting is not None:
            while wire.hasRoom and wire.closing is None and self._waiting.next():
                pass

    def drained(self) -> Deferred[None]:
        """
        Wait for room.

        @return: a Deferred that fires when there is room, or fails with
            L{ConnectionLost} if the connection ends before.  It may be cancelled.
        """
        if self._waiting is None:
            self._waiting = Waiting()
        return self._waiting.add()

    def countUnsent(self, length: int) -> None:
        """
        Count bytes that are about to be written although the client does not keep up.
        """
        if self._backlog is None:
            self._backlog = _Backlog(self._owner, self._wire)
        self._backlog.add(length)

    def tell(self, reason: Failure | None = None, unsent: int = 0) -> None:
        """
        Call C{told}: the finished response was sent, or the connection has ended.

        @param reason: why the connection has ended before; C{None} if it was sent.
        @param unsent: how many bytes the kernel was not given.
        """
        told, self.told = self.told, None
        if told is not None:
            guarded("The end of a response", told, reason, unsent)

    def end(self) -> None:
        """
        The client takes nothing any more: stop watching it.
        """
        self._forgetBacklog()
        self._watch.end()

    def fail(self) -> None:
        """
        Fail the callers that wait for room.
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
    Counts what was written to a connection whose client does not keep up.
    """

    __slots__ = ("_call", "_counted", "_owner", "_wire")

    def __init__(self, owner: SlowClientOwner, wire: Wire) -> None:
        self._owner = owner
        self._wire = wire
        self._counted = bytes_unsent(wire.transport) or 0
        self._call: IDelayedCall | None = None

    def add(self, length: int) -> None:
        """
        Count bytes that are about to be written; check at the end of the turn if they
        exceed the bound.
        """
        most = self._owner.limits.writeBufferLength
        self._counted += length
        if most is not None and self._counted > most and self._call is None:
            self._call = self._owner.callLater(0, self._look)

    def end(self) -> None:
        """
        The client has caught up, or has gone: do not check.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        self._call = None
        owner = self._owner
        cycle, most = owner.cycle, owner.limits.writeBufferLength
        kept = bytes_unsent(self._wire.transport)
        # If the transport can not tell, count what was written.
        unsent = self._counted if kept is None else kept + queued_length(self._wire)
        # Check again when the bound could be exceeded from here.
        self._counted = unsent
        if most is None or unsent <= most or cycle is None or not cycle.isAnswering():
            return
        cycle.complain(
            "{length} bytes of the unfinished response to {request} wait for {peer}, "
            "more than writeBufferLength, {most}; the connection is dropped",
            request=cycle.request,
            length=unsent,
            peer=owner.getPeer(),
            most=most,
        )
        owner.abortConnection()
