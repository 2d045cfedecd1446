"""
The delivery of a body to whoever reads it, for both roles.

A L{Delivery} stands between the connection, its L{Source}, and one protocol, to which
it is the transport.  What the protocol does not take waits here, within a bound: at
the upper mark the source is held, at a quarter of it released.  With a mark of 0 the
source is held as long as the protocol has paused.

Calls may come from inside of others: a protocol may pause, resume or abort while it
is given a piece, and the end may come meanwhile.  One loop delivers, whoever calls,
and the end is told once, after the last piece.
"""

from __future__ import annotations

import weakref
from collections import deque
from copy import copy
from typing import Any, Generic, TypeVar
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from twisted_h11._wire.wire import CONSUMER

__all__ = ["BodyIterator", "Delivery", "Source"]

# Pieces that wait are joined up to this length, so that a body in chunks of one
# byte does not cost an object for each.
_JOINED_LENGTH = 4 * 1024

T = TypeVar("T")


class Source(Interface):
    """
    Where a body comes from.
    """

    def hold(self, why: int) -> None:
        """
        Stop reading from the network, until C{why} is released.
        """

    def release(self, why: int) -> None:
        """
        Go on reading, as far as C{why} is concerned.
        """

    def abortConnection(self) -> None:
        """
        Drop the connection.
        """


# Why a body was not complete, when its protocol has been told.
_TOLD = Failure(ResponseFailed([]))


class Delivery:
    """
    Delivers a body to one protocol, and is the transport of that.

    A subclass says who may take it, and what a failure of the protocol means.

    @ivar over: whether nothing more will arrive.
    @ivar end: why the body is not complete, once it is over; C{None} if it is.  When
        the protocol has been told, it only says that it is not.
    """

    disconnecting = False
    over = False
    end: Failure | None = None

    _done: tuple[object, ...] = ()
    _reader: Any = None
    # What the body belongs to, while it is read.
    _owner: Any = None
    _taken = False
    _paused = False
    _held = False
    _delivering = False

    def __init__(self, source: Any, high: int) -> None:
        """
        @param source: a L{Source}; C{None} if all is here.
        @param high: how many bytes may wait before it is held.
        """
        self._source = source
        self._high = high
        self._waiting: deque[bytes] = deque()
        self._size = 0

    # -- for the protocol -------------------------------------------

    def pauseProducing(self) -> None:
        """
        Deliver nothing more for now.
        """
        if not self._paused:
            self._paused = True
            if not self._high:
                self._hold()

    def resumeProducing(self) -> None:
        """
        Go on delivering.
        """
        if self._paused:
            self._paused = False
            self._deliver()

    def abandoned(self) -> None:
        """
        The loop that takes the body was left, or cancelled.
        """

    # -- from the source --------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Some of the body has arrived.
        """
        if self.over:
            return
        reader, waiting = self._reader, self._waiting
        if reader is None or self._paused or waiting or self._delivering:
            if waiting and len(waiting[-1]) + len(data) <= _JOINED_LENGTH:
                waiting[-1] += data
            else:
                waiting.append(data)
            self._size += len(data)
            self._deliver()
            if self._size > self._high:
                self._hold()
            return
        self._delivering = True
        try:
            reader.dataReceived(data)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._readerFailed(Failure())
        finally:
            self._delivering = False
        if waiting or self._held or self.over:
            self._deliver()

    def ended(self, reason: Failure | None = None) -> None:
        """
        Nothing more will come: the body is complete, or there is a reason.
        """
        if not self.over:
            self.over = True
            self.end = reason
            self._source = None
            self._deliver()

    def cut(self, reason: Failure, always: bool = False) -> None:
        """
        Forget what waits, and tell the end at once.

        @param reason: why; it counts unless all was delivered.
        @param always: whether it counts in any case.
        """
        if always or not self.over or self._waiting:
            self.over = True
            if self.end is None or self.end.check(PotentialDataLoss):
                self.end = reason
        self._forget()
        self._deliver()

    # -- the loop ---------------------------------------------------

    def _forget(self) -> None:
        self._waiting.clear()
        self._size = 0
        self._paused = False

    def _deliver(self) -> None:
        """
        Deliver what may be delivered; then, if that was all, its end.
        """
        reader, waiting = self._reader, self._waiting
        if self._delivering or reader is None:
            return
        self._delivering = True
        try:
            while not self._paused and (waiting or self._refill()):
                data = waiting.popleft()
                self._size -= len(data)
                reader.dataReceived(data)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._readerFailed(Failure())
        finally:
            self._delivering = False
        if self._size <= self._high // 4 and (self._high or not self._paused):
            self._release()
        if self.over and not waiting and not self._paused:
            # The protocol's transport is this: no cycle is left behind.
            reader, self._reader, self._owner = self._reader, None, None
            if reader is None:
                return
            end = self.end
            if end is None:
                end = Failure(ResponseDone(*self._done))
            elif not end.check(PotentialDataLoss):
                # It may know whose body this is, and it was told.
                self.end = _TOLD
            try:
                reader.connectionLost(end)
            except KeyboardInterrupt:
                raise
            except BaseException:
                self._readerFailedAtEnd(Failure())

    def _refill(self) -> bool:
        """
        Hook: whether there is more, now in C{_waiting}.
        """
        return False

    def _readerFailed(self, failure: Failure) -> None:
        """
        Hook: the protocol has raised, so it did not get the body; L{cut} it.  The
        protocol is told the end as soon as this returns.
        """

    def _readerFailedAtEnd(self, failure: Failure) -> None:
        """
        Hook: the protocol has raised when it was told the end.
        """

    def _hold(self) -> None:
        if self._source is not None and not self._held:
            self._held = True
            self._source.hold(CONSUMER)

    def _release(self) -> None:
        if self._held:
            self._held = False
            if self._source is not None:
                self._source.release(CONSUMER)


class BodyIterator(Generic[T]):
    """
    A body as an asynchronous iterator: C{async for data in request.body}.

    It holds the body, which holds it only while somebody waits for what is next; so
    a loop that is left early leaves nothing behind, and one that waits is not
    forgotten.
    """

    # Also of one whose constructor has failed.
    _transport: Any = None
    _end: Failure | None = None

    def __init__(self, body: Any, items: deque[T] | None = None) -> None:
        """
        @param body: what has C{deliverBody}.
        @param items: where a subclass puts what it makes of the body.
        """
        self._items: deque[T] = deque() if items is None else items
        self._waiter: Deferred[None] | None = None
        self._feed = feed = _Feed(self)
        body.deliverBody(feed)

    def __aiter__(self) -> BodyIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._end is not None:
                if self._end.check(ResponseDone, PotentialDataLoss):
                    raise StopAsyncIteration
                # A copy: its traceback has our frame, and we must not hold what
                # holds us.
                error: Any = self._end.value
                raise copy(error) from error.__cause__
            # It may be called, and forgotten, before resumeProducing returns.
            waiter: Deferred[None] = Deferred(self._cancelled)
            self._waiter = waiter
            self._feed.kept = self
            self._transport.resumeProducing()
            await waiter
        return self._items.popleft()

    def _cancelled(self, _: object) -> None:
        self._waiter = self._feed.kept = None
        self._transport.abandoned()

    def received(self, data: bytes) -> None:
        """
        A piece is here.  A subclass may make something else of it.
        """
        item: Any = data
        self._items.append(item)
        self._wake()

    def ended(self, end: Failure) -> None:
        """
        Nothing more will come.
        """
        self._end = end
        self._wake()

    def _wake(self) -> None:
        """
        Give what is here to whoever waits; with nobody waiting, take no more.
        """
        waiter = self._waiter
        if waiter is not None:
            if self._items or self._end is not None:
                self._waiter = self._feed.kept = None
                waiter.callback(None)
        elif self._items and self._end is None:
            self._transport.pauseProducing()

    def __del__(self) -> None:
        if self._end is None and self._transport is not None:
            self._transport.abandoned()


@implementer(IProtocol)
class _Feed:
    """
    Takes a body for a L{BodyIterator}.

    @ivar kept: the iterator, while somebody waits.
    """

    def __init__(self, iterator: BodyIterator[Any]) -> None:
        self._iterator = weakref.ref(iterator)
        self.kept: BodyIterator[Any] | None = None

    def makeConnection(self, transport: Any) -> None:
        """
        The delivery begins.
        """
        iterator = self._iterator()
        if iterator is not None and iterator._transport is None:
            iterator._transport = transport

    def connectionMade(self) -> None:
        """
        Nothing to do.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        iterator = self._iterator()
        if iterator is not None:
            iterator.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass it on.
        """
        iterator = self._iterator()
        if iterator is not None:
            iterator.ended(reason)
