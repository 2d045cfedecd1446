"""
What the peers of a server do.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from twisted.internet.error import ConnectionLost

from tests.machines.application import KINDS, Job
from tests.machines.asked import Asked, Conversation
from tests.machines.base import has
from tests.machines.served import Served, which
from tests.support.memory import MemoryTransport
from tests.support.wire import Wire

__all__ = ["ServedPeers"]

# A request whose answer does not depend on the method.
METHODS = (b"GET", b"POST", b"POST", b"HEAD")


class ServedPeers(Served):
    """
    Rules for the peers, and for time.
    """

    @initialize(ending=st.sampled_from(("quiet", "reads", "vanish", "close")))
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
    @rule(at=which, length=st.sampled_from((1, 20, 40)))
    def dawdle(self, at: int, length: int) -> None:
        """
        The peer sends some of a head, and for a while nothing more.
        """
        self.numbers += 1
        asked = Asked(self.numbers, "whole", b"")
        self.live[at % len(self.live)].ask(asked, length)
        self.settle()
        self.time_passes(11.0)

    @precondition(has("live"))
    @rule(
        at=which,
        chunked=st.booleans(),
        how=st.sampled_from(("late", "paused", "resumed")),
    )
    def upload(self, at: int, chunked: bool, how: str) -> None:
        """
        The peer sends a body that is longer than what may wait for who takes it; that
        one takes it later, or pauses at once, and goes on later or now.
        """
        talk = self.live[at % len(self.live)]
        self.numbers += 1
        body = bytes(97 + i % 26 for i in range(2900))
        asked = Asked(self.numbers, "stream", body, b"POST", chunked=chunked)
        head = asked.encoded().find(b"\r\n\r\n") + 4
        talk.ask(asked, 10_000 if how == "late" else head)
        self.settle()
        job = self.application.jobs.get(asked.number)
        if job is None or not job.open or how == "late":
            return
        job.take()
        self.pace(job, "pause")
        if talk.canSend:
            talk.send(10_000)
        if how == "resumed" and job.taker is not None:
            self.pace(job, "resume")

    def pace(self, job: Job, what: str) -> None:
        """
        Who takes a body wants less of it, or more, or nothing.
        """
        taker: Any = job.taker
        taker.paused = what == "pause"
        if what == "pause":
            taker.transport.pauseProducing()
        elif what == "resume":
            taker.transport.resumeProducing()
        else:
            taker.transport.loseConnection()

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

    @precondition(has("slow"))
    @rule(at=which, length=st.sampled_from((1, 600, 2000, 100_000)))
    def sip(self, at: int, length: int) -> None:
        """
        The peer reads some of what waits for it, and then no more.
        """
        talk = self.slow[at % len(self.slow)]
        talk.sips = True
        talk.wire.transport.sip(length)
        talk.wire.pump()

    @precondition(has("slow"))
    @rule()
    def catch_up(self) -> None:
        """
        All peers read all that was written.
        """
        for talk in self.open:
            talk.wire.drain()

    @rule(seconds=st.sampled_from((0.5, 2.0, 6.0, 25.0)))
    def time_passes(self, seconds: float) -> None:
        """
        Nobody does anything for a while.
        """
        while seconds > 0:
            self.clock.advance(0.5)
            seconds -= 0.5
            self.settle()
