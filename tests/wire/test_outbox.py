"""
The answers of one turn of the reactor are sent together at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.server_cases import FAST_PATH, GET, Calls, get
from tests.support.socket_cases import SocketTestCase, TCPBackend, UNIXBackend
from twisted_h11._wire.outbox import MOST_WAITING, Outbox
from twisted_h11.server import Limits, Site


class Connection:
    """
    What an outbox uses of a connection.

    @ivar flushes: how often it was flushed.
    @ivar pending: what it has to send.
    """

    def __init__(self, clock: Clock) -> None:
        self.reactor = clock
        self.transport = self
        self.flushes = 0
        self.pending = [b"answer"]
        self.closing: Any = None

    def flush(self) -> None:
        self.flushes += 1
        self.pending = []


class Broken(Connection):
    """
    Can not be written to.
    """

    def flush(self) -> None:
        raise RuntimeError("no")


class OutboxTests(SynchronousTestCase):
    """
    L{Outbox}.
    """

    def setUp(self) -> None:
        """
        Time stands still: what is due now is what the next turn does.
        """
        self.clock = Clock()
        self.outbox: Any = Outbox()

    def turn(self, count: int) -> int:
        """
        In one turn C{count} connections have something to send.

        @return: how many were flushed before the turn's end; all are behind it.
        """
        connections = [Connection(self.clock) for _ in range(count)]
        for connection in connections:
            self.outbox.add(connection)
        before = sum(connection.flushes for connection in connections)
        self.clock.advance(0)
        self.assertEqual([1] * count, [one.flushes for one in connections])
        self.assertEqual([], self.clock.getDelayedCalls())
        return before

    def test_together(self) -> None:
        """
        Several connections are flushed at the end of the turn, with one call.
        """
        connections = [Connection(self.clock) for _ in range(3)]
        for connection in connections:
            self.outbox.add(connection)
        self.assertEqual(1, len(self.clock.getDelayedCalls()))
        self.assertEqual([0, 0, 0], [one.flushes for one in connections])
        self.clock.advance(0)
        self.assertEqual([1, 1, 1], [one.flushes for one in connections])

    def test_interrupted(self) -> None:
        """
        A C{KeyboardInterrupt} while a connection is flushed goes on.
        """

        class Interrupted(Connection):
            def flush(self) -> None:
                raise KeyboardInterrupt

        self.outbox.add(Interrupted(self.clock))
        self.assertRaises(KeyboardInterrupt, self.clock.advance, 0)

    def test_bound(self) -> None:
        """
        No more than so many wait.
        """
        self.assertEqual(2 * MOST_WAITING, self.turn(2 * MOST_WAITING + 5))

    def test_onePeer(self) -> None:
        """
        Where there is one busy connection its answers go at once; when there
        are more again, that is noticed.
        """
        sent = [self.turn(1) for _ in range(20)]
        self.assertEqual(0, sent[0])
        self.assertEqual(1, sent[-1])
        sent = [self.turn(8) for _ in range(20)]
        self.assertEqual(8, sent[0])
        self.assertEqual(0, sent[-1])

    def test_more(self) -> None:
        """
        What more may be written to waits for the end of the turn, however lonely; it
        may have left before.
        """
        for _ in range(20):
            self.turn(1)
        early, late = Connection(self.clock), Connection(self.clock)
        for connection in (early, late, late):
            self.outbox.wait(connection)
        early.flush()
        self.assertEqual(0, late.flushes)
        self.clock.advance(0)
        self.assertEqual([1, 1], [early.flushes, late.flushes])

    def test_manyMore(self) -> None:
        """
        However many are written to, all of them wait for the end of the turn.
        """
        connections = [Connection(self.clock) for _ in range(2 * MOST_WAITING)]
        for connection in connections * 2:
            self.outbox.wait(connection)
        self.assertEqual({0}, {one.flushes for one in connections})
        # Some are over before the others.
        for connection in connections[1:]:
            self.outbox.add(connection)
        self.assertEqual(0, connections[0].flushes)
        self.clock.advance(0)
        self.assertEqual({1}, {one.flushes for one in connections})

    def test_ended(self) -> None:
        """
        Turns in which all has left before say nothing of how many are busy.
        """
        for _ in range(20):
            connection = Connection(self.clock)
            self.outbox.wait(connection)
            connection.flush()
            self.clock.advance(0)
        self.assertEqual(0, self.turn(1))

    def test_failure(self) -> None:
        """
        One that can not be written to does not keep the others back.
        """
        first, last = Connection(self.clock), Connection(self.clock)
        for connection in (first, Broken(self.clock), last):
            self.outbox.add(connection)
        self.clock.advance(0)
        self.assertEqual([1, 1], [first.flushes, last.flushes])
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))


class Turns:
    """
    A site with several clients at a time.
    """

    open: Any
    turns: Any
    waited: list[int]
    assertEqual: Any
    assertIn: Any

    def site(self, render: Any) -> Any:
        """
        A site whose outbox notes how many wait when it is emptied.
        """
        site = Site(Calls(render), limits=Limits(), fastPath=FAST_PATH)
        outbox: Any = site._outbox
        flush, self.waited = outbox._flush, []

        def noting() -> int:
            self.waited.append(len(outbox._waiting))
            sent: int = flush()
            return sent

        outbox._flush = noting
        return site

    async def eight(self, site: Any, datas: list[bytes]) -> list[Any]:
        """
        Eight clients, whose requests are all here when the reactor looks.
        """
        peers = [await self.open(site) for _ in range(8)]
        while len(site._connections) < 8:
            await self.turns(1)
        for peer, data in zip(peers, datas, strict=True):
            peer.transport.getHandle().sendall(data)
        return peers

    async def seven(self, act: Callable[[Any, Any], object]) -> list[Any]:
        """
        While the answers of seven wait, the request of an eighth does something
        to all connections.

        @param act: called with each channel, and with the eighth's.
        """
        site: Any = None

        def render(request: Any) -> bytes:
            if request.uri == b"/last":
                for channel in list(site._connections.open):
                    act(channel, request.channel)
            return b"answer"

        site = self.site(render)
        return await self.eight(site, [GET] * 7 + [get(b"/last")])

    async def test_oneTurn(self) -> None:
        """
        All that comes in one turn is answered, all of it at the turn's end.
        """
        log: list[Any] = []

        def render(request: Any) -> bytes:
            log.append(("rendered", len(self.waited)))
            return bytes(request.uri)

        site = self.site(render)
        peers = await self.eight(site, [get(b"/%d" % i) * 3 for i in range(8)])
        for i, peer in enumerate(peers):
            bodies = [one.body for one in await peer.responses(3)]
            self.assertEqual([b"/%d" % i] * 3, bodies)
        self.assertEqual([("rendered", 0)] * 24, log)
        self.assertEqual([8], self.waited)

    async def test_transportOvertakesNothing(self) -> None:
        """
        Who writes to the transport of a connection whose answer waits, writes
        behind that answer.
        """
        peers = await self.seven(lambda channel, _: channel.transport.write(b"more"))
        for peer in peers[:7]:
            await peer.until(lambda peer=peer: peer.received.endswith(b"more"))
            self.assertIn(b"\r\n\r\nanswermore", peer.received)
        # Its own answer was not there yet.
        await peers[7].until(lambda: peers[7].received.endswith(b"answer"))
        self.assertEqual(b"more", peers[7].received[:4])

    async def test_closedMeanwhile(self) -> None:
        """
        A connection that is closed while its answer waits sends it before.
        """
        peers = await self.seven(lambda channel, _: channel.loseConnection())
        for peer in peers[:7]:
            await peer.end()
            self.assertEqual([b"answer"], [one.body for one in peer.read()])

    async def test_abortedMeanwhile(self) -> None:
        """
        One that is dropped while its answer waits takes it along, and nobody
        else's.
        """
        peers = await self.seven(
            lambda channel, eighth: channel is eighth or channel.abortConnection()
        )
        for peer in peers[:7]:
            await peer.end()
            self.assertEqual(b"", peer.received)
        (response,) = await peers[7].responses(1)
        self.assertEqual(b"answer", response.body)


class TCPTests(Turns, TCPBackend, SocketTestCase):
    """
    Over TCP.
    """


class UNIXTests(Turns, UNIXBackend, SocketTestCase):
    """
    Over UNIX sockets.
    """
