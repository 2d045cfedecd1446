"""
CPU time per request, measured in this process with a transport in memory.

No socket, no scheduler and no load generator take part, so the ratio between
two sites is steady even on a busy machine: both are slowed alike, and what is
counted is the CPU time of this process, not the time that passed.

What takes part on both sides: parsing, the request, finding and rendering the
resource, the response, an access log file, and the timers, which are those of
a real reactor.  A fake clock would not do: a cancelled call costs it something
else than it costs a reactor.

The garbage collector is off while time is taken, because one collection in one
round would drown everything.  So cyclic garbage costs nothing here; the level
C{rate} has the collector on.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, cast

from twisted.internet import error, tcp
from twisted.internet.base import ReactorBase
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.server import Site as TwistedSite

from tests.benchmarks.apps.resources import Foreign, Root
from tests.benchmarks.cases import CASES, Case
from tests.support.memory import CLIENT, MemoryTransport
from twisted_h11.server import Site

__all__ = [
    "CountingTransport",
    "Side",
    "SiteFactory",
    "compare",
    "h11_site",
    "ratio",
    "twisted_site",
]

HOST = b"localhost:8080"

# Requests between two turns of the reactor, as with that many connections
# that are ready at once.
TURN = 16

SiteFactory = Callable[..., TwistedSite]


class TimerReactor(ReactorBase):
    """
    The timers of a real reactor, and nothing else of it: no descriptors, no
    threads, independent of the reactor of the process, nothing to wait for.

    @ivar writers: what waits to be told that it can write.
    """

    def __init__(self) -> None:
        self.writers: dict[Any, None] = {}
        ReactorBase.__init__(self)

    def installWaker(self) -> None: ...

    def doIteration(self, delay: float | None) -> None: ...

    def addReader(self, reader: Any) -> None: ...

    def removeReader(self, reader: Any) -> None: ...

    def addWriter(self, writer: Any) -> None:
        """
        Take down who can write in the next turn.
        """
        self.writers[writer] = None

    def removeWriter(self, writer: Any) -> None:
        """
        It has nothing to write any more.
        """
        self.writers.pop(writer, None)

    def turn(self) -> None:
        """
        One turn: what is due is called, and every socket has room.
        """
        self.runUntilCurrent()
        for writer in [*self.writers]:
            writer.doWrite()


class CountingSocket:
    """
    A socket that always has room, and only counts.

    @ivar written: number of bytes sent.
    @ivar sends: number of calls that sent them.
    @ivar kept: the pieces written, or C{None} when they are not kept.
    """

    def __init__(self) -> None:
        self.written = self.sends = 0
        self.kept: list[bytes] | None = None

    def send(self, data: Any) -> int:
        """
        Count, and perhaps keep.
        """
        length = len(data)
        self.written += length
        self.sends += 1
        if self.kept is not None:
            self.kept.append(bytes(data))
        return length

    def sendmsg(self, pieces: list[bytes]) -> int:
        """
        Count, and perhaps keep.
        """
        return self.send(b"".join(pieces))

    def setblocking(self, flag: bool) -> None: ...

    def setsockopt(self, *_: object) -> None: ...

    def fileno(self) -> int:
        """
        No descriptor of this process.
        """
        return 1 << 20

    def getsockname(self) -> tuple[str, int]:
        """
        Where nobody listens.
        """
        return ("127.0.0.1", 8080)


class Later:
    """
    A C{callLater} for what is due in the next turn, at the least price.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def __call__(
        self, delay: float, call: Callable[..., object], *args: object
    ) -> None:
        self._calls.append((call, args))

    def run(self) -> None:
        """
        Make the calls.
        """
        calls, self._calls = self._calls, []
        for call, args in calls:
            call(*args)


class CountingTransport(MemoryTransport):
    """
    A transport that only counts what is written to it, and keeps it on request: it
    must cost next to nothing.

    @ivar written: number of bytes written.
    @ivar sends: number of calls that wrote them.
    @ivar kept: the pieces written, or C{None} when they are not kept.
    """

    disconnected = False
    connected = True

    def __init__(self) -> None:
        MemoryTransport.__init__(self)
        self.written = self.sends = 0
        self.kept: list[bytes] | None = None

    def write(self, data: bytes) -> None:
        """
        Count, and perhaps keep.
        """
        self.written += len(data)
        self.sends += 1
        if self.kept is not None:
            self.kept.append(bytes(data))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        There is no delay.
        """

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        There is nothing to keep alive.
        """


# The site that is the measure.
twisted_site: SiteFactory = TwistedSite
# Ours.
h11_site: SiteFactory = Site


class Side:
    """
    One site, its reactor and its log; use it as a context manager.

    @param name: for error messages.
    @param make: makes the site.
    @ivar sends: how many calls sent what was answered last.
    """

    def __init__(self, name: str, make: SiteFactory) -> None:
        self.name = name
        self._make = make

    def __enter__(self) -> Side:
        self._reactor = TimerReactor()
        self._later = Later()
        self._folder = tempfile.mkdtemp(prefix="benchmark")
        logPath = os.path.join(self._folder, "access.log")
        try:
            self._site = self._make(
                Root(self._later), logPath=logPath, reactor=self._reactor
            )
        except BaseException:
            os.rmdir(self._folder)
            raise
        self._site.noisy = False
        self._site.doStart()
        return self

    def __exit__(self, *_: object) -> None:
        self._site.doStop()
        for call in self._reactor.getDelayedCalls():
            call.cancel()
        self._reactor.runUntilCurrent()
        shutil.rmtree(self._folder)

    def _connect(self, turns: bool = False) -> tuple[Protocol, Any, Any]:
        """
        A new connection.

        @param turns: have Twisted's own TCP transport, over a socket that counts:
            what is written within a turn of the reactor is sent as it would be.
        @return: protocol, transport, and what counts.
        """
        transport: Any
        if turns:
            counter: Any = CountingSocket()
            protocol = self._site.buildProtocol(CLIENT)
            peer = (CLIENT.host, CLIENT.port)
            transport = tcp.Server(
                counter, protocol, peer, cast(Any, None), 0, cast(Any, self._reactor)
            )
        else:
            transport = counter = CountingTransport()
            protocol = self._site.buildProtocol(transport.getPeer())
        protocol.makeConnection(transport)
        return protocol, transport, counter

    def _disconnect(self, protocol: Protocol, transport: Any) -> None:
        """
        The client goes.
        """
        transport.connected = False
        transport.disconnected = True
        protocol.connectionLost(Failure(error.ConnectionDone()))
        self._reactor.runUntilCurrent()

    def answer(self, data: bytes, turns: bool = False) -> bytes:
        """
        What comes back for these bytes, on a connection of their own.
        """
        protocol, transport, counter = self._connect(turns)
        counter.kept = []
        protocol.dataReceived(data)
        self._later.run()
        self._reactor.turn()
        self._disconnect(protocol, transport)
        return b"".join(counter.kept)

    def seconds(
        self, deliveries: list[bytes], expected: int, turns: bool = False
    ) -> float:
        """
        CPU time for all of the deliveries: on one connection, or, where answers come
        in later turns, on as many as are ready in one.

        @param deliveries: the bytes; each delivery is whole requests.
        @param expected: how many bytes must have been answered.
        @param turns: whether answers come in later turns.
        @raise AssertionError: when something else was answered, so that the
            figure would mean nothing.
        """
        connections = [self._connect(turns) for _ in range(TURN if turns else 1)]
        receivers = [protocol.dataReceived for protocol, _, _ in connections]
        receivers *= -(-len(deliveries) // len(receivers))
        runLater = self._later.run
        turn = self._reactor.turn
        collecting = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            start = time.process_time()
            for count, data in enumerate(deliveries, 1):
                receivers[count - 1](data)
                if count % TURN == 0:
                    runLater()
                    turn()
            runLater()
            turn()
            elapsed = time.process_time() - start
        finally:
            if collecting:
                gc.enable()
        closed = any(transport.disconnecting for _, transport, _ in connections)
        written = sum(counter.written for _, _, counter in connections)
        self.sends = sum(counter.sends for _, _, counter in connections)
        for protocol, transport, _ in connections:
            self._disconnect(protocol, transport)
        if closed or written != expected:
            raise AssertionError(
                f"{self.name}: {written} bytes answered instead of "
                f"{expected}, connection closed: {closed}"
            )
        return elapsed


def _check(case: Case, side: Side) -> int:
    """
    See that one request is answered as it must be.

    @return: the length of the answer.
    @raise AssertionError: when it is not.
    """
    answer = side.answer(case.message(HOST).numbered(0), case.turns)
    status = answer.partition(b"\r\n")[0]
    fields, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in fields.lower():
        length = sum(map(len, body.split(b"\r\n")[1::2]))
    else:
        length = len(body)
    if not status.startswith(b"HTTP/1.1 200 ") or length != case.body:
        raise AssertionError(
            f"{side.name}, {case.fullName}: {status!r} with a body of {length}"
            f" bytes instead of {case.body}"
        )
    return len(answer)


def compare(
    case: Case,
    ours: SiteFactory,
    theirs: SiteFactory,
    rounds: int = 15,
    requests: int = 512,
) -> tuple[list[float], list[float]]:
    """
    Measure two sites in turn, each first in every other round.

    @param case: a case of the level C{memory}; in one that is foreign both sites have
        a framework's own class of requests.
    @param rounds: how often each is measured, after a round to warm up.
    @param requests: how many requests there are in a round.
    @return: seconds of CPU per request, a figure for each round: ours, theirs.
    @raise AssertionError: when a side does not answer as the case says.
    """
    message = case.message(HOST)
    count = max(1, requests // case.depth)
    mine: list[float] = []
    other: list[float] = []
    number = 0
    if case.foreign:
        ours, theirs = (partial(one, requestFactory=Foreign) for one in (ours, theirs))
    with Side("ours", ours) as left, Side("theirs", theirs) as right:
        lengths = {side: _check(case, side) for side in (left, right)}
        sides = [(left, mine), (right, other)]
        for turn in range(rounds + 1):
            deliveries = [
                message.several(number + step * case.depth, case.depth)
                for step in range(count)
            ]
            number += count * case.depth
            for side, figures in sides if turn % 2 else reversed(sides):
                expected = lengths[side] * case.depth * count
                spent = side.seconds(deliveries, expected, case.turns)
                if turn:
                    figures.append(spent / (count * case.depth))
    return mine, other


def ratio(
    case: str,
    ours: SiteFactory = h11_site,
    theirs: SiteFactory = twisted_site,
    rounds: int = 15,
    requests: int = 512,
) -> float:
    """
    Our CPU time per request, divided by twisted.web's.  This is what a
    regression check compares with a limit.

    The median of the rounds' ratios is taken, not the ratio of the medians: a
    disturbance that lasts longer than a round then counts on both sides.

    @param case: the name of a case of the level C{memory}.
    @return: less than 1 when ours needs less.
    @raise ValueError: when there is no such case.
    """
    for candidate in CASES:
        if candidate.level == "memory" and candidate.name == case:
            mine, other = compare(candidate, ours, theirs, rounds, requests)
            return median(one / two for one, two in zip(mine, other, strict=True))
    raise ValueError(f"no case of the level 'memory' is called {case!r}")
