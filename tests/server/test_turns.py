"""
Many requests that have arrived already: other connections have their turn between them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol

from tests.support.memory import SecureMemoryTransport
from tests.support.server_cases import GET, ServerTestCase, get, post
from tests.support.times import one_turn
from tests.support.wire import Wire
from twisted_h11._wire.turns import TURN
from twisted_h11.server import Limits

# How long each request takes, and how many are begun in one turn: the time is that from
# the second one.
EACH = 0.001
IN_A_TURN = round(TURN / EACH) + 1


class TurnsCase(ServerTestCase):
    """
    Requests that take time, on the clock of the test.
    """

    def setUp(self) -> None:
        """
        Count the requests that were rendered.
        """
        super().setUp()
        self.rendered: list[bytes] = []

    def render(self, request: Any) -> bytes:
        """
        Take C{EACH} seconds.
        """
        self.clock.rightNow += EACH
        self.rendered.append(request.uri)
        uri: bytes = request.uri
        return uri

    def begin(self, *pieces: bytes, secure: bool = False, **options: Any) -> Wire:
        """
        Send pieces, all of them in one turn of the reactor.
        """
        transport = SecureMemoryTransport() if secure else None
        wire = self.connect(self.site(self.render, **options), transport)
        for piece in pieces:
            wire.channel.dataReceived(piece)
        return wire

    def turn(self) -> int:
        """
        One turn of the reactor.

        @return: how many requests were begun in it.
        """
        before = len(self.rendered)
        one_turn(self.clock)
        return len(self.rendered) - before


class TurnTests(TurnsCase):
    """
    What one segment may do in one turn, and what follows.
    """

    def test_pipelineHasTurns(self) -> None:
        """
        Requests of one segment that take long are handled in several turns, whatever
        their kind; the responses come in order.
        """
        kinds = {
            "GET": get,
            "HEAD": lambda target: get(target, method=b"HEAD"),
            "POST": lambda target: post(b"x", target=target),
            "by h11": lambda target: get(target, b"Connection: x"),
            "chunked": lambda target: (
                get(target, b"Transfer-Encoding: chunked", method=b"POST")
                + b"1\r\na\r\n0\r\n\r\n"
            ),
        }
        for name, request in kinds.items():
            with self.subTest(name):
                self.rendered.clear()
                targets = [b"/%d" % i for i in range(14)]
                wire = self.begin(b"".join(map(request, targets)))
                turns = [len(self.rendered), self.turn(), self.turn(), self.turn()]
                self.assertEqual([IN_A_TURN, IN_A_TURN, 2, 0], turns)
                self.assertEqual(targets, self.rendered)
                wire.methods = [b"HEAD" if name == "HEAD" else b"GET"] * 14
                self.assertEqual([200] * 14, wire.statuses)

    def test_othersAreServed(self) -> None:
        """
        A request of another connection is answered between two turns.
        """
        wire = self.begin()
        other = self.connect(self.sites[0])
        wire.channel.dataReceived(get(b"/many") * 100)
        other.channel.dataReceived(get(b"/other"))
        self.assertEqual([200], other.statuses)
        self.assertEqual(IN_A_TURN, self.rendered.index(b"/other"))
        while self.turn():
            pass
        self.assertEqual(100, len(wire.responses))

    def test_quickRequestsHaveOneTurn(self) -> None:
        """
        Requests that take no time are all handled at once, and no call is delayed.
        """
        wire = self.talk(lambda request: b"x")
        wire.channel.dataReceived(GET * 1000)
        wire.transport.drain()
        self.assertEqual(1000, len(wire.responses))

    def test_manySegmentsOfOneTurn(self) -> None:
        """
        The records of TLS that come in one turn share its time, from the first on.
        """
        wire = self.begin(*[GET] * 12, secure=True)
        turns = [len(self.rendered), self.turn(), self.turn(), self.turn()]
        self.assertEqual([IN_A_TURN - 1, IN_A_TURN - 1, 2, 0], turns)
        self.assertEqual([200] * 12, wire.statuses)

    def test_segmentsOfSeveralTurns(self) -> None:
        """
        A record that comes some time after the one before has a turn of its own, also
        if its client is on the same machine.
        """
        wire = self.begin(secure=True)
        for _ in range(20):
            wire.channel.dataReceived(GET)
            self.clock.rightNow += 0.0002
        self.assertEqual(20, len(self.rendered))

    def test_segmentsWithoutTLS(self) -> None:
        """
        Without TLS each segment has a turn of its own.
        """
        self.begin(*[GET] * 12)
        self.assertEqual(12, len(self.rendered))

    def test_anyTime(self) -> None:
        """
        At any time of the clock a turn has time for a request.
        """
        for secure in (False, True):
            wire = self.begin(secure=secure)
            for place in range(1000):
                # As time.time() has it.
                self.clock.rightNow = 1_800_000_000 + place / 7
                wire.channel.dataReceived(GET)
                self.assertEqual(place + 1, len(self.rendered))
            self.rendered.clear()

    def test_clockIsSetBack(self) -> None:
        """
        If the clock is set back, the turn is over; no request is lost.
        """

        def render(request: Any) -> bytes:
            self.clock.rightNow -= 100
            return self.render(request)

        wire = self.connect(self.site(render))
        wire.channel.dataReceived(GET * 4)
        turns = [len(self.rendered), self.turn(), self.turn()]
        self.assertEqual([2, 2, 0], turns)
        self.assertEqual([200] * 4, wire.statuses)


class WaitingTests(TurnsCase):
    """
    What may happen while requests wait for the next turn.
    """

    def test_readingIsPaused(self) -> None:
        """
        No more than C{readAhead} and one segment waits; then reading goes on.
        """
        wire = self.begin(get(b"/" + b"x" * 100) * 12, limits={"readAhead": 100})
        self.assertTrue(wire.transport.paused)
        wire.channel.dataReceived(GET)
        self.assertEqual(IN_A_TURN, len(self.rendered), "it has had its turn")
        while self.turn():
            pass
        self.assertEqual(13, len(wire.responses))
        self.assertFalse(wire.transport.paused)

    def test_fewBytesDoNotPause(self) -> None:
        """
        Reading is not paused for fewer than C{readAhead}: a client that leaves is
        noticed.
        """
        wire = self.begin(GET * 6)
        self.assertFalse(wire.transport.paused)
        wire.pump()
        self.assertEqual(6, len(wire.responses))

    def test_clientLeaves(self) -> None:
        """
        If the connection is lost, nothing more is begun, and no delayed call is left.
        """
        wire = self.begin(GET * 12)
        wire.vanish()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual(IN_A_TURN, len(self.rendered))

    def test_clientHalfCloses(self) -> None:
        """
        If the client closes its sending side, all requests are answered; then the
        connection is closed.
        """
        wire = self.begin(GET * 12)
        wire.channel.readConnectionLost()
        self.assertEqual(IN_A_TURN, len(self.rendered))
        wire.settle(1)
        self.assertEqual(12, len(wire.responses))
        self.assertTrue(wire.closed)

    def test_drain(self) -> None:
        """
        If the site is drained, the next request is the last one.
        """
        wire = self.begin(GET * 12)
        done = self.sites[0].drain()
        wire.settle(Limits().lingerTimeout + 1)
        self.assertEqual(IN_A_TURN + 1, len(wire.responses))
        self.assertTrue(wire.responses[-1].closes)
        self.assertTrue(wire.closed)
        self.successResultOf(done)

    def test_drainIsOver(self) -> None:
        """
        If the time for draining is over, the connection is aborted.
        """
        wire = self.begin(GET * 12)
        done = self.sites[0].drain(0)
        wire.pump()
        self.assertTrue(wire.closed)
        self.successResultOf(done)

    def test_clientDoesNotRead(self) -> None:
        """
        If the client does not take its responses, nothing more is begun until it does.
        """
        body = b"x" * 100_000

        def render(request: Any) -> bytes:
            self.render(request)
            return body

        wire = self.connect(self.site(render)).stall()
        self.clock.rightNow += 1
        wire.channel.dataReceived(GET * 12)
        begun = len(self.rendered)
        self.turn()
        self.assertLessEqual(len(self.rendered), begun + 1)
        wire.drain()
        wire.pump()
        wire.pump()
        self.assertEqual(12, len(wire.responses))

    def test_transportIsTaken(self) -> None:
        """
        If other code takes the transport, the bytes that wait are its own.
        """
        wire = self.begin(get(b"/1") * 12)
        taken: list[bytes] = []

        class Successor(Protocol):
            def dataReceived(self, data: bytes) -> None:
                taken.append(data)

        transport = wire.channel.transport
        successor = Successor()
        wire.channel.transport = None
        transport.protocol = successor
        successor.makeConnection(transport)
        wire.pump()
        self.assertEqual([get(b"/1") * (12 - IN_A_TURN)], taken)
        self.assertEqual(IN_A_TURN, len(self.rendered))

    def test_protocolIsSwitched(self) -> None:
        """
        So they are of a protocol that the application switches to.
        """
        wire = self.begin(get(b"/1") * 12)
        taken: list[bytes] = []

        class Successor(Protocol):
            def dataReceived(self, data: bytes) -> None:
                taken.append(data)

        wire.channel.switchProtocol(Successor())
        wire.pump()
        self.assertEqual([get(b"/1") * (12 - IN_A_TURN)], taken)

    def test_identifiedRequests(self) -> None:
        """
        Requests with identifiers have turns, too.
        """
        wire = self.begin(GET * 12, requestIds=True)
        self.assertEqual(IN_A_TURN, len(self.rendered))
        while self.turn():
            pass
        self.assertEqual(12, len(wire.responses))
