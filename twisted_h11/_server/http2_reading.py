"""
The received segments of an HTTP/2 connection, and its turn to have them handled.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted_h11._server.http2_frames import FrameOwner, FrameReader
from twisted_h11._server.http2_watch import Watch
from twisted_h11._wire.turns import Turns

__all__ = ["SegmentReader"]


class Guarding(FrameOwner, Protocol):
    """
    The receiver of the frames.
    """

    def settle(self) -> None:
        """
        The frames of a segment were passed on.
        """


class SegmentReader:
    """
    Reads the frames of the received segments, as far as each turn of the reactor has
    time.  The transport is paused while bytes wait for the next turn.

    @param owner: the receiver of the frames, until L{stop}.
    @param transport: the transport.
    @param watch: the time-outs of the connection.
    @param reactor: starts the next turn, and has the time of each.
    @ivar frames: the reader of the frames.
    """

    def __init__(
        self, owner: Guarding, transport: Any, watch: Watch, reactor: Any
    ) -> None:
        self._owner: Guarding | None = owner
        self._transport = transport
        self._watch = watch
        self._reactor = reactor
        self._turns = Turns(reactor.seconds, isShared=True)
        self._unread = b""
        self.frames = FrameReader()

    def received(self, data: bytes) -> None:
        """
        A segment has arrived.
        """
        if self._turns.waits:
            self._unread += data
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        frames, watch, turns = self.frames, self._watch, self._turns
        turns.begin()
        at = 0
        # A frame may end the connection, and with it the owner is gone.
        while (owner := self._owner) is not None and at < len(data):
            if turns.isOver:
                self._unread = data[at:]
                self._transport.pauseProducing()
                turns.wait(self._reactor.callLater, self._readOn)
                break
            at = frames.take(owner, data, at)
            if frames.isBetween:
                watch.frameDue(False)
        turns.end()
        if owner is not None:
            watch.frameDue(not (frames.isBetween or frames.isInBody))
            owner.settle()

    def _readOn(self) -> None:
        """
        Read what has waited for this turn.
        """
        data, self._unread = self._unread, b""
        self._transport.resumeProducing()
        self._read(data)

    def stop(self) -> None:
        """
        The connection is over: read nothing more.
        """
        if self._turns.waits:
            self._turns.stop()
            # TLS waits for the end that the client announces.
            self._transport.resumeProducing()
        self._unread = b""
        # Break the reference cycle.
        self._owner = None
