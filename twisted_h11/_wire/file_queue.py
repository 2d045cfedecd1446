"""
Regions of files on their way through one wire, and what was written behind them.

Sending a region takes many turns of the reactor.  Meanwhile all that is written
later waits here, in order.
"""

from __future__ import annotations

from collections import deque

from twisted.logger import Logger

from twisted_h11._boundary.overrides import overrides
from twisted_h11._wire.files import FileRegion, RegionSender
from twisted_h11._wire.sockets import MOST_AT_ONCE, is_bare_socket
from twisted_h11._wire.user import OwnWire

__all__ = ["RegionQueue"]

# A transport that overrides one of these wants to see what is sent: no sendfile.
_SENDING = ("doWrite", "write", "writeSequence", "writeSomeData")


class RegionQueue:
    """
    What was written to one wire while a region is being sent.

    @ivar sender: what sends the current region; C{None} between two regions.
    """

    __slots__ = ("_ended", "_items", "_wire", "_working", "sender")

    _log = Logger()

    def __init__(self, wire: OwnWire) -> None:
        self._wire = wire
        self._items: deque[bytes | FileRegion] = deque()
        self._working = False
        self._ended = False
        self.sender: RegionSender | None = None

    def append(self, *items: bytes | FileRegion) -> None:
        """
        Queue items behind all that waits.
        """
        self._items.extend(items)

    def queued(self, regions: bool) -> int:
        """
        How many bytes wait.

        @param regions: whether regions of files count, with the rest of the current
            one.
        """
        left = self.sender.left if regions and self.sender is not None else 0
        return left + sum(
            len(item)
            for item in self._items
            if regions or not isinstance(item, FileRegion)
        )

    def start(self, *items: bytes | FileRegion) -> None:
        """
        Send the first region, and what is behind it.  Called once, right after the
        wire got this queue.
        """
        wire = self._wire
        pressure = wire.pressure
        wasFull = pressure.full
        self.append(*items)
        done = self._run()
        if done:
            pressure.queueSent()
            if wire.user.wireQueueSent():
                return
        if done and wire.closing is not None:
            wire.close(wire.closing.how)
        elif done and not pressure.full:
            wire.user.wireWritable()
        elif not wasFull and (not done or pressure.full) and pressure.producer:
            # Not sooner: if a region was sent at once, the producer would be
            # resumed within its own call.
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
        Send what waits, up to the first region that is not sent at once.  A loop, so
        that many short regions need no more stack than one.

        @return: whether all was sent.
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
            # empty, so the sender is the producer while it sends the region.
            wire.unregister()
        self.sender = RegionSender(transport, region, bare, self._sent)
        pressure = wire.pressure
        full = pressure.full or (bare and pressure.begun >= MOST_AT_ONCE)
        pressure.begun += len(region)
        self.sender.start(full)
        if self.sender is not None:
            wire.user.wireWaits()

    def _sent(self, error: BaseException | None) -> None:
        """
        Called by the sender when its region was sent, or has failed.
        """
        sender, self.sender = self.sender, None
        wire = self._wire
        assert sender is not None
        if error is not None:
            self.sender = sender
            wire.pendingLength += self.drop(error)
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
        A region was not sent whole, so nothing can follow it: abort the connection.
        """
        if isinstance(error, (ConnectionError, TimeoutError)):
            # The peer has gone: no fault of the application.
            self._log.debug("A file was not sent whole: {error}", error=error)
        else:
            self._log.error("A file could not be sent: {error}", error=error)
        self._wire.user.abortConnection()

    def drop(self, error: BaseException | None) -> int:
        """
        Send nothing more, and end all regions with C{error}.

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
