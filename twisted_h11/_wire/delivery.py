"""
The delivery of a body to the protocol that reads it, for both roles.

A L{Delivery} stands between the connection, its L{Source}, and one protocol, to which
it is the transport.  What the protocol does not take waits here, within a bound: at
the upper mark the source is held, at a quarter of it released.  With a mark of 0 the
source is held as long as the protocol has paused.

Calls may be nested: a protocol may pause, resume or abort within C{dataReceived}, and
the body may end meanwhile.  One loop delivers for all callers, and C{connectionLost}
is called once, after the last piece.
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

# Waiting pieces are joined up to this length, in bytes: a body in chunks of one byte
# must not cost an object for each byte.
_JOINED_LENGTH = 4 * 1024

T = TypeVar("T")


class Source(Interface):
    """
    The connection that a body is read from.
    """

    def hold(self, why: int) -> None:
        """
        Stop reading from the network, until C{why} is released.

        @param why: a bit for the reason, such as C{CONSUMER}.
        """

    def release(self, why: int) -> None:
        """
        Drop the reason C{why}; reading goes on when no reason is left.
        """

    def abortConnection(self) -> None:
        """
        Drop the connection.
        """


# Replaces the reason of an incomplete body once its protocol has got that.
_TOLD = Failure(ResponseFailed([]))


class Delivery:
    """
    Delivers a body to one protocol, and is that protocol's transport.

    A subclass decides which protocol may read the body, and what happens if that
    raises.

    @ivar over: whether nothing more will arrive.
    @ivar end: the reason of an incomplete body, once it is over; C{None} if it is
        complete.  After C{connectionLost} it is a placeholder without the details.
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
        @param source: a L{Source}; C{None} if all of the body is here.
        @param high: how many bytes may wait before the source is held.
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
        Hook: the C{async for} loop over the body was left, or cancelled.
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
        The body is over.

        @param reason: why it is not complete; C{None} if it is.
        """
        if not self.over:
            self.over = True
            self.end = reason
            self._source = None
            self._deliver()

    def cut(self, reason: Failure, always: bool = False) -> None:
        """
        Drop the waiting pieces, and call C{connectionLost} at once.

        @param reason: why; ignored if all of the body was delivered already.
        @param always: whether C{reason} counts even then.
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
        Deliver waiting pieces while the protocol is not paused; then, after the last
        one, call its C{connectionLost}.
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
            # Break the cycle: this is the protocol's transport.
            reader, self._reader, self._owner = self._reader, None, None
            if reader is None:
                return
            end = self.end
            if end is None:
                end = Failure(ResponseDone(*self._done))
            elif not end.check(PotentialDataLoss):
                # The failure may refer to the owner of the body: do not keep it.
                self.end = _TOLD
            try:
                reader.connectionLost(end)
            except KeyboardInterrupt:
                raise
            except BaseException:
                self._readerFailedAtEnd(Failure())

    def _refill(self) -> bool:
        """
        Hook: put more of the body into C{_waiting}; return whether there was any.
        """
        return False

    def _readerFailed(self, failure: Failure) -> None:
        """
        Hook: the protocol has raised in C{dataReceived}: L{cut} the body.  The
        C{connectionLost} of the protocol is called as soon as this returns.
        """

    def _readerFailedAtEnd(self, failure: Failure) -> None:
        """
        Hook: the protocol has raised in C{connectionLost}.
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

    The iterator refers to the body; the body refers to the iterator only while a loop
    waits for the next piece.  So the iterator is collected when a loop is left early,
    and kept while one waits.
    """

    # On the class: C{__del__} also runs if the constructor has raised.
    _transport: Any = None
    _end: Failure | None = None

    def __init__(self, body: Any, items: deque[T] | None = None) -> None:
        """
        @param body: an object with C{deliverBody}.
        @param items: the queue of items, if a subclass fills its own.
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
                # A copy: the traceback refers to this frame, and so to this iterator,
                # which must not refer to it in turn.
                error: Any = self._end.value
                raise copy(error) from error.__cause__
            # resumeProducing may fire it, and clear self._waiter, in the call.
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
        Queue a piece as an item.  A subclass may make other items of it.
        """
        item: Any = data
        self._items.append(item)
        self._wake()

    def ended(self, end: Failure) -> None:
        """
        The body is over.

        @param end: the reason, as C{connectionLost} gets it.
        """
        self._end = end
        self._wake()

    def _wake(self) -> None:
        """
        Resume the loop that waits for an item; if none waits, pause the body.
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

    @ivar kept: the iterator, while a loop waits for its next item.
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
        Pass the piece to the iterator, if it still exists.
        """
        iterator = self._iterator()
        if iterator is not None:
            iterator.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass the end to the iterator, if it still exists.
        """
        iterator = self._iterator()
        if iterator is not None:
            iterator.ended(reason)
