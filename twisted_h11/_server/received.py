"""
The bytes that one connection has received, and its turn to have them handled.

The loop that reads the requests begins none L{TURN<twisted_h11._wire.turns.TURN>}
seconds after the second one, and goes on in the next turn of the reactor.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall

from twisted_h11._wire.turns import SharedTurn
from twisted_h11._wire.wire import Wire

__all__ = ["Received"]


class Received:
    """
    The received bytes of one connection.

    @param owner: the L{Channel<twisted_h11._server.channel.Channel>}.
    @param wire: its wire.
    @ivar isAdvancing: whether the loop that reads the bytes is running, or goes on in
        the next turn of the reactor.
    """

    __slots__ = (
        "_buffer",
        "_call",
        "_owner",
        "_shared",
        "_start",
        "_wire",
        "isAdvancing",
    )

    def __init__(self, owner: Any, wire: Wire) -> None:
        self._owner: Any = owner
        self._wire = wire
        self._buffer = b""
        self._start = 0
        self.isAdvancing = False
        # The next turn, if anything waits for it.
        self._call: IDelayedCall | None = None
        self._shared: SharedTurn | None = None

    @property
    def hasBytes(self) -> bool:
        """
        Whether there are unread bytes.
        """
        return self._start < len(self._buffer)

    @property
    def unread(self) -> bytes:
        """
        The bytes that were received and not read yet.
        """
        return self._buffer[self._start :]

    def takeUnread(self) -> bytes:
        """
        Remove the unread bytes, and return them.
        """
        unread, self._buffer, self._start = self.unread, b"", 0
        return unread

    def end(self) -> None:
        """
        The connection is lost, or given away: drop all bytes, and read nothing more.
        """
        self.isAdvancing = True
        self._buffer, self._start = b"", 0
        self._owner = None
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    # -- the turn ---------------------------------------------------------------

    def readOn(self) -> None:
        """
        Hook: read as much as possible in this turn.
        """

    def shareTurns(self) -> None:
        """
        The transport passes on in several segments what it reads at once, as TLS does
        with its records: let these have one turn.
        """
        self._shared = SharedTurn()

    def _endTurn(self) -> None:
        """
        The turn is over: go on in the next one.
        """
        self._call = self._owner.callLater(0, self._goOn)

    def _goOn(self) -> None:
        self._call = None
        if self._shared is not None:
            self._shared.end()
        self.isAdvancing = False
        self.readOn()
