"""
An L{H11Protocol<twisted_h11.protocol.H11Protocol>} as a state machine, in either role:
what the peer sends, what the application does and raises, and what always holds.
"""

from __future__ import annotations

import copy
from typing import Any

import h11
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from twisted.internet.error import ConnectionDone, ConnectionLost

from tests.machines.base import Machine
from tests.machines.events_application import (
    LIMITS,
    Client,
    Peer,
    Server,
    client_events,
    server_events,
)
from tests.support.memory import MemoryTransport, SecureMemoryTransport
from twisted_h11._events.reading import SENT, is_behind_last
from twisted_h11._wire.wire import EVENTS, NEXT_TURN, PEER, READ_AHEAD
from twisted_h11.protocol import H11Factory

__all__ = ["ClientEventsMachine", "ServerEventsMachine"]

HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

# What a peer may send: bodies and their ends, good and bad.
BODIES = (
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n1;a=b\r\nd\r\n0\r\nX-Sum: 4\r\n\r\n",
    b"1\r\nx\r\n" * 9 + b"0\r\n\r\n",
    b"3\r\nabc\r\nzz\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"3\r\nabc\r\n3 \n\r\n",
    b"3\r\nabc\r\n0\r\nX: a \x00\r\n\r\n",
    b"3;" + b"x" * 1200,
)
REQUESTS = (
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    POST + b"Content-Length: 5\r\n\r\nhello",
    POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    POST + b"Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 5\r\n\r\nhello",
    b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    *(POST + CHUNKED + body for body in BODIES[:3]),
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X: a \x00\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 1200,
    POST + b"Transfer-Encoding: gzip\r\n\r\n",
    *(POST + CHUNKED + body for body in BODIES[3:]),
    b"behind",
)
OK = b"HTTP/1.1 200 \r\n"
RESPONSES = (
    OK + b"Content-Length: 2\r\n\r\nok",
    OK + b"Content-Length: 2\r\n\r\nok",
    OK + b"Content-Length: 2\r\nConnection: close\r\n\r\nok",
    OK + b"\r\nuntil the end",
    b"HTTP/1.0 200 \r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 204 \r\n\r\n",
    b"HTTP/1.1 408 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 100 \r\n\r\n",
    b"HTTP/1.1 103 \r\nLink: x\r\n\r\n" * 3,
    b"HTTP/1.1 101 \r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    *(OK + CHUNKED + body for body in BODIES[:3]),
    b"SMTP ready\r\n\r\n",
    OK + b"X: a \x00\r\n\r\n",
    b"HTTP/1.1 103 \r\nX: a \x00\r\n\r\n",
    OK + b"X: " + b"a" * 1200,
    *(OK + CHUNKED + body for body in BODIES[3:]),
    b"behind",
)

REACTIONS = (
    "pause",
    "answer",
    "cycle",
    "boom",
    "abort",
    "lose",
    "mistake",
    "switch",
    "close",
)
ENDS = ("boom", "abort", "lose", "mistake", "close")
lengths = st.sampled_from((1, 20, 60, 100_000, 100_000, 100_000))


class EventsMachine(Machine):
    """
    One connection.
    """

    kind: type[Server]
    messages: tuple[bytes, ...]
    bad: bytes
    upgrades: tuple[bytes, ...]

    @initialize(
        secure=st.booleans(),
        ahead=st.sampled_from((0, 0, 60)),
        slow=st.sampled_from((False, False, True)),
        refuses=st.sampled_from(
            ("usual", "usual", "nothing", "later", "boom", "mistake", "abort", "pause")
        ),
        calm=st.sampled_from((0, 6, 15)),
    )
    def begin(
        self, secure: bool, ahead: int, slow: bool, refuses: str, calm: int
    ) -> None:
        """
        The connection is made.
        """
        transport = SecureMemoryTransport() if secure else MemoryTransport()
        transport.bufferSize = 100
        self.peer = Peer(
            H11Factory(self.kind, LIMITS, self.clock), self.clock, transport
        )
        app: Server = self.peer.channel
        app.readAhead, app.slow, app.refuses = ahead, slow, refuses
        app.clock = self.clock
        self.app = app
        # So many calls that would end the connection are not made.
        self.calm = calm
        self.stream = b""
        self.watch("protocol", app)

    def _waits(self, ends: bool = True) -> bool:
        """
        Whether not to end the connection yet.
        """
        self.calm -= ends
        return ends and self.calm >= 0

    # -- the peer ----------------------------------------------------------------------

    @precondition(lambda self: not self.peer.ending)
    @rule(at=st.integers(0, 40), first=lengths)
    def peer_sends(self, at: int, first: int) -> None:
        """
        A message, or some of it.
        """
        # The good ones come first.
        good = self.messages.index(self.bad) if self.calm > 0 else len(self.messages)
        self.stream += self.messages[at % good]
        self.peer_feeds(first)

    @precondition(lambda self: not self.peer.ending)
    @rule(at=st.integers(0, 40), first=lengths)
    def exchange(self, at: int, first: int) -> None:
        """
        A request and its response, as it should be.
        """
        self.app.reactions = []
        if self.app.role is h11.CLIENT:
            self.app.answer()
        self.peer_sends(at, first)
        self.app.answer()
        self.app.next()
        self.peer.pump()

    @precondition(lambda self: not self.peer.ending)
    @rule(first=lengths)
    def peer_feeds(self, first: int) -> None:
        """
        More of what it began.
        """
        piece, self.stream = self.stream[:first], self.stream[first:]
        if piece and not self.app.slow:
            self.peer.send(piece)
        elif piece:
            # The next turn does not come yet.
            self.peer.unread.append(piece)
            self.peer.read()

    @rule(how=st.sampled_from(("end", "reset", "done", "stall", "drain", "sip")))
    def peer_does(self, how: str) -> None:
        """
        It ends, is gone, takes nothing, or takes more.
        """
        peer = self.peer
        if self._waits(how in ("end", "reset", "done")):
            return
        if how == "end":
            peer.ending = True
            peer.halfClose()
        elif how == "reset":
            peer.vanish(ConnectionLost())
        elif how == "done":
            peer.vanish(ConnectionDone())
        elif how == "stall":
            peer.stall()
        elif how == "sip":
            peer.transport.sip(100)
        else:
            peer.guard(peer.transport.drain)
        peer.pump()

    # -- the application -------------------------------------------------------------

    @rule(what=st.sampled_from(REACTIONS), after=st.integers(0, 2))
    def next_event(self, what: str, after: int) -> None:
        """
        What the application does in one of the next events.
        """
        if not self._waits(what in ENDS):
            self.app.reactions = ["nothing"] * after + [what]

    @rule(what=st.sampled_from(REACTIONS))
    def does(self, what: str) -> None:
        """
        The application does something at any time.
        """
        if self._waits(what in ENDS):
            return
        self.app.do(what)
        self.peer.pump()

    @rule()
    def reads(self) -> None:
        """
        It reads on.
        """
        self.app.call(self.app.resumeReading)
        self.peer.pump()

    @rule(data=st.data())
    def sends(self, data: st.DataObject) -> None:
        """
        It sends one event, allowed or not.
        """
        events = client_events if self.app.role is h11.CLIENT else server_events
        event = data.draw(st.sampled_from(events))(self.app)
        if not self._waits(not self.app.allows(event)):
            self.app.say(event)
        self.peer.pump()

    @rule(at=st.integers(0, 1), tail=st.sampled_from((b"", b"tail")))
    def upgrade(self, at: int, tail: bytes) -> None:
        """
        Both agree to switch, and the application does so at once or later.
        """
        if self.peer.ending or self._waits():
            return
        self.app.upgrade()
        self.stream += self.upgrades[at % len(self.upgrades)] + tail
        self.peer_feeds(100_000)
        if tail:
            self.app.call(self.app.switch)
        self.peer.pump()

    @rule(
        size=st.sampled_from((5, 2000, 100_000)),
        short=st.sampled_from((False, False, True)),
        stalls=st.booleans(),
    )
    def sends_file(self, size: int, short: bool, stalls: bool) -> None:
        """
        It sends a whole message whose content is a file, which may be too short.
        """
        conn = self.app.h11Connection
        if self.app.role is h11.SERVER and conn.their_state is h11.IDLE:
            self.stream += b"" if self.peer.ending else self.messages[0]
            self.peer_feeds(100_000)
        if stalls:
            self.peer.stall()
        self.app.sendFile(size, short)
        self.peer.pump()

    @rule(registers=st.booleans())
    def produces(self, registers: bool) -> None:
        """
        A producer comes, or goes.
        """
        self.app.produce(registers)
        self.peer.pump()

    @rule(seconds=st.sampled_from((0.01, 1.0, 6.0)))
    def time_passes(self, seconds: float) -> None:
        """
        Nobody does anything for a while.
        """
        self.peer.advance(seconds, 0.5)

    # -- what always holds -----------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        """
        Nothing is told twice, and nobody waits in vain.
        """
        self.failed = True
        self.checkLog()
        app = self.app
        assert not app.wrong, app.wrong[0]
        wire = app.wire
        reader = app._h11Reader
        if wire.transport is None:
            calls = self.clock.getDelayedCalls()
            assert not calls, f"gone, and {calls}"
        elif wire.closing is not None:
            aborted = self.peer.aborted or self.peer.transport.disconnecting
            assert aborted or self.clock.getDelayedCalls(), "closes, nothing armed"
            paused = self.peer.transport.paused and not wire.eof
            assert wire.holds or not paused, "not read"
        elif reader is not None:
            self._checkOpen(wire, reader)
        self.failed = False

    def _checkOpen(self, wire: Any, reader: Any) -> None:
        conn = reader.conn
        ours, theirs = conn.our_state, conn.their_state
        tells = f"{conn.states}, {wire.holds}, {self.app.told}"
        paused = self.peer.transport.paused
        assert wire.eof or paused == bool(wire.holds), f"paused: {paused}, {tells}"
        if reader.refused:
            sends: tuple[object, ...] = (h11.SEND_BODY,)
            if self.app.role is h11.SERVER:
                sends += (h11.IDLE, h11.SEND_RESPONSE)
            if self.app.mistaken:
                sends += (h11.ERROR,)
            assert ours in sends, f"refused, nothing to send, open: {tells}"
            assert not wire.holds & READ_AHEAD, f"refused and paused: {tells}"
            return
        if ours in (h11.MUST_CLOSE, h11.CLOSED):
            assert theirs not in SENT, f"both are over: {tells}"
        if theirs is h11.CLOSED:
            isDue = ours not in (h11.IDLE, h11.ERROR, *SENT)
            assert isDue or self.app.mistaken, f"the peer has closed: {tells}"
        self._checkWaits(wire, reader, tells)

    def _checkWaits(self, wire: Any, reader: Any, tells: str) -> None:
        """
        There is a reason why no event is delivered now.
        """
        conn = reader.conn
        behind = conn.trailing_data[0]
        if wire.holds & NEXT_TURN:
            assert self.clock.getDelayedCalls(), f"no turn comes: {tells}"
        if wire.holds & PEER:
            assert not wire.hasRoom, f"waits for room: {tells}"
        if wire.holds == READ_AHEAD:
            assert len(behind) > self.app.readAhead, f"waits behind nothing: {tells}"
        if wire.holds & (EVENTS | PEER | NEXT_TURN) or conn.their_state is h11.CLOSED:
            return
        if is_behind_last(conn, conn.their_state):
            return
        event = copy.deepcopy(conn).next_event()
        # Where a switch was declined, or can not be any more, the end is told in the
        # next cycle, if there is one.
        isLater = conn.their_state is h11.DONE or self.app.mistaken
        if not (isLater and isinstance(event, h11.ConnectionClosed)):
            assert event in (h11.NEED_DATA, h11.PAUSED), f"not told {event}: {tells}"

    # -- the end ----------------------------------------------------------------------

    def teardown(self) -> None:
        """
        The application does what it has to, and nothing is left.
        """
        try:
            if not self.failed and hasattr(self, "app"):
                self._end()
        finally:
            self.release()

    def _end(self) -> None:
        peer, app = self.peer, self.app
        app.reactions = []
        if app.wire.closing is None and not peer.closed and not app.switched:
            # Whatever the peer does, this ends.
            app.call(app.resumeReading)
            app.call(app.loseConnection)
        if not app.switched:
            # A peer that takes nothing is cut off.
            peer.advance(120, 0.5)
            assert peer.closed, f"stays open: {app.wire} {app.told}"
        else:
            peer.vanish(ConnectionLost())
        assert not app.wrong, app.wrong[0]
        assert all(len(ends) == 1 for ends in app.files), app.files
        assert all(p.stopped or p.gone for p in app.producers), app.producers
        app.forget()
        del self.app, app
        peer.forget()
        del self.peer, peer
        self.checkNothingLeft()


class ServerEventsMachine(EventsMachine):
    """
    A server.
    """

    kind = Server
    messages = REQUESTS
    bad = b"GET /\r\n\r\n"
    upgrades = REQUESTS[8:10]


class ClientEventsMachine(EventsMachine):
    """
    A client.
    """

    kind = Client
    messages = RESPONSES
    bad = b"SMTP ready\r\n\r\n"
    upgrades = RESPONSES[9:10]
