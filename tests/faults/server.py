"""
The server's rows: how a connection comes to a stage, and what must be true afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields
from io import StringIO
from typing import Any

from twisted.internet.task import Cooperator

from tests.faults.application import (
    BEGUN,
    LENGTH,
    Application,
    StreamingApplication,
)
from tests.faults.checks import SOON, Leftovers, Run, net
from tests.faults.links import open_link
from tests.support.responses import read_responses
from tests.support.server_cases import FAST_PATH, get
from twisted_h11.server import Limits, Site

__all__ = ["STAGES", "ServerRun", "run_server"]

# The longest that a client which does nothing more can hold a connection.
ALL_WAITS = sum(
    float(bound.default)
    for bound in fields(Limits)
    if bound.metadata["unit"] == "seconds" and isinstance(bound.default, (int, float))
)

STEP = 4.0


class ServerRun(Run):
    """
    One row of the server.

    @ivar target: what is asked for.
    @ivar rest: what the client still has to send.
    @ivar goesOn: whether the client sends the rest, and reads.
    @ivar trickles: whether it does so byte by byte.
    @ivar kills: whether the connection is over with the fault itself.
    @ivar act: the fault.
    """

    link: Any
    site: Any

    def __init__(self, row: Any, left: Leftovers, streams: bool) -> None:
        super().__init__(row, left)
        kind = StreamingApplication if streams else Application
        self.application = kind(self)
        self.target = b"/stream" if streams else b"/held"
        self.rest = b""
        self.goesOn = True
        self.trickles = False
        self.kills = False
        self.connecting: Callable[[Any], object] | None = None
        self.before: Callable[[], object] = lambda: None
        self.act: Callable[[], object] = lambda: None
        self.drained: list[Any] = []
        self.isDraining = False

    async def connect(self) -> None:
        """
        Serve, and open the connection.
        """
        self.site = Site(
            self.application,
            reactor=self.clock,
            fastPath=FAST_PATH,
            limits=Limits(maxConnectionsPerPeer=3, maxConnections=3),
        )
        if not self.real:
            cooperator = Cooperator(
                scheduler=lambda call: self.clock.callLater(0.01, call)
            )
            self.site._cooperate = cooperator.cooperate
            self.undo.append(cooperator.stop)
        self.before()
        self.link = await open_link(self.site, self, self.connecting)
        self.site.logFile = StringIO()

    def pump(self) -> None:
        """
        See L{Run}.
        """
        self.link.pump()

    def drain(self) -> None:
        """
        The site is drained.
        """
        self.isDraining = True
        self.site.drain(5).addCallback(self.drained.append)

    def ask(self, method: bytes = b"GET", *headers: bytes) -> None:
        """
        Send a head.
        """
        self.link.send(get(self.target, *headers, method=method))

    async def asked(self) -> None:
        """
        Have a request at the application.
        """
        if self.target == b"/file":
            self.link.stall()
        self.ask()
        await self.until(lambda: self.application.started, "a request")


async def accepted(run: ServerRun) -> None:
    """
    Nothing was sent.
    """


async def part_of_head(run: ServerRun) -> None:
    """
    The request line, and not all of it.
    """
    whole = get(run.target)
    run.link.send(whole[:9])
    run.rest = whole[9:]
    await run.turn()


async def head(run: ServerRun) -> None:
    """
    A whole head, with nothing of the body.
    """
    run.rest = b"z" * LENGTH
    run.ask(b"POST", b"Content-Length: %d" % LENGTH)
    await run.turn()


async def part_of_body(run: ServerRun) -> None:
    """
    Half a body, which is long.
    """
    await head(run)
    half = LENGTH // 2
    run.link.send(b"z" * half)
    run.rest = b"z" * (LENGTH - half)
    await run.turn()
    await run.turn()


async def body(run: ServerRun) -> None:
    """
    All of it; the application works.
    """
    await head(run)
    run.link.send(run.rest)
    run.rest = b""
    for _ in range(30):
        await run.turn()


async def in_render(run: ServerRun) -> None:
    """
    While the application is called.
    """
    act, run.act = run.act, lambda: None
    run.application.inRender = act
    run.ask()
    for _ in range(10):
        await run.turn()


async def first_write(run: ServerRun) -> None:
    """
    It has begun to answer, and not even a turn of the reactor was since.
    """
    await run.asked()
    run.link.stall()
    run.application.begin()


async def middle(run: ServerRun) -> None:
    """
    It is answering, by a producer, more than the client takes.
    """
    await run.asked()
    run.application.begin()
    await run.turn()
    run.link.stall()
    run.application.produce()
    await run.turn()


async def last_write(run: ServerRun) -> None:
    """
    The answer is complete, and the client has not taken it yet.
    """
    await run.asked()
    run.link.stall()
    run.application.goOn()
    await run.turn()


async def idle(run: ServerRun) -> None:
    """
    A request was answered.
    """
    run.link.send(get(b"/now"))
    await run.until(lambda: run.link.received.endswith(BEGUN), "a response")


async def lingering(run: ServerRun) -> None:
    """
    A request was refused.
    """
    run.link.send(b"BAD\r\n\r\n")
    await run.until(lambda: b" 400 " in run.link.received, "a refusal")


async def draining(run: ServerRun) -> None:
    """
    The site is drained while the application works.
    """
    await run.asked()
    run.drain()
    await run.turn()


STAGES: dict[str, Callable[[ServerRun], Awaitable[None]]] = {
    "accepted": accepted,
    "part of a head": part_of_head,
    "head": head,
    "part of a body": part_of_body,
    "body": body,
    "in render": in_render,
    "first write": first_write,
    "middle of response": middle,
    "last write": last_write,
    "idle keep-alive": idle,
    "lingering close": lingering,
    "draining": draining,
}


async def go_on(run: ServerRun) -> None:
    """
    Whoever has not failed does what he does, and time passes until the connection is
    gone.
    """
    link = run.link
    if run.kills:
        await run.until(lambda: link.gone, "the end, at once")
    if run.goesOn and not run.trickles:
        link.drain()
        link.send(run.rest)
    await settle(run)
    run.application.goOn()
    await settle(run)
    waited = 0.0
    # Who trickles an answer takes it, at the least rate.
    most = 10 * ALL_WAITS if run.trickles else ALL_WAITS + STEP
    while not link.gone and waited < most:
        if run.trickles:
            link.send(run.rest[:1] or b"G")
            run.rest = run.rest[1:]
            link.sip()
        run.clock.advance(STEP)
        waited += STEP
        await run.turn()
        run.application.goOn()
    if not link.gone:
        run.problems.append(f"still open after {waited} seconds")
    if run.goesOn:
        link.drain()
    await run.turn()


async def settle(run: ServerRun) -> None:
    """
    The kernel brings what is on its way: until nothing comes any more.
    """
    still, had = 0, -1
    deadline = net.seconds() + SOON
    enough = (20 if run.transport == "tls" else 8) if run.real else 1
    while still < enough and net.seconds() < deadline and not run.link.gone:
        await run.turn()
        still = still + 1 if len(run.link.received) == had else 0
        had = len(run.link.received)


def judge(run: ServerRun) -> None:
    """
    The answers are whole or visibly cut, and everybody has heard of the end.
    """
    application, problems = run.application, run.problems
    try:
        responses = read_responses(run.link.received, (), run.link.ended)
    except AssertionError as error:
        if "left over" not in str(error):
            problems.append(str(error))
        responses = []
    for response in responses:
        if response.status != 200:
            if response.complete and response.status < 400:
                problems.append(f"an odd answer: {response.status}")
        elif response.complete and not application.isWhole(response.body):
            problems.append(f"looks complete: {len(response.body)} bytes")
        elif not response.complete and not application.isPart(response.body):
            problems.append(f"something else: {response.body[:50]!r}")
    if len(responses) > application.started + 1:
        problems.append(f"{len(responses)} answers, {application.started} requests")
    if application.ended != application.started:
        problems.append(f"{application.ended} of {application.started} heard of it")
    if application.taken != application.takersEnded:
        problems.append("a taker has not heard of the end")
    register = run.site._connections
    if register.open or register.hosts:
        problems.append(f"places taken: {register.open} {dict(register.hosts)}")
    if run.isDraining and run.drained != [None]:
        problems.append(f"drained: {run.drained}")


async def run_server(row: Any, fault: Any, flush: Callable[[], object]) -> list[str]:
    """
    Run one row.

    @param fault: prepares the run, and says what it does.
    @param flush: forgets what was logged.
    @return: what was wrong.
    """
    left = Leftovers()
    run = ServerRun(row, left, fault.streams)
    try:
        fault.prepare(run)
        await run.connect()
        await STAGES[row.stage](run)
        run.act()
        await run.turn()
        await go_on(run)
        for call in run.afterwards:
            call()
        await run.turn()
        judge(run)
        if not run.happened():
            run.problems.append("the fault has not come")
        flush()
        run.link.reset()
        await run.turn()
        run.link.close()
        for stop in run.awaitUndo:
            if (stopping := stop()) is not None:
                await stopping
        for undo in reversed(run.undo):
            undo()
        problems, real = run.problems, run.real
        # Its functions know it.
        vars(run).clear()
        return problems + await left.look(real)
    finally:
        left.close()
