"""
The flow control of an HTTP/2 connection (RFC 9113 section 5.2).  Twisted is given only
what may be sent, a little of each stream in turn.
"""

from __future__ import annotations

from typing import Any

from twisted_h11._server.http2_frames import WINDOW_UPDATE, Frame, window_settings
from twisted_h11._server.http2_stream import Stream

__all__ = ["Flow", "TakenBack", "may_grow", "unsent"]

FIRST_WINDOW = 65535
"""
The initial window in bytes, RFC 9113 section 6.9.2.
"""

MOST_GIVEN = 65536
"""
How many bytes Twisted is given at a time, to put them into frames.
"""


class TakenBack(Exception):
    """
    The client has reduced a window below what Twisted was given to send.
    """


class Flow:
    """
    The windows of a connection.

    @param streams: its streams by their numbers; their order is changed.
    @param reactor: an L{IReactorTime<twisted.internet.interfaces.IReactorTime>}.
    @ivar firstWindow: how many bytes may be sent on a new stream.
    """

    def __init__(self, streams: dict[int, Stream], reactor: Any) -> None:
        self._streams = streams
        self._reactor = reactor
        self._window = self.firstWindow = FIRST_WINDOW
        # How many bytes Twisted has, and has not sent.
        self._given = 0
        self._giving = self._again = False
        self._stopped = False

    def stop(self) -> None:
        """
        Give nothing more to Twisted.
        """
        self._stopped = True

    def windowCame(self, frame: Frame, payload: bytes) -> None:
        """
        Apply a WINDOW_UPDATE or SETTINGS frame of the client.

        @raise TakenBack: if a window is smaller than what Twisted was given.
        """
        if frame.kind == WINDOW_UPDATE:
            more = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
            if frame.number == 0:
                self._window += more
            elif frame.number in self._streams:
                self._streams[frame.number].window += more
            return
        takenBack = False
        for value in window_settings(payload):
            change, self.firstWindow = value - self.firstWindow, value
            for stream in self._streams.values():
                stream.window += change
                takenBack = takenBack or stream.window < stream.given
        if takenBack:
            raise TakenBack

    def sent(self, stream: Stream, length: int) -> None:
        """
        Count bytes of a stream that were sent.
        """
        self._window -= length
        stream.window -= length
        self._given -= length
        stream.given -= length

    def ended(self, stream: Stream) -> None:
        """
        A stream is over: nothing more is sent on it.
        """
        self._given -= stream.given

    def give(self) -> None:
        """
        Give Twisted what may be sent now.
        """
        self._again = True
        if self._giving:
            return
        self._giving = True
        try:
            while self._again and not self._stopped:
                self._again = False
                for number, stream in list(self._streams.items()):
                    room = min(self._window, MOST_GIVEN) - self._given
                    room = min(room, stream.window - stream.given)
                    given = stream.give(max(room, 0))
                    # sent() may have been called within give().
                    self._given += given
                    if room > 0 and number in self._streams:
                        # To the end: the next time another stream is first.
                        self._streams[number] = self._streams.pop(number)
        finally:
            self._giving = False

    def reset(self, stream: Stream) -> None:
        """
        Reset a stream, unless it is over: now, or in the next turn if L{give} is
        running.  That may have been called for a frame that Twisted is sending; it
        would fail if the stream had gone, and send nothing more on the connection.
        """
        if self._giving:
            self._reactor.callLater(0, self._reset, stream)
        else:
            self._reset(stream)

    def _reset(self, stream: Stream) -> None:
        if not self._stopped and stream in self._streams.values():
            stream.reset()


def unsent(streams: dict[int, Stream]) -> int:
    """
    How many bytes wait for a client.
    """
    return sum(stream.unsent for stream in streams.values())


def may_grow(streams: dict[int, Stream]) -> bool:
    """
    Whether more may come to wait for a client: not if a single response waits that is
    complete.
    """
    waiting = [stream for stream in streams.values() if stream.unsent]
    return len(waiting) > 1 or not waiting[0].finished
