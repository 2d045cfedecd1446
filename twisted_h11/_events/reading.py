"""
Events in: received data is given to h11, and h11's events to a protocol, in order.

One loop delivers them.  A call of C{deliver} from within an event returns at once, and
the running loop goes on, so that ten thousand pipelined requests need no more stack
than one.
"""

from __future__ import annotations

from typing import Protocol

import h11

from twisted_h11._http.raw_guard import RawGuard
from twisted_h11._wire.wire import EVENTS, PEER, READ_AHEAD, Wire

__all__ = ["SENT", "EventReader"]

# The states in which a role has sent its whole message.
SENT = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)


class EventOwner(Protocol):
    """
    The protocol that takes the events.

    @ivar readAhead: how many bytes may wait behind the current message.
    """

    readAhead: int

    def eventReceived(self, event: h11.Event) -> None:
        """
        Called with each event of the peer.
        """

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        """
        Called once, when the peer has broken the protocol.
        """

    def closeIfOver(self) -> None:
        """
        The peer's message has ended: close the connection if no other may follow.
        """

    def loseConnection(self) -> None:
        """
        Close the connection.
        """


class EventReader:
    """
    Turns the received data of one connection into events.

    @ivar conn: the h11 connection.
    @ivar refused: whether the peer has broken the protocol; then reading has stopped.
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
        Give received data to h11; C{b""} for end of file.
        """
        if not self.refused:
            self._guard.received(data)
            self.conn.receive_data(data)
            self.deliver()

    def sending(self, event: h11.Event) -> None:
        """
        An event is about to be sent: keep the method of a request, which decides how
        its response is read.
        """
        if isinstance(event, h11.Request):
            self._guard.method = event.method

    def end(self) -> None:
        """
        Stop delivering events.
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
            # Data behind a last message is no message, and an error in it must not
            # disturb the response.
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
                # h11 raises an error object whose traceback has a frame that refers
                # to it: break that cycle.
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
        The peer has ended its message: pause reading if more than C{readAhead} bytes
        wait behind it.
        """
        if not self._wire.holds & READ_AHEAD:
            if len(self.conn.trailing_data[0]) > owner.readAhead:
                self._wire.hold(READ_AHEAD)
