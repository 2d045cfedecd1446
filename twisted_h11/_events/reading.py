"""
Events in: received data is given to h11, and h11's events to a protocol, in order.

One loop delivers them.  A call of C{deliver} from within an event returns at once, and
the running loop goes on, so that ten thousand pipelined requests need no more stack
than one.  The loop has an end while other connections wait: L{twisted_h11._wire.turns}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import h11
from twisted.internet.interfaces import ISSLTransport

from twisted_h11._boundary.guarded import guarded
from twisted_h11._http.raw_guard import RawGuard
from twisted_h11._wire.deadline import delayed_calls
from twisted_h11._wire.turns import Turns
from twisted_h11._wire.wire import EVENTS, NEXT_TURN, PEER, READ_AHEAD, Wire

__all__ = ["SENT", "EventReader", "is_behind_last"]

# The states in which a role has sent its whole message.
SENT = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

# The states in which a role sends no other message, when the peer has ended its own.  A
# client can not begin a request behind a response that came before it.
_LAST = (h11.MUST_CLOSE, h11.CLOSED, h11.IDLE)

# The states in which a role has something to send although the peer was refused: its
# request, or a response that says so.
_SENDS = {
    h11.CLIENT: (h11.SEND_BODY,),
    h11.SERVER: (h11.IDLE, h11.SEND_RESPONSE, h11.SEND_BODY),
}


class EventOwner(Protocol):
    """
    The protocol that takes the events.

    @ivar readAhead: how many bytes may wait behind the current message.
    @ivar callLater: what starts delayed calls; the global reactor's if it is C{None}.
    @ivar seconds: see L{IReactorTime.seconds<twisted.internet.interfaces>}.
    """

    readAhead: int
    callLater: Any
    seconds: Callable[[], float]

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
        The peer's message has ended, or was refused: close the connection if no other
        may follow.
        """

    def loseConnection(self) -> None:
        """
        Close the connection.
        """

    def abortConnection(self) -> None:
        """
        Drop the connection.
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
        "_fields",
        "_guard",
        "_owner",
        "_turns",
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
        isSecure = ISSLTransport.providedBy(wire.transport)
        self._turns = Turns(owner.seconds, isSecure)
        self._delivering = self.refused = self.headOnly = False
        # The fields of the request that is being read.
        self._fields: Iterable[tuple[bytes, bytes]] = ()

    def received(self, data: bytes) -> None:
        """
        Give received data to h11; C{b""} for end of file.
        """
        if self.refused:
            if not data and self._owner is not None:
                self._owner.closeIfOver()
        else:
            self._guard.received(data)
            self.conn.receive_data(data)
            self.deliver()

    def sending(self, event: h11.Event) -> None:
        """
        An event is about to be sent: keep the method of a request, which decides how
        its response is read.
        """
        if isinstance(event, h11.Request) and self.conn.our_state is h11.IDLE:
            self._guard.method = event.method

    def end(self) -> None:
        """
        Stop delivering events.
        """
        self._owner = None
        self._turns.stop()

    def isOver(self) -> bool:
        """
        Whether both messages have ended, and no other may follow.
        """
        conn = self.conn
        ours = conn.our_state
        if self.refused:
            # Of bytes that h11 was not asked about its states say nothing.
            return ours not in _SENDS[conn.our_role]
        theirs = conn.their_state
        if theirs in SENT:
            return ours in _LAST
        # A server has responded before there was a request, such as 408.
        return theirs is h11.IDLE and ours in SENT

    def mayNotSwitch(self) -> str:
        """
        Why the bytes that have arrived are not yet those of another protocol; C{""} if
        they are.
        """
        conn = self.conn
        if conn.our_state is not h11.SWITCHED_PROTOCOL:
            return f"Can't switch in state {conn.our_state}"
        isReading = conn.their_state is h11.SEND_BODY
        if isReading and any(map(_announces_body, self._fields)):
            return "Can't switch before the end of the request"
        return ""

    def deliver(self) -> None:
        """
        Deliver all events that are ready, as far as this turn has time.
        """
        if self._delivering:
            return
        self._delivering = True
        wire, turns = self._wire, self._turns
        begun = wire.beginBatch()
        turns.begin()
        try:
            while (
                self._owner is not None
                and not self.refused
                and wire.closing is None
                and not wire.holds & (EVENTS | PEER | NEXT_TURN)
            ):
                if turns.isOver and self._endTurn(self._owner):
                    break
                if not self._deliverNext(self._owner):
                    break
        finally:
            self._delivering = False
            wire.endBatch(begun)
        turns.end()

    def _endTurn(self, owner: EventOwner) -> bool:
        """
        Deliver the rest in the next turn, unless no byte is left or the connection is
        lost.

        @return: whether the rest waits.
        """
        wire = self._wire
        if wire.transport is None or not self.conn.trailing_data[0]:
            return False
        wire.hold(NEXT_TURN)
        self._turns.wait(delayed_calls(owner.callLater), self._nextTurn)
        return True

    def _goOn(self) -> None:
        self._wire.release(NEXT_TURN)
        self.deliver()

    def _nextTurn(self) -> None:
        """
        The next turn has come.  If an event raises, there is no transport that would
        drop the connection.
        """
        owner = self._owner
        if not guarded("An event", self._goOn) and owner is not None:
            owner.abortConnection()

    def readsLate(self) -> bool:
        """
        Whether this side is a client whose response has not ended, and whose
        application takes events: data that has arrived is of use then, although
        nothing can be written.
        """
        conn = self.conn
        return (
            conn.our_role is h11.CLIENT
            and not self.refused
            and conn.their_state in (h11.SEND_RESPONSE, h11.SEND_BODY)
            and not self._wire.holds & ~NEXT_TURN
        )

    def lost(self, wasClosed: bool) -> None:
        """
        The connection is lost: deliver now what waits for the next turn.

        @param wasClosed: whether the peer has closed it, so that h11 gets end of file.
        """
        wire = self._wire
        self.conn.send_failed()
        try:
            if wasClosed and not (wire.eof or self.refused):
                wire.eof = True
                wire.holds = 0
                self.received(b"")
            elif wire.holds & NEXT_TURN:
                self._goOn()
        finally:
            self.end()

    def _deliverNext(self, owner: EventOwner) -> bool:
        """
        Deliver one event.

        @return: whether there may be another one.
        """
        conn, guard = self.conn, self._guard
        theirs = conn.their_state
        if theirs is h11.CLOSED:
            # h11 would tell it again.
            return False
        if is_behind_last(conn, theirs):
            # Data behind a last message is no message, and an error in it must not
            # disturb the response.
            if conn.our_state is h11.ERROR and theirs is h11.IDLE:
                owner.loseConnection()
            self._pauseBehind(owner)
            return False
        try:
            problem = guard.problem(conn)
            if problem is not None:
                raise problem
            event = conn.next_event()
        except h11.RemoteProtocolError as error:
            self._refuse(owner, error)
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
            self._fields = event.headers
        kind = type(event)
        owner.eventReceived(event)
        if kind is h11.ConnectionClosed:
            if conn.our_state in (h11.IDLE, h11.ERROR, *SENT):
                owner.loseConnection()
            return False
        if kind is h11.EndOfMessage:
            self._fields = ()
            owner.closeIfOver()
        return True

    def _refuse(self, owner: EventOwner, error: h11.RemoteProtocolError) -> None:
        """
        The peer has broken the protocol.  What it sends now is read and dropped, or the
        end of the connection would not be noticed.
        """
        self.refused = True
        self._wire.release(READ_AHEAD)
        try:
            owner.protocolError(error)
        finally:
            # h11 raises an error object whose traceback has a frame that refers to it:
            # break that cycle.
            error.__traceback__ = None
        owner.closeIfOver()

    def _pauseBehind(self, owner: EventOwner) -> None:
        """
        The peer has ended its message: pause reading if more than C{readAhead} bytes
        wait behind it.
        """
        if len(self.conn.trailing_data[0]) > owner.readAhead:
            self._wire.hold(READ_AHEAD)
        else:
            self._wire.release(READ_AHEAD)


def is_behind_last(conn: h11.Connection, theirs: object) -> bool:
    """
    Whether what has arrived is no message: the last one has ended, or this server has
    begun a response without a request, for which h11 0.16 would raise AttributeError.

    @param theirs: the state of the peer.
    """
    if theirs is h11.IDLE:
        if conn.our_state is h11.IDLE or conn.our_role is h11.CLIENT:
            return False
    elif theirs is not h11.MUST_CLOSE:
        return False
    # Reading the buffer copies it.
    return bool(conn.trailing_data[0])


def _announces_body(field: tuple[bytes, bytes]) -> bool:
    name, value = field
    return name == b"transfer-encoding" or (
        name == b"content-length" and int(value) > 0
    )
