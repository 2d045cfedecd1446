"""
HTTP/2: many frames of one segment have several turns of the reactor.
"""

from __future__ import annotations

from typing import Any

from tests.server.test_http2_bounds import BoundsTestCase, Client, frame_of
from tests.support.times import one_turn
from twisted_h11._server.http2_frames import HEADERS, SETTINGS, frames_in
from twisted_h11._wire.turns import TURN

# How long each request takes, and how many are begun in one turn.
EACH = 0.001
IN_A_TURN = round(TURN / EACH)


class TurnTests(BoundsTestCase):
    """
    Requests that take time, on the clock of the test.
    """

    def setUp(self) -> None:
        """
        Count the requests.
        """
        super().setUp()
        self.rendered: list[bytes] = []

    def render(self, request: Any) -> bytes:
        """
        Take C{EACH} seconds.
        """
        self.clock.rightNow += EACH
        self.rendered.append(request.uri)
        return b"x"

    def begin(self, count: int = 12, behind: bytes = b"") -> Client:
        """
        A client whose requests have come in one segment.
        """
        client = self.client(self.made(self.render))
        for place in range(count):
            client.request(place * 2 + 1)
        client.wire.channel.dataReceived(client.flush() + behind)
        return client

    def turns(self) -> list[int]:
        """
        How many requests were begun until now, and in each of the next turns.
        """
        counts = [len(self.rendered)]
        while counts[-1]:
            before = len(self.rendered)
            one_turn(self.clock)
            counts.append(len(self.rendered) - before)
        return counts

    def test_requests(self) -> None:
        """
        Requests that take long are begun in several turns, and all are answered.
        """
        client = self.begin()
        self.assertEqual([IN_A_TURN, IN_A_TURN, 2, 0], self.turns())
        self.assertEqual(12, len(client.go().named("StreamEnded")))

    def test_quickRequests(self) -> None:
        """
        Those that take no time are all begun at once.
        """
        requests: list[Any] = []
        client = self.client(self.made(requests.append))
        for place in range(50):
            client.request(place * 2 + 1)
        client.wire.channel.dataReceived(client.flush())
        self.assertEqual(50, len(requests))

    def test_records(self) -> None:
        """
        The records of TLS that come at once share a turn; those behind it wait.
        """
        client = self.begin(0)
        for place in range(12):
            client.request(place * 2 + 1)
            client.wire.channel.dataReceived(client.flush())
        self.assertEqual([IN_A_TURN, IN_A_TURN, 2, 0], self.turns())

    def test_othersAreServed(self) -> None:
        """
        A request of another connection is answered between two turns.
        """
        client = self.begin(0)
        other = self.client(self.sites[0])
        for place in range(12):
            client.request(place * 2 + 1)
        other.request(1)
        client.wire.channel.dataReceived(client.flush())
        self.clock.rightNow += EACH
        other.wire.channel.dataReceived(other.flush())
        self.assertEqual(IN_A_TURN + 1, len(self.rendered))
        self.turns()
        self.assertEqual(13, len(self.rendered))

    def test_readingIsPaused(self) -> None:
        """
        The transport is paused while frames wait, and then resumed.
        """
        client = self.begin()
        transport = client.wire.transport
        self.assertTrue(transport.paused)
        self.turns()
        self.assertFalse(transport.paused)

    def test_clientLeaves(self) -> None:
        """
        If the connection is lost, nothing more is begun, and no delayed call is left.
        """
        client = self.begin()
        client.wire.vanish()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual(IN_A_TURN, len(self.rendered))

    def test_dropped(self) -> None:
        """
        What waits is not read when a frame before it exceeds a bound.
        """
        setting = (0x99).to_bytes(2, "big") + bytes(4)
        client = self.begin(behind=frame_of(SETTINGS, 0, setting * 1001) + b"further")
        client.go()
        client.seen = len(client.wire.output)
        self.assertDropped(client, "too many settings")
        self.assertEqual(12, len(self.rendered))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_closed(self) -> None:
        """
        If the connection is closed while frames wait, reading goes on: TLS waits for
        the end that the client announces.
        """
        client = self.begin()
        client.wire.channel._guard.close()
        self.assertFalse(client.wire.transport.paused)
        client.wire.settle(1)
        self.assertEqual(IN_A_TURN, len(self.rendered))

    def test_drain(self) -> None:
        """
        If the site is drained, the requests that were begun are answered, the others
        are not begun, and the end of the client is still read.
        """
        client = self.begin()
        done = self.sites[0].drain()
        client.wire.settle(1)
        self.assertFalse(client.wire.transport.paused)
        kinds = [frame.kind for frame in frames_in(client.wire.output)]
        self.assertEqual(IN_A_TURN, kinds.count(HEADERS))
        self.assertEqual(IN_A_TURN, len(self.rendered))
        self.successResultOf(done)
