"""
Events in: what was received is shown to h11, and its events go to a protocol, in order.

One loop delivers them.  Whoever has it go on from within an event is not obeyed but
remembered: the loop that runs goes on; so ten thousand pipelined requests need no more
stack than one.
"""

from __future__ import annotations

from typing import Protocol

import h11

from twisted_h11._http.raw_guard import RawGuard
from twisted_h11._wire.wire import EVENTS, PEER, READ_AHEAD, Wire

__all__ = ["SENT", "EventReader"]

# The states in which a role has nothing more to send of its message.
SENT = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)


class EventOwner(Protocol):
    """
    What takes events.

    @ivar readAhead: how many bytes may wait behind the current message.
    """

    readAhead: int

    def eventReceived(self, event: h11.Event) -> None:
        """
        Called with each event of the peer's.
        """

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        """
        Called once, when the peer has broken the protocol.
        """

    def closeIfOver(self) -> None:
        """
        The peer's message has ended: close if no other may follow.
        """

    def loseConnection(self) -> None:
        """
        Close the connection.
        """


class EventReader:
    """
    What one connection has received, as events.

    @ivar conn: the connection's h11.
    @ivar refused: whether the peer has broken the protocol; nothing more is read then.
    @ivar headOnly: whether the last request of the peer was HEAD.
    """

    __slots__ = (
        "_delivering",
        "_guard",
        "_owner",
        "_wire",
        "conn",
        "headOnly",
        "refused",
    )

    def __init__(
        self,
        owner: EventOwner,
        wire: Wire,
        role: type[h11.CLIENT] | type[h11.SERVER],
        longest: int,
    ) -> None:
        """
        @param longest: bytes of an incomplete head, chunk line or trailer section.
        """
        self._owner: EventOwner | None = owner
        self._wire = wire
        self.conn = h11.Connection(role, max_incomplete_event_size=longest)
        self._guard = RawGuard(longest)
        self._delivering = self.refused = self.headOnly = False

    def received(self, data: bytes) -> None:
        """
        Show h11 what was received; C{b""} for the end of file.
        """
        if not self.refused:
            self._guard.received(data)
            self.conn.receive_data(data)
            self.deliver()

    def sending(self, event: h11.Event) -> None:
        """
        An event is about to be sent, which may say what the answer means.
        """
        if isinstance(event, h11.Request):
            self._guard.method = event.method

    def end(self) -> None:
        """
        Deliver nothing any more.
        """
        self._owner = None

    def deliver(self) -> None:
        """
        Deliver all events that are ready.
        """
        if self._delivering:
            return
        self._delivering = True
        wire = self._wire
        begun = wire.beginBatch()
        try:
            while (
                self._owner is not None
                and wire.closing is None
                and not wire.holds & (EVENTS | PEER)
            ):
                if not self._deliverNext(self._owner):
                    break
        finally:
            self._delivering = False
            wire.endBatch(begun)

    def _deliverNext(self, owner: EventOwner) -> bool:
        """
        Deliver one event.

        @return: whether there may be another one.
        """
        conn, guard = self.conn, self._guard
        if conn.their_state is h11.MUST_CLOSE and conn.trailing_data[0]:
            # Behind a last message there is nothing that could be meant, and
            # the answer to it is not to be spoilt by what is there.
            self._pauseBehind(owner)
            return False
        try:
            problem = guard.problem(conn)
            if problem is not None:
                raise problem
            event = conn.next_event()
        except h11.RemoteProtocolError as error:
            self.refused = True
            try:
                owner.protocolError(error)
            finally:
                # It is in a frame of its own traceback: h11 raises it as self.
                error.__traceback__ = None
            return False
        if event is h11.NEED_DATA:
            self._wire.release(READ_AHEAD)
            return False
        if event is h11.PAUSED:
            self._pauseBehind(owner)
            return False
        assert isinstance(event, h11.Event)
        guard.delivered(event, conn)
        if isinstance(event, h11.Request):
            self.headOnly = event.method == b"HEAD"
        kind = type(event)
        owner.eventReceived(event)
        if kind is h11.ConnectionClosed:
            if conn.our_state in (h11.IDLE, h11.ERROR, *SENT):
                owner.loseConnection()
            return False
        if kind is h11.EndOfMessage:
            owner.closeIfOver()
        return True

    def _pauseBehind(self, owner: EventOwner) -> None:
        """
        The peer has ended its message, and may have sent more.
        """
        if not self._wire.holds & READ_AHEAD:
            if len(self.conn.trailing_data[0]) > owner.readAhead:
                self._wire.hold(READ_AHEAD)
