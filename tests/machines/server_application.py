"""
What the application of a server does.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.machines.application import Pull, Push
from tests.machines.base import Boom, has
from tests.machines.served import which
from tests.machines.server_peer import ServedPeers

__all__ = ["ServedApplication"]

sizes = st.sampled_from((1, 10, 100, 900, 3000))


class ServedApplication(ServedPeers):
    """
    Rules for the application.
    """

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

    @precondition(has("unproduced"))
    @rule(at=which, how=st.sampled_from(("waits", "waits", "push", "pull")))
    def fall_behind(self, at: int, how: str) -> None:
        """
        The peers read nothing, and much is written: by somebody who then waits for
        room, or by a producer that was there before.
        """
        for talk in self.open:
            talk.wire.stall()
        job = self.unproduced[at % len(self.unproduced)]
        if how == "pull":
            job.register(Pull(job, 5))
            return
        if how == "push":
            job.register(Push(job))
        if job.producer is None or job.producer.on:
            job.write(3000)
        self.settle()
        if job.open and how == "waits":
            job.waitDrained()

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
        self.pace(self.takers[at % len(self.takers)], what)

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
