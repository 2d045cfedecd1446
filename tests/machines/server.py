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
        assert len(job.drains) <= job.asksDrained
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
        A push producer is paused while the peer does not keep up, and only then.
        """
        wire, producer = job.request.channel.wire, job.producer
        assert producer is not None
        if producer.streaming and wire.isOpen:
            if wire.transport.isFull:
                assert not producer.on, f"not paused: {job}"
            elif not wire.transport.backlog:
                assert producer.on, f"paused for ever: {job}"

    def _checkSomethingHappens(self) -> None:
        """
        No connection is kept by nobody.
        """
        if self.clock.getDelayedCalls() or not self.open:
            return
        running = {job.channel for job in self.application.jobs.values() if job.open}
        for job in self.application.jobs.values():
            if job.switched and job.successor is not None and not job.successor.ends:
                running.add(job.channel)
        for talk in self.open:
            assert id(talk.wire.channel) in running, f"{talk.wire.channel} has no timer"

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
        if self.ending == "vanish":
            for talk in self.open:
                self._vanish(talk)
        elif self.ending == "close":
            for talk in self.live:
                talk.ended = True
                talk.wire.drain().halfClose()
        self.settle()
        if self.ending == "quiet":
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


class SlowServerMachine(ServerMachine):
    """
    The same without the fast path.
    """

    fastPath = False
