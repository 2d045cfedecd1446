"""
The client's rows: how a request comes to a stage, and what must be true afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from tests.faults.checks import Broken, ClockedReactor, Leftovers, Run
from tests.faults.client_links import MemoryServer, SocketServer, client_socket
from tests.support.client_cases import Reader
from tests.support.server_cases import FAST_PATH
from tests.support.socket_cases import certificate
from twisted_h11.client import (
    Agent,
    ClientSettings,
    HTTPConnectionPool,
    TLSPolicy,
    UNIXEndpointFactory,
)

__all__ = ["STAGES", "ClientRun", "run_client"]

ALL_WAITS = sum(
    float(bound.default)
    for bound in fields(ClientSettings)
    if bound.metadata["unit"] == "seconds" and isinstance(bound.default, (int, float))
)

STEP = 20.0

TOTAL = 3600.0

LENGTH = 200_000
BODY = b"y" * 5000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


class HookedReader(Reader):
    """
    A reader whose methods may raise.
    """

    def __init__(self, hook: Callable[[str], object]) -> None:
        super().__init__()
        self.hook = hook

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.hook("dataReceived")

    def connectionLost(self, reason: Any = None) -> None:
        self.pieces.append(reason.type.__name__.encode())
        self.ends += 1
        self.hook("connectionLost")


@implementer(IBodyProducer)
class Body:
    """
    The body of a request, from a file that may fail.
    """

    length = LENGTH

    def __init__(self, hook: Callable[[str], object]) -> None:
        self.hook = hook
        self.left = LENGTH
        self.paused = self.stopped = False
        self.consumer: Any = None
        self.done: Deferred[None] | None = None

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """
        Begin.
        """
        self.hook("startProducing")
        self.consumer = consumer
        done: Deferred[None] = Deferred()
        self.done = done
        self._produce()
        return done

    def _produce(self) -> None:
        while self.left and not (self.paused or self.stopped):
            piece = min(self.left, 10_000)
            self.left -= piece
            self.consumer.write(b"z" * piece)
        if not self.left and self.done is not None:
            done, self.done = self.done, None
            done.callback(None)

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self.paused = True
        self.hook("pauseProducing")

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self.paused = False
        self.hook("resumeProducing")
        self._produce()

    def stopProducing(self) -> None:
        """
        The end.
        """
        self.stopped = True
        self.hook("stopProducing")


class ClientRun(Run):
    """
    One row of the client.

    @ivar goesOn: whether the server answers and reads.
    @ivar trickles: whether it does so byte by byte.
    @ivar answered: how many bytes of the answer were sent on the first connection.
    @ivar act: the fault.
    """

    server: Any
    agent: Any
    pool: Any

    def __init__(self, row: Any, left: Leftovers) -> None:
        super().__init__(row, left)
        self.goesOn = True
        self.trickles = False
        self.sent = b""
        self.act: Callable[[], object] = lambda: None
        self.hook: Callable[[str], object] = lambda name: None
        self.results: list[str] = []
        self.asked = 0
        self.requests: list[Deferred[Any]] = []
        self.readers: list[Any] = []
        self.host = "localhost" if row.transport == "tls" else "127.0.0.1"

    def pump(self) -> None:
        """
        The server's clock is the client's.
        """

    async def begin(self) -> None:
        """
        Make the server and the agent.
        """
        # What comes byte by byte, but comes, has only the bound that one sets.
        settings = ClientSettings(totalTimeout=TOTAL)
        reactor: Any = ClockedReactor(self.clock) if self.real else self.clock
        self.pool = HTTPConnectionPool(reactor)
        options: dict[str, Any] = {"pool": self.pool, "fastPath": FAST_PATH}
        options["settings"] = settings
        options["trace"] = lambda event: self.hook(f"trace {event.name}")
        if not self.real:
            self.server = MemoryServer(self)
            endpoints: Any = self.server.network
            self.agent = Agent.usingEndpointFactory(self.clock, endpoints, **options)
            return
        self.server = SocketServer(self)
        await self.server.listen()
        if self.transport == "unix":
            endpoints = UNIXEndpointFactory(reactor, self.server.path)
            self.agent = Agent.usingEndpointFactory(reactor, endpoints, **options)
        else:
            policy = TLSPolicy(trustRoot=certificate()[1])
            self.agent = Agent(reactor, policy, **options)

    def ask(self, body: bool = False) -> None:
        """
        Send a request.
        """
        uri = self.server.uri(self.host)
        content = Body(self.hook) if body else None
        method = b"POST" if body else b"GET"
        self.asked += 1
        try:
            deferred = self.agent.request(method, uri, None, content)
        except Broken:
            self.results.append("raised")
            return
        deferred.addCallbacks(self._answered, self._failed)
        self.requests.append(deferred)

    def _answered(self, response: Any) -> None:
        self.left.watch("a response", response)
        self.results.append("answered")
        reader = HookedReader(self.hook)
        self.readers.append(reader)
        response.deliverBody(reader)

    def _failed(self, failure: Any) -> None:
        self.results.append(failure.type.__name__)


async def connecting(run: ClientRun) -> None:
    """
    There is no connection yet.
    """
    if not run.real:
        run.server.network.hang = True
    act, run.act = run.act, lambda: None
    act()
    run.ask()
    await run.turn()


async def handshake(run: ClientRun) -> None:
    """
    The server does not shake hands.
    """
    run.server.shakes = False
    await run.server.listenAgain()
    run.ask()
    await run.until(lambda: run.server.peers, "a connection")


async def sending_head(run: ClientRun) -> None:
    """
    A request was made, and the connection for it.
    """
    run.ask()
    await run.until(lambda: client_socket() or not run.real, "a connection")


async def sending_body(run: ClientRun) -> None:
    """
    The server does not take the body.
    """
    run.server.stalls = True
    run.ask(True)
    await run.until(lambda: run.server.peers, "a connection")
    for _ in range(5):
        await run.turn()


async def waiting(run: ClientRun) -> None:
    """
    The server has the request.
    """
    run.ask()
    await run.until(lambda: run.server.requests(), "a request")


async def interim(run: ClientRun) -> None:
    """
    It has said something before its answer.
    """
    await waiting(run)
    await run.server.say(HINTS)


async def response_head(run: ClientRun) -> None:
    """
    It has sent half a head.
    """
    await waiting(run)
    await run.server.say(HEAD[:20])


async def body_middle(run: ClientRun) -> None:
    """
    It has sent half a body.
    """
    await waiting(run)
    await run.server.say(HEAD + BODY[:2000])


async def body_end(run: ClientRun) -> None:
    """
    It has sent all but the last byte.
    """
    await waiting(run)
    await run.server.say(HEAD + BODY[:-1])


async def idle(run: ClientRun) -> None:
    """
    The connection waits in the pool.
    """
    await waiting(run)
    await run.server.say(HEAD + BODY)
    await run.until(lambda: run.pool.counts().idle, "an idle connection")


async def reuse(run: ClientRun) -> None:
    """
    A second request was just written to it.
    """
    await idle(run)
    run.ask()


STAGES: dict[str, Callable[[ClientRun], Awaitable[None]]] = {
    "connecting": connecting,
    "TLS handshake": handshake,
    "sending head": sending_head,
    "sending body": sending_body,
    "waiting": waiting,
    "interim": interim,
    "response head": response_head,
    "body middle": body_middle,
    "body end": body_end,
    "idle in pool": idle,
    "reuse": reuse,
}


def is_over(run: ClientRun) -> bool:
    """
    Whether every request has its answer, and every body its end.
    """
    return len(run.results) == run.asked and all(each.ends for each in run.readers)


async def go_on(run: ClientRun) -> None:
    """
    Whoever has not failed does what he does, and time passes until all is over.
    """
    waited = 0.0
    if not run.real:
        run.server.connectAll()
    most = (TOTAL if run.trickles else ALL_WAITS) + STEP
    while not is_over(run) and waited < most:
        if run.trickles:
            run.server.trickle(HEAD + BODY)
        elif run.goesOn:
            run.server.goOn(HEAD + BODY)
        for _ in range(6):
            await run.turn()
        if not is_over(run):
            run.clock.advance(STEP)
            waited += STEP
    if not is_over(run):
        run.problems.append(f"not over after {waited} seconds: {run.results}")
    # A connection that is idle, or is closed in stages, has its own time.
    for _ in range(20):
        await run.turn()
        run.clock.advance(STEP)
    await run.turn()


def judge(run: ClientRun) -> None:
    """
    Every request has one result, every body one end, and the pool is empty.
    """
    for reader in run.readers:
        end = reader.pieces[-1] if reader.ends else b"none"
        if reader.ends != 1:
            run.problems.append(f"{reader.ends} ends of a body")
        if not BODY.startswith(reader.data):
            run.problems.append(f"something else: {reader.data[:50]!r}")
        if end == b"ResponseDone" and reader.data != BODY:
            run.problems.append(f"looks complete: {len(reader.data)} bytes")
    if tuple(run.pool.counts()) != (0, 0, 0, 0):
        run.problems.append(f"left in the pool: {run.pool!r}")


async def run_client(row: Any, fault: Any, flush: Callable[[], object]) -> list[str]:
    """
    Run one row; see L{tests.faults.server.run_server}.
    """
    left = Leftovers()
    run = ClientRun(row, left)
    try:
        await run.begin()
        fault.prepare(run)
        await STAGES[row.stage](run)
        run.act()
        await run.turn()
        await go_on(run)
        judge(run)
        if not run.happened():
            run.problems.append("the fault has not come")
        flush()
        await run.server.close()
        for undo in reversed(run.undo):
            undo()
        problems, real = run.problems, run.real
        vars(run).clear()
        return problems + await left.look(real)
    finally:
        left.close()
