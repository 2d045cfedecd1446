"""
How long one connection may hold the reactor.

One segment may have thousands of messages.  If all are handled at once, nothing
interrupts the loop that reads them, and all other connections wait.  So such a loop
stops when L{TURN} seconds are over, and goes on in the next turn of the reactor, when
others have had theirs.  A single message that takes longer is not interrupted.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

__all__ = ["TURN", "SharedTurn", "Turns"]

# In seconds.  Python's threads have as long (sys.getswitchinterval).
TURN = 0.005

# Segments that follow each other within so many seconds are of the same turn of the
# reactor: TLS passes on each record of what was read by itself.  A peer on the same
# machine that sends its next request when it has a response takes longer.
_GAP = 0.0001


class SharedTurn:
    """
    The turn that segments share which follow each other closely.
    """

    __slots__ = ("_paused", "_since")

    def __init__(self) -> None:
        self._since: float | None = None
        self._paused = 0.0

    def since(self, now: float) -> float:
        """
        When the turn has begun.  Another one begins if no segment has come for a while.
        """
        since = self._since
        if since is None or not 0 <= now - self._paused < _GAP:
            self._since = since = now
        return since

    def pause(self, now: float) -> None:
        """
        All that could be read now was read.
        """
        self._paused = now

    def end(self) -> None:
        """
        Another turn begins with the next segment, or what is left.
        """
        self._since = None


class Turns:
    """
    The turns of one loop that reads messages.

    @param seconds: the time, see L{IReactorTime.seconds<twisted.internet.interfaces>}.
    @param isShared: whether segments that follow each other closely share a turn, as
        those of TLS have to.
    @ivar waits: whether the loop is to go on in the next turn.
    """

    __slots__ = ("_call", "_seconds", "_shared", "_since")

    def __init__(self, seconds: Callable[[], float], isShared: bool) -> None:
        self._seconds = seconds
        self._shared = SharedTurn() if isShared else None
        self._since = 0.0
        self._call: IDelayedCall | None = None

    @property
    def waits(self) -> bool:
        return self._call is not None

    def begin(self) -> None:
        """
        The loop begins.
        """
        now = self._seconds()
        self._since = now if self._shared is None else self._shared.since(now)

    @property
    def isOver(self) -> bool:
        """
        Whether the turn has taken its time.
        """
        # The clock may be set back.
        return not 0 <= self._seconds() - self._since < TURN

    def end(self) -> None:
        """
        The loop has ended.
        """
        if self._shared is not None:
            self._shared.pause(self._seconds())

    def wait(
        self, callLater: Callable[..., IDelayedCall], goOn: Callable[[], object]
    ) -> None:
        """
        Call C{goOn} in the next turn of the reactor.
        """
        self._call = callLater(0, self._next, goOn)

    def _next(self, goOn: Callable[[], object]) -> None:
        self._call = None
        if self._shared is not None:
            self._shared.end()
        goOn()

    def stop(self) -> None:
        """
        Wait no more.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
