"""
Back-pressure on what is written to one wire.

A transport calls its push producer when it has no room, and when it has room again.
The wire then pauses, and resumes, the producer above it.  Regions of files, and what
was written behind them, wait in a queue until the transport has taken them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IProducer

from twisted_h11._boundary.guarded import guarded
from twisted_h11._wire.file_queue import RegionQueue
from twisted_h11._wire.files import FileRegion
from twisted_h11._wire.producers import Registered
from twisted_h11._wire.progress import bytes_unsent
from twisted_h11._wire.sockets import limit_unsent
from twisted_h11._wire.user import OwnWire

__all__ = ["BackPressure", "queued_length", "unsent_length"]


class BackPressure:
    """
    The back-pressure of one wire.  Made when its transport has no room for the first
    time, or when it gets its first producer or region of a file.

    @ivar full: whether the transport has no room.
    @ivar producer: the producer above the wire, paused while the peer is slow.
    @ivar queue: what waits for a region of a file; C{None} if nothing does.
    @ivar begun: how many bytes of regions were begun since bytes were received: so
        many pipelined requests for files are not all served in one turn.
    """

    __slots__ = ("_limited", "_wire", "begun", "full", "producer", "queue")

    def __init__(self, wire: OwnWire) -> None:
        self._wire = wire
        self._limited = self.full = False
        self.begun = 0
        self.producer: Registered | None = None
        self.queue: RegionQueue | None = None

    # -- the push producer that the transport sees ------------------------------------

    def pauseProducing(self) -> None:
        """
        The transport has no room: pause the producer above.
        """
        if self.full:
            return
        self.full = True
        self._wire.hasRoom = False
        queue = self.queue
        if queue is None:
            if self.producer is not None:
                self.producer.pause()
        elif queue.sender is not None:
            queue.sender.pause()
        self._wire.user.wireWaits()

    def resumeProducing(self) -> None:
        """
        The transport has room again: resume the producer above.
        """
        wire = self._wire
        wire.user.wireTaken()
        self.full = False
        queue = self.queue
        if queue is not None:
            if queue.sender is not None and not queue.sender.standsIn:
                queue.sender.resume()
            return
        wire.hasRoom = True
        if wire.closing is not None:
            wire.close(wire.closing.how)
            return
        if self.producer is not None:
            self.producer.resume()
        wire.user.wireWritable()

    def stopProducing(self) -> None:
        """
        The transport will take nothing more: stop the producer above.
        """
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stop()

    # -- the producer above -----------------------------------------------------------

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer above the wire; it is paused while the peer is slow.

        @param producer: an L{IPushProducer} or L{IPullProducer} provider.
        @param streaming: C{True} for a push producer.
        @raise RuntimeError: if a producer is registered already.
        """
        if self.producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer "
                f"{self.producer} was never unregistered."
            )
        transport = self._wire.transport
        if transport is None:
            guarded("A producer", producer.stopProducing)
            return
        if not self._limited:
            self._limited = True
            limit_unsent(transport)
        self.producer = Registered(self._wire, producer, streaming)
        if not self._wire.hasRoom:
            self.producer.pause()

    def unregisterProducer(self) -> None:
        """
        Forget the producer above; nothing happens if there is none.
        """
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.end()

    # -- regions of files -------------------------------------------------------------

    def sendRegion(self, region: FileRegion, behind: Sequence[bytes] = ()) -> None:
        """
        Write a region of a file; all later writes queue behind it.

        @param behind: what belongs directly behind the region.  It is there when the
            end of the region is told, which may be within this call.
        """
        queue = self.queue
        if queue is not None:
            queue.append(region, *behind)
            return
        self._wire.hasRoom = False
        self.queue = RegionQueue(self._wire)
        self.queue.start(region, *behind)

    def queueSent(self) -> None:
        """
        Called by the queue when it is empty.
        """
        self.queue = None
        self._wire.hasRoom = not self.full
        self._wire.flush()

    def dropQueue(self, error: BaseException | None) -> int:
        """
        Drop all that waits in the queue, and end its regions with C{error}.

        @return: how many bytes were dropped.
        """
        queue, self.queue = self.queue, None
        self._wire.hasRoom = not self.full
        return 0 if queue is None else queue.drop(error)


def queued_length(wire: OwnWire) -> int:
    """
    How many bytes wait at a wire, without regions of files.
    """
    queue: Any = wire.pressure.queue if wire.pressure is not None else None
    queued: int = queue.queued(False) if queue is not None else 0
    return wire.pendingLength + queued


def unsent_length(wire: OwnWire) -> int:
    """
    How many written bytes the kernel has not been given, with regions of files and
    what was dropped of them.
    """
    queue: Any = wire.pressure.queue if wire.pressure is not None else None
    queued: int = queue.queued(True) if queue is not None else 0
    kept = bytes_unsent(wire.transport) or 0
    return wire.pendingLength + queued + kept
