"""
The server as a state machine: what always holds, and what is left at the end.
"""

from __future__ import annotations

from typing import Any

from hypothesis.stateful import invariant

from tests.machines.application import Job
from tests.machines.asked import SEGMENT, Asked, Conversation
from tests.machines.served import LIMITS
from tests.machines.server_application import ServedApplication

__all__ = ["ServerMachine", "SlowServerMachine"]

# No wait of a connection lasts longer, if neither side does anything.
ALL_WAITS = 150


class ServerMachine(ServedApplication):
    """
    Peers, an application, and a site with small bounds between them.
    """

    # -- what always holds -----------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        """
        Answers, bodies, bounds, and that something will happen.
        """
        self.failed = True
        self._look()
        self.failed = False

    def _look(self) -> None:
        self.settle()
        self.settle()
        self.checkLog()
        for talk in self.talks:
            assert not talk.wire.transport.late, "written after the close"
            talk.check(self.application.jobs)
            self._checkBounds(talk)
            self._checkCaughtUp(talk)
            for asked in talk.asked:
                self._checkJob(asked)
        self._checkSomethingHappens()
        for job in self.produced:
            self._checkPace(job)
        for job in self.application.jobs.values():
            job.forget()

    def _checkJob(self, asked: Asked) -> None:
        """
        The application got the request that was sent.
        """
        job = self.application.jobs.get(asked.number)
        if job is None:
            return
        assert len(job.told) <= 1, f"told twice: {job}"
        assert len(job.bodyEnds) <= 1, f"ended twice: {job}"
        assert len(job.drains) <= job.asksDrained, f"told twice: {job}"
        assert len(job.files) <= job.asksFile, f"told twice: {job}"
        if "done" in job.told:
            assert job.finished or job.raised, f"over too early: {job}"
        body = self.application.bodies.get(asked.number)
        assert body is None or body == asked.body, f"another body: {job}"
        assert asked.body.startswith(job.taken), f"another body: {job}"
        if job.bodyEnds == ["whole"]:
            assert job.taken == asked.body, f"not the whole body: {job}"

    def _checkBounds(self, talk: Conversation) -> None:
        """
        No more is kept than the limits say, and one segment.
        """
        reader, wire = talk.wire.channel.reader, talk.wire.channel.wire
        unread = len(reader.unread)
        assert unread <= LIMITS.maxHeadLength + SEGMENT, unread
        incoming = reader.incoming
        if incoming is not None and incoming.sink is not None:
            size = incoming.sink._size
            assert size <= LIMITS.bodyBufferLength + SEGMENT, size
        kept = wire.pendingLength + len(talk.wire.transport.backlog)
        most = LIMITS.writeBufferLength or 0
        assert talk.wire.closed or kept <= most + 6000, kept

    def _checkPace(self, job: Job) -> None:
        """
        A producer is paused as long as its peer does not keep up, and no longer: a
        push producer may write again, and a pull producer has been asked to the end.
        """
        wire, producer = job.request.channel.wire, job.producer
        assert producer is not None
        if not wire.isOpen:
            return
        if wire.transport.isFull:
            assert not producer.on, f"not paused: {job}"
        else:
            assert producer.on, f"paused for ever: {job}"

    def _checkCaughtUp(self, talk: Conversation) -> None:
        """
        If the peer has read everything, nobody waits for it.
        """
        if talk.wire.transport.stalled or not talk.wire.channel.wire.isOpen:
            return
        for asked in talk.asked:
            job = self.application.jobs.get(asked.number)
            if job is not None:
                assert len(job.drains) == job.asksDrained, f"waits for room: {job}"
                assert len(job.files) == job.asksFile, f"a file has no end: {job}"
                assert job.told or not job.finished, f"not told: {job}"

    def _checkSomethingHappens(self) -> None:
        """
        No connection is kept by nobody: it has a timer, or the application works.
        """
        running = {job.channel for job in self.application.jobs.values() if job.open}
        for job in self.application.jobs.values():
            if job.switched and job.successor is not None and not job.successor.ends:
                running.add(job.channel)
        for talk in self.open:
            channel = talk.wire.channel
            if id(channel) not in running and not is_armed(channel):
                raise AssertionError(f"{channel} has no timer")

    # -- the end -----------------------------------------------------------------------

    def teardown(self) -> None:
        """
        Everybody stops, and nothing is left.
        """
        try:
            if not self.failed:
                self._end()
        finally:
            self.release()

    def _end(self) -> None:
        # In a frame of its own: its variables would keep what is to be gone.
        self._stop()
        self._checkAllOver()
        self.application.jobs.clear()
        self.talks.clear()
        connections = self.site._connections
        assert len(connections) == 0, "connections are counted"
        assert not connections.hosts, "hosts are counted"
        self.site.stopFactory()
        self.checkNothingLeft()

    def _stop(self) -> None:
        """
        Peers and application come to their ends, each in its way.
        """
        if self.ending == "reads":
            self.catch_up()
            self._look()
        if self.ending == "vanish":
            for talk in self.open:
                self._vanish(talk)
        elif self.ending == "close":
            for talk in self.live:
                talk.ended = True
                talk.wire.drain().halfClose()
        self.settle()
        if self.ending in ("quiet", "reads"):
            self._applicationEnds()
        self.time_passes(ALL_WAITS)
        # What waited behind the others has its turn.
        self._applicationEnds()
        self.time_passes(ALL_WAITS)

    def _checkAllOver(self) -> None:
        """
        All connections are gone, and everybody was told.
        """
        for talk in self.talks:
            talk.check(self.application.jobs)
            assert talk.wire.closed, f"{talk.wire.channel} is still here"
        for job in self.application.jobs.values():
            assert len(job.told) == 1, f"never told: {job}"
            assert len(job.drains) == job.asksDrained, f"waits for room: {job}"
            assert len(job.files) == job.asksFile, f"a file has no end: {job}"
            assert job.coroutine or job.waits is None, f"waits: {job}"
            assert job.taker is None, f"takes for ever: {job}"
            assert job.successor is None or job.successor.ends == 1

    def _applicationEnds(self) -> None:
        """
        The application answers all that there is, and closes what it was given.
        """
        while self.jobs:
            for job in self.jobs:
                self._answer(job)
            self.settle()
        for job in self.application.jobs.values():
            if job.successor is not None and not job.successor.ends:
                transport: Any = job.successor.transport
                transport.loseConnection()
        self.settle()

    def _answer(self, job: Job) -> None:
        if job.waits is not None:
            job.waits.callback(None)
            return
        taker: Any = job.taker
        if taker is not None and taker.paused:
            taker.paused = False
            taker.transport.resumeProducing()
        if job.open:
            job.finish()


def is_armed(channel: Any) -> bool:
    """
    Whether a timer of this connection runs.
    """
    slow = channel._slowClient
    watched = slow is not None and slow._watch._call is not None
    return watched or channel.wire.waiting is not None


class SlowServerMachine(ServerMachine):
    """
    The same without the fast path.
    """

    fastPath = False
