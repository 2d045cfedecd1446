"""
A wire by itself: what it joins, when that leaves, when the network is quiet, and what
is left of it at the end.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from itertools import permutations
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.memory import MemoryTransport, SecureMemoryTransport
from twisted_h11._wire import wire as wires
from twisted_h11._wire.closing import ClosingWait, End
from twisted_h11._wire.outbox import Outbox as TurnOutbox
from twisted_h11._wire.sockets import BATCH_LENGTH, MOST_PIECES
from twisted_h11._wire.user import Nobody, State
from twisted_h11._wire.wire import (
    APPLICATION,
    CONSUMER,
    EVENTS,
    PEER,
    READ_AHEAD,
    Wire,
)

ALL = (READ_AHEAD, CONSUMER, APPLICATION, EVENTS, PEER)


class Transport(MemoryTransport):
    """
    Notes what it is called for.

    @ivar sequences: the lengths of the pieces of each C{writeSequence}.
    @ivar calls: the other calls, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sequences: list[list[int]] = []
        self.calls: list[str] = []

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Note the pieces.
        """
        pieces = list(data)
        self.sequences.append([len(piece) for piece in pieces])
        super().writeSequence(pieces)

    def unregisterProducer(self) -> None:
        """
        Note it.
        """
        self.calls.append("unregister")
        super().unregisterProducer()

    def pauseProducing(self) -> None:
        """
        Note it.
        """
        self.calls.append("pause")
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """
        Note it.
        """
        self.calls.append("resume")
        super().resumeProducing()


class Plain:
    """
    A transport that is no consumer and no producer.
    """

    def __init__(self) -> None:
        self.output = b""

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Keep it.
        """
        self.output += b"".join(data)


class Outbox:
    """
    Notes which wires have something to send.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def wait(self, wire: Any) -> None:
        """
        There may be more.
        """
        self.calls.append("wait")

    def add(self, wire: Any) -> None:
        """
        A response is complete.
        """
        self.calls.append("add")


class User(Nobody):
    """
    Uses a wire, and wants nothing.

    @ivar ended: how often it was told that the connection is gone.
    @ivar stopped: how often it was told that nothing can be written.
    @ivar sees: whether it writes what is pending before others write.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(State.UNCONNECTED)
        self.callLater: Any = clock.callLater
        self.writesNow = False
        self.ended = self.stopped = 0
        self.sees = False

    def wireEnded(self, *_: object) -> None:
        """
        Count it.
        """
        self.ended += 1

    def stopProducing(self, *_: object) -> None:
        """
        Count it.
        """
        self.stopped += 1

    def wireShared(self) -> bool:
        """
        See L{sees}.
        """
        return self.sees


def user_with(clock: Clock) -> Any:
    """
    A user whose time a clock has.
    """
    return User(clock)


class WireTestCase(SynchronousTestCase):
    """
    A wire on a transport in memory.
    """

    def setUp(self) -> None:
        """
        Connect it.
        """
        self.clock = Clock()
        self.user = user_with(self.clock)
        self.transport = Transport()
        self.wire = Wire(self.user)
        self.wire.connected(self.transport)

    def withOutbox(self) -> Outbox:
        """
        Have what is pending wait for the end of the turn.
        """
        outbox: Any = Outbox()
        self.wire.outbox = outbox
        return outbox  # type: ignore[no-any-return]


class PiecesTests(WireTestCase):
    """
    In which pieces the transport gets what was written.
    """

    def test_joined(self) -> None:
        """
        Short pieces are joined, and many are; a few long ones are not copied.
        """
        many = [BATCH_LENGTH] * (MOST_PIECES + 1)
        for pieces, expected in (
            ([5], [5]),
            ([3, 4], [7]),
            ([1] * 100, [100]),
            ([BATCH_LENGTH - 3, 3], [BATCH_LENGTH]),
            ([BATCH_LENGTH - 3, 4], [BATCH_LENGTH - 3, 4]),
            ([BATCH_LENGTH + 1], [BATCH_LENGTH + 1]),
            (many[1:], many[1:]),
            (many, [sum(many)]),
        ):
            self.transport.sequences.clear()
            for length in pieces:
                self.wire.pend(bytes(length))
            self.assertEqual(sum(pieces), self.wire.pendingLength)
            self.wire.flush()
            self.assertEqual([expected], self.transport.sequences)
            self.assertEqual((0, 0), (self.wire.pendingLength, len(self.wire.pending)))
            self.wire.flush()
            self.assertEqual([expected], self.transport.sequences)

    def test_long(self) -> None:
        """
        What is being joined leaves as soon as it is as long as what is joined at most.
        """
        self.wire.beginBatch()
        self.wire.send(bytes(BATCH_LENGTH - 1))
        self.assertEqual([], self.transport.sequences)
        self.wire.send(b"x")
        self.assertEqual([[BATCH_LENGTH]], self.transport.sequences)
        self.wire.send(b"x")
        self.assertEqual([[BATCH_LENGTH]], self.transport.sequences)

    def test_nothing(self) -> None:
        """
        Nothing is not written.
        """
        self.wire.send(b"")
        self.wire.flush()
        self.assertEqual([], self.transport.sequences)

    def test_whole(self) -> None:
        """
        A socket is told whether a producer has more; what goes out with the end of
        the connection is left to the transport.
        """
        told: list[bool] = []
        self.patch(wires, "write_now", lambda _, data, whole: told.append(whole))
        self.wire.send(b"a")
        self.assertEqual(([], [[1]]), (told, self.transport.sequences))
        self.user.writesNow = True
        self.wire.send(b"a")
        pressure = self.wire.backPressure()
        self.wire.send(b"b")
        pressure.registerProducer(self.user, True)
        self.wire.send(b"c")
        pressure.unregisterProducer()
        self.wire.send(b"d")
        self.assertEqual([True, True, False, True], told)
        self.wire.beginBatch()
        self.wire.send(b"last")
        self.wire.close(End.LOSE)
        self.assertEqual(
            ([True, True, False, True], [[1], [4]]), (told, self.transport.sequences)
        )


class TurnTests(WireTestCase):
    """
    When what was written leaves.
    """

    def test_batches(self) -> None:
        """
        What is written in a batch leaves when the outermost has ended.
        """
        outer = self.wire.beginBatch()
        inner = self.wire.beginBatch()
        self.wire.send(b"a")
        self.wire.endBatch(inner)
        self.wire.send(b"b")
        self.assertEqual([], self.transport.sequences)
        self.wire.endBatch(outer)
        self.assertEqual([[2]], self.transport.sequences)
        self.wire.send(b"c")
        self.assertEqual([[2], [1]], self.transport.sequences)

    def test_joins(self) -> None:
        """
        So does what several callers join, when the last has ended.
        """
        self.wire.beginJoin()
        self.wire.beginJoin()
        self.wire.send(b"a")
        self.wire.endJoin()
        self.wire.send(b"b")
        self.assertEqual([], self.transport.sequences)
        self.wire.endJoin()
        self.assertEqual([[2]], self.transport.sequences)
        self.wire.send(b"c")
        self.assertEqual([[2], [1]], self.transport.sequences)

    def test_joinsInBatches(self) -> None:
        """
        Neither writes what the other still joins.
        """
        begun = self.wire.beginBatch()
        self.wire.beginJoin()
        self.wire.send(b"a")
        self.wire.endJoin()
        self.assertEqual([], self.transport.sequences)
        self.wire.beginJoin()
        self.wire.endBatch(begun)
        self.assertEqual([], self.transport.sequences)
        self.wire.endJoin()
        self.assertEqual([[1]], self.transport.sequences)

    def test_outbox(self) -> None:
        """
        Where there is an outbox, a response that is complete is added to it, and
        anything else waits in it, once until it has left.
        """
        outbox, wire = self.withOutbox(), self.wire
        for waits in (1, 2):
            wire.send(b"a")
            wire.send(b"b")
            wire.beginJoin()
            wire.send(b"c")
            wire.endJoin()
            self.assertEqual(["wait"] * waits, outbox.calls)
            wire.flush()
        wire.beginJoin()
        wire.send(b"d")
        self.assertEqual(["wait"] * 2, outbox.calls)
        wire.endJoin()
        self.assertEqual(["wait"] * 3, outbox.calls)
        wire.flush()
        self.assertEqual([[3], [3], [1]], self.transport.sequences)
        for more, expected in (([], "add"), ([False], "add"), ([True], "wait")):
            outbox.calls.clear()
            begun = wire.beginBatch()
            wire.send(b"e")
            self.assertEqual([], outbox.calls)
            wire.endBatch(begun, *more)
            self.assertEqual([expected], outbox.calls)
            wire.flush()

    def test_collectingTransport(self) -> None:
        """
        A transport that is no bare socket collects what it is given by itself.
        """
        outbox = self.user.outbox = Outbox()
        wire, transport = Wire(self.user), Transport()
        wire.connected(transport)
        wire.send(b"a")
        self.assertEqual(([], [[1]]), (outbox.calls, transport.sequences))

    def test_nothingToSend(self) -> None:
        """
        Where nothing was written there is nothing to send.
        """
        outbox = self.withOutbox()
        self.wire.beginJoin()
        self.wire.endJoin()
        self.wire.endBatch(self.wire.beginBatch())
        self.assertEqual([], outbox.calls)

    def test_shared(self) -> None:
        """
        When somebody else may write to the transport, what is pending goes before,
        and nothing is joined any more; unless the user sees to that.
        """
        begun = self.wire.beginBatch()
        self.wire.send(b"a")
        self.user.sees = True
        self.assertIs(self.transport, self.wire.share())
        self.assertEqual([], self.transport.sequences)
        self.user.sees = False
        self.assertIs(self.transport, self.wire.share())
        self.assertEqual([[1]], self.transport.sequences)
        self.wire.send(b"b")
        self.assertEqual([[1]] * 2, self.transport.sequences)
        self.wire.endBatch(begun)
        begun = self.wire.beginBatch()
        self.wire.send(b"c")
        self.assertEqual([[1]] * 3, self.transport.sequences)
        self.wire.endBatch(begun)
        # It was shared, and is.
        self.user.sees = True
        self.wire.beginJoin()
        self.wire.send(b"d")
        self.wire.share()
        self.assertEqual([[1]] * 4, self.transport.sequences)


class ReadingTests(WireTestCase):
    """
    When the network is quiet.
    """

    def test_reasons(self) -> None:
        """
        It is while anybody wants it to be, in whatever order they no longer do.
        """
        for order in permutations(ALL):
            self.transport.calls.clear()
            for why in ALL:
                self.wire.hold(why)
            for why in order:
                self.assertEqual(["pause"], self.transport.calls, order)
                self.wire.release(why)
            self.assertEqual(["pause", "resume"], self.transport.calls, order)
            self.wire.release(order[0])
            self.assertEqual(["pause", "resume"], self.transport.calls, order)

    def test_atTheEnd(self) -> None:
        """
        Nobody is asked for more who has nothing, or whose connection closes.
        """
        self.wire.hold(PEER)
        self.wire.eof = True
        self.wire.release(PEER)
        self.assertEqual(["pause"], self.transport.calls)
        self.wire.eof = False
        self.wire.hold(PEER)
        self.wire.close(End.LOSE)
        self.transport.calls.clear()
        self.wire.release(PEER)
        self.assertEqual([], self.transport.calls)
        self.wire.abort()

    def test_plain(self) -> None:
        """
        A transport that is no producer is asked for nothing.
        """
        plain, wire = Plain(), Wire(self.user)
        wire.connected(plain)
        wire.hold(PEER)
        wire.hold(CONSUMER)
        wire.release(PEER)
        wire.release(CONSUMER)
        wire.send(b"a")
        wire.unregister()
        self.assertEqual((b"a", 0), (plain.output, wire.holds))


class EndTests(WireTestCase):
    """
    What is left of a wire.
    """

    def assertEnded(self, state: str) -> None:
        """
        The wire has ended, and nothing that is done to it does anything.
        """
        wire, before = self.wire, len(self.transport.output)
        self.assertEqual(f"<Wire {state}>", repr(wire))
        self.assertFalse(wire.isOpen)
        self.assertEqual(1, self.user.ended)
        self.assertEqual((None, []), (wire.waiting, self.clock.getDelayedCalls()))
        calls = [*self.transport.calls]
        wire.hold(PEER)
        wire.release(PEER)
        wire.unregister()
        wire.endBatch(True)
        wire.send(b"x")
        wire.flush()
        wire.close(End.LOSE)
        wire.abort()
        self.assertEqual(calls, self.transport.calls)
        self.assertEqual(before, len(self.transport.output))
        self.assertEqual(1, self.user.ended)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_states(self) -> None:
        """
        A wire says what it is doing.
        """
        self.assertEqual("<Wire not connected>", repr(Wire(self.user)))
        self.assertEqual("<Wire open>", repr(self.wire))
        self.assertTrue(self.wire.isOpen)
        self.wire.backPressure().pauseProducing()
        self.wire.close(End.LINGER)
        self.assertEqual("<Wire flushing>", repr(self.wire))
        self.assertFalse(self.wire.isOpen)
        self.wire.backPressure().resumeProducing()
        self.assertEqual("<Wire lingering>", repr(self.wire))
        # It closes once.
        self.wire.close(End.LOSE)
        self.assertEqual("<Wire lingering>", repr(self.wire))
        self.wire.abort()
        self.assertEqual("<Wire closing>", repr(self.wire))

    def test_lost(self) -> None:
        """
        When the connection is lost, what was pending is dropped, and no time-out runs.
        """
        outbox = self.withOutbox()
        self.wire.beginBatch()
        self.wire.send(b"pending")
        self.wire.arm(5, ClosingWait.LOST)
        self.wire.lost(Failure(ConnectionDone()))
        self.assertEqual(1, self.user.stopped)
        self.assertEqual((), self.wire.pending)
        self.assertIs(None, self.wire.share())
        self.assertEqual(b"", self.transport.output)
        self.assertEnded("closed")
        self.assertEqual([], outbox.calls)

    def endWithTurn(self) -> None:
        """
        Write something, and have the connection close with the turn.
        """
        transport: Any = self.transport
        transport.reactor = self.clock
        self.wire.outbox = TurnOutbox()
        self.wire.send(b"last")
        self.wire.close(End.TURN)
        self.wire.endBatch(self.wire.beginBatch())

    def test_withTheTurn(self) -> None:
        """
        A connection that is to close with the turn sends nothing before it, and is
        closed in stages if its transport is not a bare socket.
        """
        self.endWithTurn()
        self.assertEqual("<Wire closing>", repr(self.wire))
        self.assertEqual(b"", self.transport.output)
        self.clock.advance(0)
        self.assertEqual(b"last", self.transport.output)
        self.assertEqual("<Wire lingering>", repr(self.wire))

    def test_lostWithTheTurn(self) -> None:
        """
        A connection that is lost before it is closed with the turn is not closed again.
        """
        self.endWithTurn()
        self.wire.lost(Failure(ConnectionDone()))
        self.clock.advance(0)
        self.assertEqual(b"", self.transport.output)
        self.assertEnded("closed")

    def test_dropped(self) -> None:
        """
        What was dropped is counted, with what waited for a region of a file, which is
        told why.
        """
        told: list[object] = []

        class Queue:
            def drop(self, error: object) -> int:
                told.append(error)
                return 7

        pressure: Any = self.wire.backPressure()
        pressure.queue = Queue()
        self.wire.beginBatch()
        self.wire.pend(b"pending")
        reason = Failure(ConnectionDone())
        self.wire.lost(reason)
        self.assertEqual((14, [reason.value]), (self.wire.pendingLength, told))
        self.assertIs(None, self.wire.queue)

    def test_detached(self) -> None:
        """
        When the transport is given away, what was pending is written before, and the
        transport has no producer.
        """
        outbox = self.withOutbox()
        self.wire.beginBatch()
        self.wire.send(b"pending")
        self.wire.arm(5, ClosingWait.LOST)
        self.wire.detach()
        self.assertEqual(b"pending", self.transport.output)
        self.assertIs(None, self.transport.producer)
        self.assertEnded("given away")
        self.assertEqual([], outbox.calls)

    def test_aborted(self) -> None:
        """
        When the connection is dropped, so is what was pending.
        """
        self.wire.beginBatch()
        self.wire.send(b"pending")
        self.wire.arm(5, ClosingWait.LOST)
        self.wire.abort()
        self.assertTrue(self.transport.aborted)
        self.assertIs(None, self.transport.producer)
        self.assertEqual((), self.wire.pending)
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual(1, self.user.ended)
        self.wire.flush()
        self.assertEqual(b"", self.transport.output + self.transport.late)

    def test_noCircle(self) -> None:
        """
        When the connection is gone, a wire and what it has made for itself do not
        refer to each other, nor it to its user: they go without the collector.
        """

        def lost(wire: Wire) -> None:
            wire.lost(Failure(ConnectionDone()))

        for end in (lost, Wire.detach):
            wire = Wire(self.user)
            wire.connected(Transport())
            wire.backPressure()
            wire.close(End.LINGER)
            closing = wire.closing
            end(wire)
            self.assertFalse([one for one in gc.get_referents(closing) if one is wire])
            left = [type(one).__name__ for one in gc.get_referents(wire)]
            self.assertNotIn("User", left)
            self.assertNotIn("BackPressure", left)

    def test_unregisteredOnce(self) -> None:
        """
        The transport is told once that it has no producer any more.
        """
        self.wire.unregister()
        self.wire.unregister()
        self.assertEqual(["unregister"], self.transport.calls)

    def test_closesLater(self) -> None:
        """
        Nothing is written any more while a full transport waits for its end.
        """
        self.wire.send(b"before")
        pressure = self.wire.backPressure()
        pressure.pauseProducing()
        self.wire.close(End.LOSE)
        self.wire.send(b"behind")
        self.assertFalse(self.transport.disconnecting)
        pressure.resumeProducing()
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(b"before", self.transport.output + self.transport.late)
        self.wire.abort()

    def test_smallWrites(self) -> None:
        """
        TCP is asked to send small writes at once.
        """
        asked: list[bool] = []

        class Asked(SecureMemoryTransport):
            def setTcpNoDelay(self, enabled: bool) -> None:
                asked.append(enabled)

        Wire(self.user).connected(Asked())
        self.assertEqual([True], asked)
