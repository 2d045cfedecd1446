"""
What the application of a server does.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.machines.application import Job
from tests.machines.asked import Asked, Conversation
from tests.machines.base import Boom, has
from tests.machines.producing import Eager, Pull, Push
from tests.machines.served import which
from tests.machines.server_peer import ServedPeers

__all__ = ["ServedApplication"]

sizes = st.sampled_from((1, 10, 100, 900, 3000))
producers = st.sampled_from(("push", "eager", "pull"))
slow = st.sampled_from(("file", "push", "eager", "pull", "waits", "file"))


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
    @rule(at=which, how=producers, pieces=st.sampled_from((0, 1, 5, 12)))
    def register(self, at: int, how: str, pieces: int) -> None:
        """
        It is paced from now on.
        """
        register(self.unproduced[at % len(self.unproduced)], how, pieces)

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
    @rule(at=which, first=st.booleans(), how=slow)
    def fall_behind(self, at: int, first: bool, how: str) -> None:
        """
        The peers read nothing, and much is written: by a producer, or before there is
        one, or by somebody who then waits for room, or as a file.
        """
        for talk in self.open:
            talk.wire.stall()
        self.overfill(self.unproduced[at % len(self.unproduced)], first, how)

    @precondition(has("live"))
    @rule(at=which, first=st.booleans(), how=slow)
    def serve_slowly(self, at: int, first: bool, how: str) -> None:
        """
        The same with a peer that has just asked, and then asks again.
        """
        talk = self.live[at % len(self.live)]
        job = self.askHeld(talk)
        if job is not None:
            talk.wire.stall()
            self.overfill(job, first, how)
            self.askHeld(talk)

    @precondition(has("live"))
    @rule(at=which, length=sizes, size=sizes)
    def serve_so_much(self, at: int, length: int, size: int) -> None:
        """
        A peer asks, and gets more or less than it is told, or just as much.
        """
        job = self.askHeld(self.live[at % len(self.live)])
        if job is not None:
            job.declare(length)
            job.write(size)
            job.finish()

    def askHeld(self, talk: Conversation) -> Job | None:
        """
        A peer asks for what nobody but the machine answers.

        @return: what the application has got, if that is so far.
        """
        if not talk.canSend:
            return None
        self.numbers += 1
        talk.ask(Asked(self.numbers, "held", b""), 1000)
        self.settle()
        job = self.application.jobs.get(self.numbers)
        return job if job is not None and job.open else None

    def overfill(self, job: Job, first: bool, how: str) -> None:
        """
        Write more than there is room for, by somebody who is told of it, or is there
        only then.
        """
        if how == "file" and first:
            register(job, "push", 0)
        elif how == "waits" or not first:
            job.write(3000)
            self.settle()
        if not job.open:
            return
        if how == "waits":
            job.waitDrained()
        elif how == "file":
            job.sendFile(5000)
            job.sendFile(10)
            job.write(100)
            if job.producer is None:
                register(job, "push", 0)
        else:
            register(job, how, 5)
            if how == "push" and job.producer is not None and job.producer.on:
                job.write(3000)

    @precondition(has("writing"))
    @rule(at=which)
    def flood(self, at: int) -> None:
        """
        The peers read nothing, and more is written in one turn than may wait.
        """
        for talk in self.open:
            talk.wire.stall()
        job = self.writing[at % len(self.writing)]
        for _ in range(10):
            job.write(3000)

    @precondition(has("undeclared"))
    @rule(at=which, length=sizes)
    def declare(self, at: int, length: int) -> None:
        """
        It says how long the response will be.
        """
        self.undeclared[at % len(self.undeclared)].declare(length)

    @precondition(has("writing"))
    @rule(at=which, size=st.sampled_from((10, 900, 5000)))
    def send_file(self, at: int, size: int) -> None:
        """
        Some of a file.
        """
        self.writing[at % len(self.writing)].sendFile(size)

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


def register(job: Job, how: str, pieces: int) -> None:
    """
    Register a producer of that kind.
    """
    if how == "push":
        job.register(Push(job))
    else:
        job.register((Eager if how == "eager" else Pull)(job, pieces))
