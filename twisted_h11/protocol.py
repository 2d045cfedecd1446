"""
h11 for Twisted: a protocol and a factory that turn bytes into h11's events.

h11 is a state machine without input and output: it turns bytes into events, and
events into bytes.  L{H11Protocol} adds the transport, for either role.  Subclass it,
and write C{eventReceived}::

    class Hello(H11Protocol):
        def eventReceived(self, event):
            if isinstance(event, h11.Request):
                self.method = event.method
            elif isinstance(event, h11.EndOfMessage):
                self.sendEvent(h11.Response(status_code=200, headers=[
                    ("Content-Length", "5")]))
                if self.method != b"HEAD":
                    self.sendEvent(h11.Data(data=b"hello"))
                self.sendEvent(h11.EndOfMessage())
                if self.h11Connection.our_state is h11.DONE:
                    self.startNextCycle()

    endpoint.listen(H11Factory(Hello))

h11's documentation describes what a "push" adapter has to get right: C{NEED_DATA} and
C{PAUSED}, C{startNextCycle} without recursion, half-close, errors of either side,
switching protocols, C{sendfile}.  The page "h11's events" of the documentation says how
each is done here.

The L{h11.Connection} is made when it is first needed; an idle connection has
none.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, ClassVar

import h11
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from twisted_h11._boundary.checks import (
    CALLABLE,
    PROTOCOL,
    REACTOR,
    checked,
    instance,
    optional,
)
from twisted_h11._events.reading import SENT, EventReader
from twisted_h11._events.sending import send_event
from twisted_h11._http.response_to_send import malformed_answer
from twisted_h11._wire.files import FileRegion
from twisted_h11._wire.protocol import DEFAULT_LIMITS, WireProtocol
from twisted_h11._wire.sockets import is_bare_socket
from twisted_h11._wire.wire import EVENTS, PEER
from twisted_h11.limits import Limits

__all__ = ["FileRegion", "H11Factory", "H11Protocol"]


class H11Protocol(WireProtocol):
    """
    One HTTP/1.1 connection, as h11 events, in either role.

    It is a consumer with back-pressure for one producer of the application: call
    C{registerProducer}, and send L{h11.Data} from the producer's C{resumeProducing}.

    @cvar role: L{h11.SERVER} or L{h11.CLIENT}: the role of this side.
    @cvar readAhead: how many bytes may wait behind the current message before
        the transport is paused.
    @cvar maxIncompleteEventSize: how many bytes of an incomplete head h11
        keeps before it raises, see L{h11.Connection}; C{limits.maxHeadLength}
        if C{None}.
    @cvar seconds: returns the time, as C{seconds} of L{IReactorTime
        <twisted.internet.interfaces.IReactorTime>}; set by L{H11Factory}, if it has a
        reactor.  Events that have arrived at once are delivered for 5 milliseconds, the
        rest in the next turns of the reactor.
    @ivar limits: the L{Limits} that bound heads and closing; set by L{H11Factory}.
        Other limits have no effect here.

    @since: 0.1
    """

    role: ClassVar[type[h11.CLIENT] | type[h11.SERVER]] = h11.SERVER
    readAhead: int = 0
    maxIncompleteEventSize: int | None = None
    seconds: Any = staticmethod(monotonic)

    _h11Reader: EventReader | None = None
    _halfClosing = False

    def __repr__(self) -> str:
        if self._successor is not None:
            state = f"switched to {self._successor!r}"
        elif self.wire.transport is None:
            state = "not connected"
        elif self.wire.closing is not None:
            state = "closing"
        elif self._h11Reader is None:
            state = "idle"
        else:
            conn = self._h11Reader.conn
            state = f"we {conn.our_state}, they {conn.their_state}"
        return f"<{type(self).__name__} {state} at {id(self):#x}>"

    @property
    def h11Connection(self) -> h11.Connection:
        """
        The h11 connection, for reading its states.  Pass data and events to this
        protocol instead.
        """
        return self._reader().conn

    def _reader(self) -> EventReader:
        if self._h11Reader is None:
            longest = self.maxIncompleteEventSize
            if longest is None:
                longest = self.limits.maxHeadLength
            self._h11Reader = EventReader(self, self.wire, self.role, longest)
            if self.wire.user is not self:
                # The connection was lost or given away before it was needed.
                self._h11Reader.lost(False)
        return self._h11Reader

    # -- from the wire -----------------------------------------------------

    def abortConnection(self) -> None:
        """
        Drop the connection at once, with everything that was not yet sent.
        """
        super().abortConnection()
        # Some of the bytes that h11 has made may never be sent.
        self.h11Connection.send_failed()

    def wireWritable(self) -> None:
        """
        Called by the wire when its buffer has room.
        """
        if self.wire.holds & PEER:
            self.wire.release(PEER)
            self._deliver()

    def wireQueueSent(self) -> bool:
        """
        Called by the wire when all regions of files were sent.
        """
        if super().wireQueueSent():
            return True
        self._halfClose()
        return False

    # -- for subclasses -----------------------------------------------------

    def eventReceived(self, event: h11.Event) -> None:
        """
        Called with each event of the peer, in order; override it.

        @param event: L{h11.Request}, L{h11.InformationalResponse},
            L{h11.Response}, L{h11.Data}, L{h11.EndOfMessage} or
            L{h11.ConnectionClosed}.  The C{data} of L{h11.Data} is a
            C{bytearray}.
        """

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        """
        Called once, when the peer has broken the protocol.  No event follows.

        A server that has not begun its response responds with the status that h11
        suggests.  If its response is complete, the connection is closed in stages;
        otherwise, and by a client, it is dropped.  Override it to do something else.
        After a response that an override sends, or if nothing is left to send, the
        connection is closed, too; a server that will not respond has to close it.

        @param error: the error; C{error_status_hint} is the status that h11 suggests.
        """
        state = self.h11Connection.our_state
        if self.role is h11.SERVER and state in (h11.IDLE, h11.SEND_RESPONSE):
            headOnly = state is h11.SEND_RESPONSE and self._reader().headOnly
            for event in malformed_answer(error, headOnly):
                self.sendEvent(event)
        elif self.role is h11.SERVER and state in SENT:
            self._closeInStages()
        else:
            self.abortConnection()

    def pauseReading(self) -> None:
        """
        Call this to stop event delivery, and reading from the network, until
        L{resumeReading}: back-pressure for the peer's body.  Pausing the transport
        would not stop events of data that was received before.
        """
        if self.wire.closing is None:
            self.wire.hold(EVENTS)

    def resumeReading(self) -> None:
        """
        Deliver the events that have waited since L{pauseReading}, and resume reading.
        If called in C{eventReceived}, the next event is delivered when that returns.
        """
        if self.wire.holds & EVENTS and self.wire.transport is not None:
            self.wire.release(EVENTS)
            self._deliver()

    # -- from the transport ---------------------------------------------------

    def _readsLate(self) -> bool:
        return self._h11Reader is not None and self._h11Reader.readsLate()

    def dataReceived(self, data: bytes) -> None:
        """
        Give received data to h11, and deliver every event that is ready.
        """
        closing = self.wire.closing
        if closing is not None:
            closing.received(len(data))
            return
        if data:
            # h11 reads b"" as end of file.
            self._reader().received(data)

    def _inputEnded(self) -> None:
        self._reader().received(b"")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is lost.  h11's state is set to failed for sending and, if the
        connection was closed cleanly, h11 gets end of file; the events of that, and
        those that wait for their turn, are delivered before this returns.
        """
        # Tests call it with None.
        reason = reason or connectionDone
        self.wire.lost(reason)
        self._nextSuccessor = None
        if self._h11Reader is not None:
            self._h11Reader.lost(reason.check(ConnectionDone) is not None)

    def _letGo(self) -> None:
        super()._letGo()
        if self._h11Reader is not None:
            self._h11Reader.end()

    # -- events out -------------------------------------------------------------

    def sendEvent(self, event: h11.Event) -> None:
        """
        Turn an event into bytes and write them.

        L{h11.Data} may have a L{FileRegion} as its data; it is sent under
        back-pressure, and later events are sent after it.

        L{h11.ConnectionClosed} closes the connection: a server's in stages; a client's
        at once, unless its response has not ended: then only the sending side is closed
        (TLS has no half-close: nothing is done), and the rest when the response has
        ended.

        After the connection is lost nothing is written and nothing is raised; h11's
        state is C{ERROR} then.

        @param event: the event.
        @raise h11.LocalProtocolError: if the event is not allowed now.  Nothing
            more can be sent on this connection then.
        @raise TypeError: for data that is not bytes; the state is unchanged then.
        """
        events = self._reader()
        events.sending(event)
        if not send_event(self.wire, events.conn, event):
            self._sendingEnded(events.conn)
        elif type(event) is h11.EndOfMessage:
            self.closeIfOver()

    def _sendingEnded(self, conn: h11.Connection) -> None:
        """
        Close the connection after L{h11.ConnectionClosed} was sent.
        """
        if self.role is h11.CLIENT and conn.their_state in (
            h11.SEND_RESPONSE,
            h11.SEND_BODY,
        ):
            self._halfClosing = is_bare_socket(self.wire.transport)
            if self.wire.queue is None:
                self._halfClose()
        else:
            self._closeAsRole()

    def _halfClose(self) -> None:
        wire = self.wire
        if self._halfClosing and wire.isOpen:
            self._halfClosing = False
            wire.flush()
            wire.transport.loseWriteConnection()

    def startNextCycle(self) -> None:
        """
        Begin the next request and response on this connection; call it when both
        have ended.  Data that has waited behind the last message is delivered before
        this returns, or, if called in C{eventReceived}, when that returns.  A server's
        next request is delivered when the transport's buffer has room.

        @raise h11.LocalProtocolError: if one of the two has not ended, or the
            connection can not be used again.
        """
        self.h11Connection.start_next_cycle()
        if self.role is h11.SERVER and not self.wire.hasRoom:
            self.wire.hold(PEER)
        self._deliver()

    @checked(protocol=PROTOCOL)
    def switchProtocol(self, protocol: IProtocol) -> None:
        """
        Give the transport to another protocol, for good.

        Call it after the 101 response, or the 2xx response to CONNECT, was sent or
        received.  Received data behind that is delivered to C{protocol} after its
        C{makeConnection}.  If a file is still being sent, C{protocol} is connected
        when the file was sent.

        @param protocol: a Twisted protocol that is not connected.
        @raise h11.LocalProtocolError: if the two sides have not agreed to switch, the
            body of the request has not ended, or the connection is gone.
        """
        if not self.wire.isOpen:
            raise h11.LocalProtocolError("The connection is closed")
        problem = self._reader().mayNotSwitch()
        if problem:
            raise h11.LocalProtocolError(problem)
        self._giveTo(protocol)

    def _takeTrailingData(self) -> tuple[bytes, bool]:
        return self.h11Connection.trailing_data

    def _deliver(self) -> None:
        if self._h11Reader is not None:
            self._h11Reader.deliver()

    # -- the end ------------------------------------------------------------------

    def closeIfOver(self) -> None:
        """
        A message has ended, or the peer was refused: close the connection if both have
        ended and no other may follow.
        """
        if self._reader().isOver():
            self._closeAsRole()

    def _closeAsRole(self) -> None:
        """
        Close the connection: a server's in stages, because its last response may still
        be in transit; a client's at once, because the server may wait for that.
        """
        if self.role is h11.SERVER:
            self._closeInStages()
        else:
            self.loseConnection()


class H11Factory(Factory):
    """
    Makes one L{H11Protocol} for each connection, of either role.

    @param protocol: a subclass of L{H11Protocol}, or any callable without arguments
        that returns an instance.
    @param limits: the bounds of the connections.
    @param reactor: an L{IReactorTime} provider for their timers; the global
        reactor if it is not given.

    @since: 0.1
    """

    noisy = False

    @checked(
        protocol=CALLABLE,
        limits=instance("Limits", Limits),
        reactor=optional(REACTOR),
    )
    def __init__(
        self,
        protocol: Callable[[], H11Protocol] = H11Protocol,
        limits: Limits = DEFAULT_LIMITS,
        reactor: IReactorTime | None = None,
    ) -> None:
        self.protocol = protocol
        self.limits = limits
        self.reactor = reactor

    def buildProtocol(self, addr: IAddress | None) -> H11Protocol:
        """
        Make the protocol of one connection.
        """
        protocol: H11Protocol = self.protocol()  # type: ignore[misc,assignment]
        protocol.factory = self
        protocol.limits = self.limits
        if self.reactor is not None:
            protocol.callLater = self.reactor.callLater
            protocol.seconds = self.reactor.seconds
        return protocol
