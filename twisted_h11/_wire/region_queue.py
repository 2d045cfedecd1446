"""
Regions of files on their way through one wire, and what was written behind them.

A region of a file takes its time.  While one is on its way, all that is written
later waits here, in order.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from twisted_h11._boundary.overrides import overrides
from twisted_h11._wire.files import FileRegion, RegionSender
from twisted_h11._wire.sockets import is_bare_socket

__all__ = ["RegionQueue"]

# What a subclass or an instance of a transport may have overridden, to see what is
# sent.
_SENDING = ("doWrite", "write", "writeSequence", "writeSomeData")


class QueueOwner(Protocol):
    """
    What a L{RegionQueue} needs of its wire.
    """

    transport: Any
    full: bool
    pending: list[bytes]

    def flush(self) -> None:
        """
        Give what is pending to the transport.
        """

    def register(self) -> None:
        """
        Be the transport's producer.
        """

    def unregister(self) -> None:
        """
        Be it no longer.
        """

    def regionStarted(self) -> None:
        """
        A region is on its way.
        """

    def queueSent(self) -> None:
        """
        All that has waited is out.
        """

    def regionFailed(self, error: BaseException) -> None:
        """
        A region could not be sent whole.
        """


class RegionQueue:
    """
    What has been written to one wire since a region is on its way.

    @ivar sender: what sends the region that is on its way; C{None} between two.
    """

    __slots__ = ("_ended", "_items", "_owner", "_working", "sender")

    def __init__(self, owner: QueueOwner) -> None:
        self._owner = owner
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

    def run(self) -> bool:
        """
        Send what waits, until a region takes its time.  One that does not ends
        within this loop, so that any number of them needs no more stack than one.

        @return: whether all is out.
        """
        owner = self._owner
        items = self._items
        self._working = True
        try:
            while items and self.sender is None and not self._ended:
                item = items.popleft()
                if isinstance(item, FileRegion):
                    owner.flush()
                    self._start(item)
                else:
                    owner.pending.append(item)
        finally:
            self._working = False
        return self.sender is None and not self._ended

    def _start(self, region: FileRegion) -> None:
        owner = self._owner
        transport = owner.transport
        if transport is None:
            return
        bare = is_bare_socket(transport) and not overrides(
            transport, type(transport), _SENDING
        )
        if bare:
            # Only a pull producer is told when the transport's own buffer is
            # empty, so for the time of the region the sender stands in for us.
            owner.unregister()
        self.sender = RegionSender(transport, region, bare, self._sent)
        self.sender.start(owner.full)
        if self.sender is not None:
            owner.regionStarted()

    def _sent(self, error: BaseException | None) -> None:
        """
        Called by the sender with its region's end.
        """
        sender, self.sender = self.sender, None
        owner = self._owner
        if owner.transport is None or self._ended or sender is None:
            return
        if error is not None:
            self.sender = sender
            self.drop(error)
            owner.regionFailed(error)
            return
        if sender.standsIn:
            owner.full = False
            owner.register()
        sender.region.end(None)
        if not self._working and not self._ended and self.run():
            owner.queueSent()

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
