"""
The server as a state machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from twisted.internet.error import ConnectionLost

from tests.machines.application import KINDS, Application, Job, Pull, Push
from tests.machines.asked import SEGMENT, Asked, Conversation
from tests.machines.base import Boom, Machine
from tests.support.memory import MemoryTransport
from tests.support.wire import Wire
from twisted_h11.server import Limits, Site

__all__ = ["ServerMachine", "SlowServerMachine"]

LIMITS = Limits(
    maxHeadLength=2000,
    maxBodyLength=3000,
    readAhead=500,
    drainLength=700,
    lingerLength=3000,
    bodyBufferLength=600,
    writeBufferLength=20_000,
    firstByteTimeout=15,
    idleTimeout=20,
    headTimeout=10,
    rateWindow=5,
    minBodyRate=10,
    minResponseRate=10,
    halfCloseTimeout=3,
    lingerTimeout=2,
    abortTimeout=4,
)

# No wait of a connection lasts longer, if neither side does anything.
ALL_WAITS = 150

# A request whose answer does not depend on the method.
METHODS = (b"GET", b"POST", b"POST", b"HEAD")

which = st.integers(0, 5)
sizes = st.sampled_from((1, 10, 100, 900, 3000))


def has(name: str) -> Callable[[Any], bool]:
    """
    A precondition: there is one of C{name} to choose from.
    """
    return lambda machine: bool(getattr(machine, name))


class ServerMachine(Machine):
    """
    Peers, an application, and a site with small bounds between them.
    """

    fastPath = True
    expected = (Boom, TypeError)

    def __init__(self) -> None:
        super().__init__()
        self.application = Application(self.watch)
        self.site: Any = Site(
            self.application.root,
            reactor=self.clock,
            limits=LIMITS,
            fastPath=self.fastPath,
            accessLog=False,
        )
        self.talks: list[Conversation] = []
        self.numbers = 0
        self.ending = "quiet"

    # -- what there is to choose from -------------------------------------------

    @property
    def jobs(self) -> list[Job]:
        """
        Where the application may act.
        """
        return [job for job in self.application.jobs.values() if job.open]

    @property
    def held(self) -> list[Job]:
        """
        Where nobody but the machine acts.
        """
        return [j for j in self.jobs if j.waits is None]

    @property
    def writing(self) -> list[Job]:
        """
        Where the machine may write: not beside a producer that is paused.
        """
        return [
            job
            for job in self.held
            if job.producer is None or (job.producer.streaming and job.producer.on)
        ]

    @property
    def unproduced(self) -> list[Job]:
        """
        Where a producer may be registered.
        """
        return [job for job in self.held if job.producer is None]

    @property
    def produced(self) -> list[Job]:
        """
        Where one is.
        """
        return [job for job in self.held if job.producer is not None]

    @property
    def untaken(self) -> list[Job]:
        """
        Whose body nobody takes.
        """
        return [
            job
            for job in self.held
            if job.kind == "stream" and job.taker is None and not job.bodyEnds
        ]

    @property
    def takers(self) -> list[Job]:
        """
        Who takes a body.
        """
        return [j for j in self.application.jobs.values() if j.taker is not None]

    @property
    def upgrades(self) -> list[Job]:
        """
        Who may give the connection away.
        """
        return [
            job
            for job in self.unproduced
            if job.kind == "upgrade" and not job.wrote and not job.asksDrained
        ]

    @property
    def coroutines(self) -> list[Job]:
        """
        Who waits.
        """
        return [j for j in self.application.jobs.values() if j.waits is not None]

    @property
    def live(self) -> list[Conversation]:
        """
        Connections on which the peer may send.
        """
        return [talk for talk in self.talks if talk.canSend]

    @property
    def open(self) -> list[Conversation]:
        """
        Connections that are not gone.
        """
        return [talk for talk in self.talks if not talk.wire.closed]

    # -- the peer ------------------------------------------------------------------

    @initialize(ending=st.sampled_from(("quiet", "vanish", "close")))
    def begin(self, ending: str) -> None:
        """
        The first connection; how all will end.
        """
        self.ending = ending
        self.connect()

    @precondition(lambda self: len(self.talks) < 4 and len(self.open) < 2)
    @rule()
    def connect(self) -> None:
        """
        One connection more.
        """
        transport = MemoryTransport()
        transport.bufferSize = 2000
        wire = Wire(self.site, self.clock, transport)
        self.watch("channel", wire.channel)
        self.talks.append(Conversation(wire))

    @precondition(has("live"))
    @rule(
        at=which,
        kind=st.sampled_from((*KINDS, "held", "stream", "malformed")),
        method=st.sampled_from(METHODS),
        version=st.sampled_from((b"1.1", b"1.1", b"1.1", b"1.0")),
        size=st.sampled_from((0, 5, 400, 1500, 2900, 3100)),
        chunked=st.booleans(),
        expects=st.sampled_from((False, False, True)),
        closes=st.sampled_from((False, False, False, True)),
        sends=st.sampled_from(("all", "all", "nothing", "head", "some")),
    )
    def ask(
        self,
        at: int,
        kind: str,
        method: bytes,
        version: bytes,
        size: int,
        chunked: bool,
        expects: bool,
        closes: bool,
        sends: str,
    ) -> None:
        """
        The peer asks something, and sends all of it or some; what it has not sent
        goes before.
        """
        talk = self.live[at % len(self.live)]
        if kind in ("upgrade", "malformed"):
            method, version = b"GET", b"1.1"
        carries = method == b"POST"
        self.numbers += 1
        asked = Asked(
            number=self.numbers,
            kind=kind,
            body=bytes(97 + i % 26 for i in range(size)) if carries else b"",
            method=method,
            version=version,
            chunked=carries and chunked and version == b"1.1",
            expects=carries and expects and version == b"1.1",
            closes=closes,
        )
        data = asked.encoded()
        head = data.find(b"\r\n\r\n") + 4
        some = {"all": len(data), "nothing": 0, "head": head, "some": len(data) // 2}
        talk.ask(asked, some[sends])

    @precondition(has("live"))
    @rule(at=which, length=st.sampled_from((1, 2, 20, 300, 100_000)))
    def send(self, at: int, length: int) -> None:
        """
        The peer sends some of what it has not sent.
        """
        self.live[at % len(self.live)].send(length)

    @precondition(has("live"))
    @rule(at=which)
    def half_close(self, at: int) -> None:
        """
        The peer will send nothing more.
        """
        talk = self.live[at % len(self.live)]
        talk.ended = True
        talk.tail = b""
        talk.wire.halfClose()

    @precondition(has("open"))
    @rule(at=which)
    def reset(self, at: int) -> None:
        """
        The peer is gone.
        """
        self._vanish(self.open[at % len(self.open)])

    def _vanish(self, talk: Conversation) -> None:
        talk.vanished = talk.ended = True
        talk.wire.vanish(ConnectionLost())

    @precondition(has("open"))
    @rule(at=which)
    def stall(self, at: int) -> None:
        """
        The peer reads no more.
        """
        self.open[at % len(self.open)].wire.stall()

    @precondition(has("open"))
    @rule(at=which)
    def drain(self, at: int) -> None:
        """
        The peer reads again.
        """
        self.open[at % len(self.open)].wire.drain()

    @rule(seconds=st.sampled_from((0.5, 2.0, 6.0, 25.0)))
    def time_passes(self, seconds: float) -> None:
        """
        Nobody does anything for a while.
        """
        while seconds > 0:
            self.clock.advance(0.5)
            seconds -= 0.5
            self.settle()

    # -- the application -----------------------------------------------------------

    @precondition(has("writing"))
    @rule(at=which, size=sizes)
    def write(self, at: int, size: int) -> None:
        """
        Some of a response.
        """
        self.writing[at % len(self.writing)].write(size)

    @precondition(has("held"))
    @rule(at=which)
    def finish(self, at: int) -> None:
        """
        All of it.
        """
        self.held[at % len(self.held)].finish()

    @precondition(has("writing"))
    @rule(at=which, size=sizes)
    def write_and_finish(self, at: int, size: int) -> None:
        """
        Both in one turn.
        """
        job = self.writing[at % len(self.writing)]
        job.write(size)
        job.finish()

    @precondition(has("held"))
    @rule(at=which)
    def abort(self, at: int) -> None:
        """
        The application drops the connection.
        """
        self.held[at % len(self.held)].abort()

    @precondition(has("unproduced"))
    @rule(at=which)
    def lose(self, at: int) -> None:
        """
        The application closes the connection in the middle.
        """
        self.unproduced[at % len(self.unproduced)].lose()

    @precondition(has("unproduced"))
    @rule(at=which)
    def push(self, at: int) -> None:
        """
        It is paced from now on.
        """
        job = self.unproduced[at % len(self.unproduced)]
        job.register(Push(job))

    @precondition(has("unproduced"))
    @rule(at=which, pieces=st.sampled_from((0, 1, 5)))
    def pull(self, at: int, pieces: int) -> None:
        """
        It writes when it is asked, from now on.
        """
        job = self.unproduced[at % len(self.unproduced)]
        job.register(Pull(job, pieces))

    @precondition(has("produced"))
    @rule(at=which)
    def unregister(self, at: int) -> None:
        """
        It is not paced any more.
        """
        job = self.produced[at % len(self.produced)]
        job.producer = None
        job.request.unregisterProducer()

    @precondition(has("unproduced"))
    @rule(at=which)
    def wait_for_room(self, at: int) -> None:
        """
        It waits until the peer has taken what was written.
        """
        self.unproduced[at % len(self.unproduced)].waitDrained()

    @precondition(has("untaken"))
    @rule(at=which)
    def take_body(self, at: int) -> None:
        """
        It takes the body as it comes.
        """
        self.untaken[at % len(self.untaken)].take()

    @precondition(has("takers"))
    @rule(at=which, what=st.sampled_from(("pause", "resume", "resume", "stop")))
    def pace_body(self, at: int, what: str) -> None:
        """
        It wants less of the body, or more, or nothing.
        """
        taker: Any = self.takers[at % len(self.takers)].taker
        if what == "pause":
            taker.paused = True
            taker.transport.pauseProducing()
        elif what == "resume":
            taker.paused = False
            taker.transport.resumeProducing()
        else:
            taker.paused = False
            taker.transport.loseConnection()

    @precondition(has("upgrades"))
    @rule(at=which)
    def switch(self, at: int) -> None:
        """
        The connection becomes another protocol's.
        """
        self.upgrades[at % len(self.upgrades)].switch()

    @precondition(has("held"))
    @rule(at=which)
    def interim(self, at: int) -> None:
        """
        A word before the response.
        """
        self.held[at % len(self.held)].request.sendInterim(103, [(b"link", b"</a>")])

    @precondition(has("unproduced"))
    @rule(at=which)
    def fail_to_write(self, at: int) -> None:
        """
        It writes what can not be written, and does nothing more.
        """
        job = self.unproduced[at % len(self.unproduced)]
        try:
            job.request.write(7)
        except TypeError:
            job.raised = True
        assert job.raised

    @precondition(has("coroutines"))
    @rule(at=which, fails=st.sampled_from((False, False, True)))
    def go_on(self, at: int, fails: bool) -> None:
        """
        What a coroutine waits for happens, or fails.
        """
        waits: Any = self.coroutines[at % len(self.coroutines)].waits
        if fails:
            waits.errback(Boom())
        else:
            waits.callback(None)

    # -- what always holds -----------------------------------------------------------

    def settle(self) -> None:
        """
        All that the reactor does in a turn.
        """
        for talk in self.talks:
            talk.wire.pump()

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
