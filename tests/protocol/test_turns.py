"""
Many events of one segment: other connections have their turn between them.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol

from tests.support.memory import SecureMemoryTransport
from tests.support.protocol_cases import Answering, ProtocolTestCase
from tests.support.server_cases import GET, get, post
from tests.support.times import one_turn
from tests.support.wire import Wire
from twisted_h11._wire.turns import TURN
from twisted_h11.protocol import H11Protocol

# How long each event takes, and how many are delivered in one turn.
EACH = 0.001
IN_A_TURN = round(TURN / EACH)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class TurnsTests(ProtocolTestCase):
    """
    Events that take time, on the clock of the test.
    """

    def slow(self, kind: type[Any]) -> type[Any]:
        """
        A protocol that takes C{EACH} seconds for each event.
        """
        clock = self.clock

        class Slow(kind):  # type: ignore[misc]
            def eventReceived(self, event: h11.Event) -> None:
                clock.rightNow += EACH
                super().eventReceived(event)

        return Slow

    def begin(self, data: bytes = GET * 10, kind: type[Any] = Answering) -> Wire:
        """
        A server that has received C{data} in one segment.
        """
        wire = self.connect(self.slow(kind))
        wire.channel.dataReceived(data)
        return wire

    def download(self, data: bytes) -> Wire:
        """
        A client that has received C{data} in one segment.
        """
        wire = self.client()
        wire.channel.onEvent = self.takeTime
        wire.channel.dataReceived(data)
        return wire

    def takeTime(self, protocol: object, event: object) -> None:
        """
        Take C{EACH} seconds.
        """
        self.clock.rightNow += EACH

    def counts(self, protocol: Any) -> list[int]:
        """
        How many events were delivered until now, and in each of the next turns.
        """
        counts = [len(protocol.seen)]
        while self.clock.getDelayedCalls():
            before = len(protocol.seen)
            one_turn(self.clock)
            counts.append(len(protocol.seen) - before)
        return counts

    def test_server(self) -> None:
        """
        Pipelined requests that take long are delivered in several turns.
        """
        wire = self.begin()
        self.assertEqual([IN_A_TURN] * 4, self.counts(wire.channel))
        self.assertEqual([200] * 10, wire.statuses)

    def test_client(self) -> None:
        """
        So are the pieces of a body.
        """
        wire = self.download(CHUNKED + b"1\r\nx\r\n" * 13 + b"0\r\n\r\n")
        self.assertEqual([IN_A_TURN] * 3, self.counts(wire.channel))
        self.assertEqual(("Data", b"x" * 13), wire.channel.events[1])
        self.assertEqual("EndOfMessage", wire.channel.kinds[2])

    def test_quickEvents(self) -> None:
        """
        Events that take no time are all delivered at once.
        """
        wire = self.connect(Answering)
        wire.channel.dataReceived(GET * 100)
        self.assertEqual([200], self.counts(wire.channel))

    def test_lastBytes(self) -> None:
        """
        Nothing waits if no byte is left: a slow event delays nothing.
        """
        wire = self.begin(GET)
        self.clock.rightNow += 1
        wire.channel.dataReceived(GET)
        self.assertEqual([4], self.counts(wire.channel))
        self.assertEqual(0, wire.transport.pauses)

    def test_othersAreServed(self) -> None:
        """
        An event of another connection is delivered between two turns.
        """
        wire, other = self.begin(b""), self.begin(b"")
        wire.channel.dataReceived(GET * 100)
        other.channel.dataReceived(GET)
        self.assertEqual([200], other.statuses)
        self.assertEqual(IN_A_TURN, len(wire.channel.seen))
        wire.pump()
        self.assertEqual([200] * 100, wire.statuses)

    def test_segmentsOfOneTurn(self) -> None:
        """
        The records of TLS that come at once share one turn.
        """
        wire = self.connect(self.slow(Answering), SecureMemoryTransport())
        for _ in range(10):
            wire.channel.dataReceived(GET)
        # The last of the first turn has no bytes: it is the end of the third request.
        self.assertEqual([IN_A_TURN + 1, IN_A_TURN], self.counts(wire.channel)[:2])
        wire.pump()
        self.assertEqual([200] * 10, wire.statuses)

    def test_segmentsWithoutTLS(self) -> None:
        """
        Without TLS each segment has a turn of its own.
        """
        wire = self.connect(self.slow(Answering))
        for _ in range(10):
            wire.channel.dataReceived(GET)
        self.assertEqual([20], self.counts(wire.channel))

    def test_readingIsPaused(self) -> None:
        """
        The transport is paused while events wait for their turn, and then resumed.
        """
        wire = self.begin()
        self.assertTrue(wire.transport.paused)
        wire.pump()
        self.assertEqual([200] * 10, wire.statuses)
        self.assertFalse(wire.transport.paused)

    def test_applicationPauses(self) -> None:
        """
        What the application has paused stays paused when the next turn comes.
        """
        wire = self.begin()
        wire.channel.pauseReading()
        self.assertEqual([IN_A_TURN, 0], self.counts(wire.channel))
        wire.channel.resumeReading()
        self.assertEqual([IN_A_TURN * 2] + [IN_A_TURN] * 2, self.counts(wire.channel))

    def test_applicationResumes(self) -> None:
        """
        An application that resumes reading gets no event before its turn.
        """
        wire = self.begin()
        wire.channel.pauseReading()
        wire.channel.resumeReading()
        self.assertEqual([IN_A_TURN] * 4, self.counts(wire.channel))

    def test_peerHalfCloses(self) -> None:
        """
        If the peer closes its sending side, all its requests are answered.
        """
        wire = self.begin()
        wire.channel.readConnectionLost()
        wire.settle(1)
        self.assertEqual([200] * 10, wire.statuses)
        self.assertEqual("ConnectionClosed", wire.channel.kinds[-1])
        self.assertTrue(wire.closed)

    def test_connectionIsLost(self) -> None:
        """
        If the connection is lost, however it ends, what has arrived is delivered
        before C{connectionLost} returns, as without turns.
        """
        for reason in (ConnectionDone(), ConnectionLost()):
            with self.subTest(reason=reason):
                wire = self.download(CHUNKED + b"1\r\nx\r\n" * 13 + b"0\r\n\r\n")
                wire.vanish(reason)
                self.assertEqual(("Data", b"x" * 13), wire.channel.events[1])
                self.assertEqual("EndOfMessage", wire.channel.kinds[2])
                self.assertEqual([], self.clock.getDelayedCalls())

    def test_connectionIsClosed(self) -> None:
        """
        A connection that the application closes or aborts delivers nothing more.
        """
        for end in (H11Protocol.loseConnection, H11Protocol.abortConnection):
            with self.subTest(end=end.__name__):
                wire = self.begin()
                end(wire.channel)
                wire.pump()
                self.assertTrue(wire.closed)
                self.assertEqual(IN_A_TURN, len(wire.channel.seen))
                self.assertEqual([], self.clock.getDelayedCalls())

    def test_protocolIsSwitched(self) -> None:
        """
        What waits behind the last message belongs to the protocol that comes after.
        """
        taken: list[bytes] = []

        class Successor(Protocol):
            def dataReceived(self, data: bytes) -> None:
                taken.append(data)

        class Switching(Answering):
            def respond(self, *args: Any, **more: Any) -> None:
                if self.target != b"/up":
                    super().respond(*args, **more)

        upgrade = get(b"/up", b"Connection: upgrade\r\nUpgrade: echo")
        fields = [("Connection", "upgrade"), ("Upgrade", "echo")]
        # What comes before it: the turn is over behind its end, and within it.
        for before in (post(b"x"), GET * 2):
            with self.subTest(before=before):
                taken.clear()
                wire = self.begin(before + upgrade + b"further", Switching)
                if before != post(b"x"):
                    wire.pump()
                self.assertEqual(b"/up", wire.channel.target)
                wire.channel.sendEvent(
                    h11.InformationalResponse(status_code=101, headers=fields)
                )
                wire.channel.switchProtocol(Successor())
                self.assertEqual([b"further"], taken)
                self.assertFalse(wire.transport.paused)
                self.assertEqual([], self.clock.getDelayedCalls())

    def test_malformedAtTheEnd(self) -> None:
        """
        What is malformed is refused behind the answers to what came before.
        """
        wire = self.begin(GET * 6 + b"what is this\r\n\r\n")
        wire.pump()
        self.assertEqual([200] * 6 + [400], wire.statuses)
        self.assertEqual(1, len(wire.channel.errors))
