"""
Regions of files on their way through one wire, and what was written behind them.

A region of a file takes its time.  While one is on its way, all that is written
later waits here, in order.
"""

from __future__ import annotations

from collections import deque

from twisted.logger import Logger

from twisted_h11._boundary.overrides import overrides
from twisted_h11._wire.files import FileRegion, RegionSender
from twisted_h11._wire.sockets import is_bare_socket
from twisted_h11._wire.user import OwnWire

__all__ = ["RegionQueue"]

# What a subclass or an instance of a transport may have overridden, to see what is
# sent.
_SENDING = ("doWrite", "write", "writeSequence", "writeSomeData")


class RegionQueue:
    """
    What has been written to one wire since a region is on its way.

    @ivar sender: what sends the region that is on its way; C{None} between two.
    """

    __slots__ = ("_ended", "_items", "_wire", "_working", "sender")

    _log = Logger()

    def __init__(self, wire: OwnWire) -> None:
        self._wire = wire
        self._items: deque[bytes | FileRegion] = deque()
        self._working = False
        self._ended = False
        self.sender: RegionSender | None = None

    def append(self, item: bytes | FileRegion) -> None:
        """
        Send this behind all that waits.
        """
        self._items.append(item)

    def queued(self, regions: bool) -> int:
        """
        How many bytes wait.

        @param regions: whether the regions of files count, and what is left of the
            one that is on its way.
        """
        left = self.sender.left if regions and self.sender is not None else 0
        return left + sum(
            len(item)
            for item in self._items
            if regions or not isinstance(item, FileRegion)
        )

    def start(self, region: FileRegion) -> None:
        """
        Send a region; the wire has just got this queue.
        """
        wire = self._wire
        pressure = wire.pressure
        wasFull = pressure.full
        self._items.append(region)
        done = self._run()
        if done:
            pressure.queueSent()
        if done and wire.closing is not None:
            self._afterQueue()
        elif done and not pressure.full:
            wire.user.wireWritable()
        elif not wasFull and (not done or pressure.full) and pressure.producer:
            # Not sooner: a region may be gone at once, and its producer would
            # be resumed from within its own call.
            pressure.producer.pause()

    def _afterQueue(self) -> None:
        wire = self._wire
        if wire.user.wireQueueSent():
            return
        if wire.closing is not None:
            wire.close(wire.closing.how)
        elif not wire.pressure.full:
            wire.user.resumeProducing()

    def _run(self) -> bool:
        """
        Send what waits, until a region takes its time.  One that does not ends
        within this loop, so that any number of them needs no more stack than one.

        @return: whether all is out.
        """
        wire = self._wire
        items = self._items
        self._working = True
        try:
            while items and self.sender is None and not self._ended:
                item = items.popleft()
                if isinstance(item, FileRegion):
                    wire.flush()
                    self._start(item)
                else:
                    wire.pend(item)
        finally:
            self._working = False
        return self.sender is None and not self._ended

    def _start(self, region: FileRegion) -> None:
        wire = self._wire
        transport = wire.transport
        bare = is_bare_socket(transport) and not overrides(
            transport, type(transport), _SENDING
        )
        if bare:
            # Only a pull producer is told when the transport's own buffer is
            # empty, so for the time of the region the sender stands in for us.
            wire.unregister()
        self.sender = RegionSender(transport, region, bare, self._sent)
        self.sender.start(wire.pressure.full)
        if self.sender is not None:
            wire.user.wireWaits()

    def _sent(self, error: BaseException | None) -> None:
        """
        Called by the sender with its region's end.
        """
        sender, self.sender = self.sender, None
        wire = self._wire
        assert sender is not None
        if error is not None:
            self.sender = sender
            self.drop(error)
            self._failed(error)
            return
        if sender.standsIn:
            wire.pressure.full = False
            wire.register()
        sender.region.end(None)
        if not self._working and not self._ended and self._run():
            wire.pressure.queueSent()
            self._afterQueue()

    def _failed(self, error: BaseException) -> None:
        """
        A region could not be sent whole, and nothing sensible can follow it.
        """
        if isinstance(error, (ConnectionError, TimeoutError)):
            # The peer has gone, which is nobody's fault.
            self._log.debug("A file was not sent whole: {error}", error=error)
        else:
            self._log.error("A file could not be sent: {error}", error=error)
        self._wire.user.abortConnection()

    def drop(self, error: BaseException | None) -> int:
        """
        Send nothing more; whoever waits for the end of a region is told.

        @return: how many bytes will not be sent.
        """
        self._ended = True
        items = list(self._items)
        self._items.clear()
        sender, self.sender = self.sender, None
        dropped = sum(map(len, items))
        regions = [item for item in items if isinstance(item, FileRegion)]
        if sender is not None:
            sender.stop()
            dropped += sender.left
            regions.insert(0, sender.region)
        for region in regions:
            region.end(error)
        return dropped
