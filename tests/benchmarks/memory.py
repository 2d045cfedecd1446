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
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, cast

from twisted.internet import error, tcp
from twisted.internet.protocol import Protocol
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure
from twisted.web.server import Site as TwistedSite

from tests.benchmarks.apps.resources import Foreign, Root
from tests.benchmarks.cases import Case, find_cases
from tests.benchmarks.wire import Unexpected, read_answer
from tests.support.memory import CLIENT, MemoryTransport
from twisted_h11.server import Site

__all__ = [
    "Side",
    "SiteFactory",
    "alone",
    "compare",
    "h11_site",
    "ratio",
    "twisted_site",
]

HOST = "localhost:8080"

# Requests between two turns of the reactor, as with that many connections
# that are ready at once.
TURN = 16

SiteFactory = Callable[..., TwistedSite]

# The site that is the measure, and ours.
twisted_site: SiteFactory = TwistedSite
h11_site: SiteFactory = Site


class _Reactor(SelectReactor):
    """
    The timers of a real reactor, which nobody runs, independent of the reactor of the
    process; descriptors are only known to it, and nothing wakes it.
    """

    def __init__(self) -> None:
        SelectReactor.__init__(self)
        self._soon: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def installWaker(self) -> None: ...

    def soon(self, delay: float, call: Callable[..., object], *args: object) -> None:
        """
        A C{callLater} for what is due in the next turn, at the least price.
        """
        self._soon.append((call, args))

    def turn(self) -> None:
        """
        One turn: what is due is called, and every socket has room.
        """
        calls, self._soon = self._soon, []
        for call, args in calls:
            call(*args)
        self.runUntilCurrent()
        for writer in self.getWriters():
            writer.doWrite()


class _Counter:
    """
    Counts what is written, which must cost next to nothing, and keeps it on request.

    @ivar written: number of bytes.
    @ivar sends: number of calls.
    @ivar kept: the pieces, or C{None} when they are not kept.
    """

    written = sends = 0
    kept: list[bytes] | None = None

    def write(self, data: bytes) -> int:
        length = len(data)
        self.written += length
        self.sends += 1
        if self.kept is not None:
            self.kept.append(bytes(data))
        return length


class _Socket(_Counter):
    """
    A socket that always has room, and only counts.
    """

    send = _Counter.write

    def sendmsg(self, pieces: list[bytes]) -> int:
        return self.send(b"".join(pieces))

    def setblocking(self, flag: bool) -> None: ...

    def setsockopt(self, *_: object) -> None: ...

    def fileno(self) -> int:
        # No descriptor of this process.
        return 1 << 20

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 8080)


class _Transport(_Counter, MemoryTransport):  # type: ignore[misc]
    """
    A transport that only counts.
    """

    disconnected = False
    connected = True

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None: ...


class Side:
    """
    One site, its reactor and its access log.

    @ivar log: where the log is.
    @ivar sends: how many calls sent what was answered last.
    """

    def __init__(
        self, name: str, site: TwistedSite, reactor: _Reactor, log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._site = site
        self._reactor = reactor

    @classmethod
    @contextmanager
    def of(cls, name: str, make: SiteFactory) -> Iterator[Side]:
        """
        A site in use.

        @param name: for error messages.
        @param make: makes the site.
        """
        reactor = _Reactor()
        with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
            log = Path(folder, "access.log")
            site = make(Root(reactor.soon), logPath=str(log), reactor=reactor)
            site.noisy = False
            site.doStart()
            try:
                yield cls(name, site, reactor, log)
            finally:
                site.doStop()
                for call in reactor.getDelayedCalls():
                    call.cancel()
                reactor.runUntilCurrent()

    def _connect(self, turns: bool = False) -> tuple[Protocol, Any, Any]:
        """
        A new connection.

        @param turns: have Twisted's own TCP transport, over a socket that counts:
            what is written within a turn of the reactor is sent as it would be.
        @return: protocol, transport, and what counts.
        """
        protocol = self._site.buildProtocol(CLIENT)
        transport: Any
        counter: Any
        if turns:
            counter = _Socket()
            peer = (CLIENT.host, CLIENT.port)
            transport = tcp.Server(
                counter, protocol, peer, cast(Any, None), 0, cast(Any, self._reactor)
            )
        else:
            transport = counter = _Transport()
        protocol.makeConnection(transport)
        return protocol, transport, counter

    def _disconnect(self, protocol: Protocol, transport: Any) -> None:
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
        self._reactor.turn()
        self._disconnect(protocol, transport)
        return b"".join(counter.kept)

    def check(self, case: Case) -> int:
        """
        See that one request is answered as it must be, and tell the answer's length.

        @raise AssertionError: when it is not.
        """
        answer = self.answer(case.asked(HOST), case.turns)
        try:
            length = len(read_answer(io.BytesIO(answer)))
        except Unexpected as reason:
            raise AssertionError(f"{self.name}, {case.fullName}: {reason}") from None
        if length != case.body:
            raise AssertionError(
                f"{self.name}, {case.fullName}: a body of {length} bytes instead of "
                f"{case.body}"
            )
        return len(answer)

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
        turn = self._reactor.turn
        collecting = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            start = time.process_time()
            for count, data in enumerate(deliveries, 1):
                receivers[count - 1](data)
                if count % TURN == 0:
                    turn()
            turn()
            # On a busy machine the turn of a connection may end before its pipeline.
            for _ in deliveries:
                if sum(counter.written for _, _, counter in connections) >= expected:
                    break
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


def _deliveries(case: Case, turn: int, requests: int) -> list[bytes]:
    """
    What arrives in one round.

    @param turn: the number of the round: no two rounds have the same requests, where
        requests vary.
    """
    count = max(1, requests // case.depth)
    return [
        case.asked(HOST, (turn * count + step) * case.depth, case.depth)
        for step in range(count)
    ]


def _per_request(side: Side, case: Case, length: int, deliveries: list[bytes]) -> float:
    count = len(deliveries) * case.depth
    return side.seconds(deliveries, length * count, case.turns) / count


def alone(
    case: Case, ours: SiteFactory, rounds: int = 15, requests: int = 512
) -> list[float]:
    """
    Measure one site; see L{compare}.

    @return: seconds of CPU per request, a figure for each round.
    @raise AssertionError: when it does not answer as the case says.
    """
    if "foreign" in case.needs:
        ours = partial(ours, requestFactory=Foreign)
    figures = []
    with Side.of("ours", ours) as side:
        length = side.check(case)
        for turn in range(rounds + 1):
            deliveries = _deliveries(case, turn, requests)
            spent = _per_request(side, case, length, deliveries)
            if turn:
                figures.append(spent)
    return figures


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
    if "foreign" in case.needs:
        ours, theirs = (partial(one, requestFactory=Foreign) for one in (ours, theirs))
    mine: list[float] = []
    other: list[float] = []
    with Side.of("ours", ours) as left, Side.of("theirs", theirs) as right:
        sides = [(left, left.check(case), mine), (right, right.check(case), other)]
        for turn in range(rounds + 1):
            deliveries = _deliveries(case, turn, requests)
            for side, length, figures in sides if turn % 2 else reversed(sides):
                spent = _per_request(side, case, length, deliveries)
                if turn:
                    figures.append(spent)
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
    [found] = find_cases([f"memory/{case}"])
    mine, other = compare(found, ours, theirs, rounds, requests)
    return median(one / two for one, two in zip(mine, other, strict=True))


def main(arguments: list[str]) -> None:
    """
    C{python -m tests.benchmarks.memory CASE}: print our CPU time for a request, the
    median of the rounds, for a process that compares two revisions.
    """
    [case] = find_cases(arguments)
    print("RESULT", json.dumps({"value": median(alone(case, h11_site))}))


if __name__ == "__main__":
    main(sys.argv[1:])
