"""
A site, its peers and its application, and what there is to choose from.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from twisted.internet.task import Cooperator

from tests.machines.application import Application, Job
from tests.machines.asked import Conversation
from tests.machines.base import Boom, Machine
from twisted_h11.server import Limits, Site

__all__ = ["LIMITS", "Served", "which"]

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

# Which of those that there are.
which = st.integers(0, 5)


class Served(Machine):
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
        # Pull producers have their turns by the clock, one piece in each.
        cooperator = Cooperator(
            lambda: lambda: True, lambda call: self.clock.callLater(0, call)
        )
        self.site._cooperate = cooperator.cooperate
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
    def undeclared(self) -> list[Job]:
        """
        Where it may be said how long the response will be.
        """
        return [j for j in self.writing if j.length is None and not j.wrote]

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
            if job.kind == "upgrade"
            and not (job.wrote or job.asksDrained)
            and job.length is None
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

    @property
    def slow(self) -> list[Conversation]:
        """
        Connections whose peer has not read all that was written.
        """
        return [talk for talk in self.open if talk.wire.transport.backlog]

    def settle(self) -> None:
        """
        All that the reactor does in a turn.
        """
        jobs, now = self.application.jobs, self.clock.seconds()
        for talk in self.talks:
            talk.wire.pump()
            if talk.isHeadLate(jobs, now, LIMITS.headTimeout or 0):
                self.failures.append(f"a head may take for ever: {talk.asked[-1]}")
