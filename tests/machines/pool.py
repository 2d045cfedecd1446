"""
The pool of connections as a state machine.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from tests.machines.base import Machine, has
from tests.machines.scripted import Network, Server
from tests.support.client_cases import Reader
from twisted_h11.client import Agent, ClientSettings, HTTPConnectionPool, PoolSettings

__all__ = ["PoolMachine"]

BOUNDS = PoolSettings(
    maxConnections=4,
    maxConnectionsPerOrigin=2,
    maxQueued=6,
    queueTimeout=30,
    idleTimeout=20,
    maxAge=45,
    maxRequests=5,
)
SETTINGS = ClientSettings(connectTimeout=10, headTimeout=15, claimTimeout=12)
HOSTS = ("a", "b", "c", "d")

# No wait lasts longer, if nobody does anything; and a retry.
ALL_WAITS = 2 * (30 + 10 + 15 + 20)

which = st.integers(0, 7)


class Call:
    """
    One request.

    @ivar results: how its Deferred has ended.
    @ivar turn: when it came into the line, if it is there.
    """

    def __init__(self, number: int, host: str) -> None:
        self.number = number
        self.host = host
        self.results: list[str] = []
        self.turn: int | None = None
        self.deferred: Deferred[Any] | None = None

    def __repr__(self) -> str:
        return f"<Call {self.number} {self.host} turn={self.turn} {self.results}>"

    def ended(self, result: Any) -> None:
        """
        The Deferred has fired.
        """
        self.deferred = None
        if isinstance(result, Failure):
            self.results.append(type(result.value).__name__)
        else:
            self.results.append("response")
            result.deliverBody(Reader())


class PoolMachine(Machine):
    """
    Agents of one pool ask many servers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(self.clock, True, self.watch)
        self.pool = HTTPConnectionPool(self.clock, True, BOUNDS)
        self.agent = Agent.usingEndpointFactory(
            self.clock, self.network, self.pool, settings=SETTINGS, trace=self.traced
        )
        self.calls: dict[int, Call] = {}
        self.turns = 0
        self.closings: list[list[str]] = []
        self.ending = "quiet"

    # -- what the trace tells -------------------------------------------------------

    def traced(self, event: Any) -> None:
        """
        A request has come into the line, or out of it.
        """
        try:
            self._traced(event)
        except AssertionError as error:
            # What a trace raises is logged, and changes nothing.
            self.failures.append(repr(error))

    def _traced(self, event: Any) -> None:
        call = self.calls[int(event.request.absoluteURI.rpartition(b"/")[2])]
        if event.name == "queued":
            assert call.turn is None
            self.turns += 1
            call.turn = self.turns
        elif event.name in ("connecting", "connected"):
            turn, call.turn = call.turn, None
            if turn is not None or event.name == "connecting":
                self._checkTurn(call, turn, event.name)
        elif event.name == "ended":
            call.turn = None

    def _checkTurn(self, call: Call, turn: int | None, name: str) -> None:
        """
        Nobody is served who was not the first.
        """
        for other in self.queued:
            assert other.turn is not None
            if turn is not None and other.turn > turn:
                continue
            assert other.host != call.host, f"{call} before {other}"
            if name == "connecting":
                assert self.full(other.host), f"{call} before {other}"

    # -- what there is to choose from -------------------------------------------------

    @property
    def queued(self) -> list[Call]:
        """
        Who waits in line.
        """
        return [call for call in self.calls.values() if call.turn is not None]

    @property
    def pending(self) -> list[Call]:
        """
        Who can be cancelled.
        """
        return [call for call in self.calls.values() if call.deferred is not None]

    @property
    def waiting(self) -> list[Server]:
        """
        Servers that were asked something.
        """
        return [s for s in self.network.live if s.unanswered is not None]

    @property
    def attempts(self) -> list[Any]:
        """
        Connections that are being made.
        """
        return self.network.attempts

    @property
    def live(self) -> list[Server]:
        """
        Connections that are open on the server's side.
        """
        return self.network.live

    def full(self, host: str) -> bool:
        """
        Whether there may be no more connections to C{host}.
        """
        counts = self.pool.counts((b"http", host.encode(), 80))
        return sum(counts[:3]) >= BOUNDS.maxConnectionsPerOrigin

    # -- rules ----------------------------------------------------------------------

    @initialize(ending=st.sampled_from(("quiet", "quiet", "close")))
    def begin(self, ending: str) -> None:
        """
        How it will end.
        """
        self.ending = ending

    @rule(host=st.sampled_from(HOSTS))
    def ask(self, host: str) -> None:
        """
        Somebody asks a server.
        """
        number = len(self.calls) + 1
        call = self.calls[number] = Call(number, host)
        deferred = self.agent.request(b"GET", b"http://%b/%d" % (host.encode(), number))
        call.deferred = deferred
        deferred.addBoth(call.ended)

    @precondition(has("attempts"))
    @rule(at=which)
    def connect(self, at: int) -> None:
        """
        A connection is there.
        """
        self.network.succeed(at % len(self.attempts))

    @precondition(has("attempts"))
    @rule()
    def connect_all(self) -> None:
        """
        All connections that are being made are there.
        """
        while self.attempts:
            self.network.succeed(0)

    @rule()
    def ask_all(self) -> None:
        """
        Every server is asked something.
        """
        for host in HOSTS:
            self.ask(host)

    @rule(answers=st.integers(1, 3), host=st.sampled_from(HOSTS))
    def fill(self, answers: int, host: str) -> None:
        """
        Every server is asked something, some have answered, and one is asked more
        than it has connections for.
        """
        self.ask_all()
        self.connect_all()
        for server in self.waiting[:answers]:
            self._answer(server, "keep")
        self.ask(host)
        self.ask(host)

    @rule(
        host=st.sampled_from(HOSTS),
        times=st.integers(2, 7),
        seconds=st.sampled_from((0.0, 0.0, 13.0)),
    )
    def converse(self, host: str, times: int, seconds: float) -> None:
        """
        A server is asked again and again, at once or after a while, and answers.
        """
        for _ in range(times):
            self.ask(host)
            self.connect_all()
            for server in self.waiting:
                if server.host == host:
                    self._answer(server, "keep")
            self.time_passes(seconds)

    @precondition(has("attempts"))
    @rule(at=which)
    def refuse(self, at: int) -> None:
        """
        A connection can not be had.
        """
        self.network.refuse(at % len(self.attempts))

    @precondition(has("waiting"))
    @rule(at=which, how=st.sampled_from(("keep", "keep", "close", "end", "more")))
    def answer(self, at: int, how: str) -> None:
        """
        A server answers, and may close after it.
        """
        self._answer(self.waiting[at % len(self.waiting)], how)

    def _answer(self, server: Server, how: str) -> None:
        server.answered += 1
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
        if how == "close":
            head += b"Connection: close\r\n"
        server.send(head + b"\r\nok" + (b"!" if how == "more" else b""))
        if how == "end" and server.live:
            server.halfClose()

    @precondition(has("live"))
    @rule(at=which, how=st.sampled_from(("reset", "end", "speak")))
    def server_ends(self, at: int, how: str) -> None:
        """
        A server is gone, closes, or says what nobody has asked for.
        """
        server = self.live[at % len(self.live)]
        if how == "reset":
            server.lose(ConnectionLost())
        elif how == "end":
            server.halfClose()
        else:
            asked = server.unanswered is not None
            server.send(b"HTTP/1.1 408 Too late\r\nContent-Length: 0\r\n\r\n")
            server.answered += 1
            assert asked or server.closed, "an answer to nobody's request was kept"

    @precondition(has("pending"))
    @rule(at=which)
    def cancel(self, at: int) -> None:
        """
        Somebody does not want to wait any longer.
        """
        deferred: Any = self.pending[at % len(self.pending)].deferred
        deferred.cancel()

    @rule()
    def close_cached(self) -> None:
        """
        All that are idle are closed.
        """
        told: list[str] = []
        self.closings.append(told)
        self.pool.closeCachedConnections().addCallback(lambda _: told.append("closed"))

    @rule(seconds=st.sampled_from((0.5, 6.0, 11.0, 25.0)))
    def time_passes(self, seconds: float) -> None:
        """
        Nobody does anything for a while.
        """
        while seconds > 0:
            self.clock.advance(0.5)
            seconds -= 0.5

    # -- what always holds -----------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        """
        Bounds, counts, and that nobody waits in vain.
        """
        self.failed = True
        for _ in range(3):
            self.clock.advance(0)
        self.checkLog()
        self._checkCounts()
        for call in self.calls.values():
            assert len(call.results) <= 1, f"fired twice: {call}"
            assert bool(call.results) != (call.deferred is not None)
        for call in self.queued:
            self._checkWait(call)
        for told in self.closings:
            assert len(told) <= 1
        for server in self.network.servers:
            self._checkUse(server)
        if self.pending or self.network.open:
            assert self.clock.getDelayedCalls(), "nothing is armed"
        self.failed = False

    def _checkCounts(self) -> None:
        counts = self.pool.counts()
        opened = len(self.network.open)
        assert counts.connecting == len(self.attempts), counts
        assert counts.busy + counts.idle == opened, f"{counts}, {opened} are open"
        assert counts.queued == len(self.queued), f"{counts}, {self.queued}"
        assert sum(counts[:3]) <= BOUNDS.maxConnections, counts
        assert counts.queued <= (BOUNDS.maxQueued or 0)
        for host in HOSTS:
            each = self.pool.counts((b"http", host.encode(), 80))
            assert sum(each[:3]) <= BOUNDS.maxConnectionsPerOrigin, (host, each)
            here = [s for s in self.network.open if s.host == host]
            assert each.busy + each.idle == len(here), (host, each)

    def _checkWait(self, call: Call) -> None:
        """
        There is a reason to wait.
        """
        counts = self.pool.counts()
        each = self.pool.counts((b"http", call.host.encode(), 80))
        assert not each.idle, f"{call} waits, and one is idle"
        if not self.full(call.host):
            assert sum(counts[:3]) >= BOUNDS.maxConnections, f"{call} waits, {counts}"
            assert not counts.idle, f"{call} waits, and one could be closed"

    def _checkUse(self, server: Server) -> None:
        """
        No connection is used more often than it may be, or when it is too old.
        """
        assert len(server.askedAt) <= (BOUNDS.maxRequests or 0), server.host
        for at in server.askedAt[1:]:
            assert at - server.since < (BOUNDS.maxAge or 0), server.host

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
        if self.ending == "close":
            self.close_all()
        self.time_passes(ALL_WAITS)
        assert tuple(self.pool.counts()) == (0, 0, 0, 0), self.pool
        for call in self.calls.values():
            assert len(call.results) == 1, f"never told: {call}"
        assert all(told == ["closed"] for told in self.closings)
        assert not self.attempts
        self.network.servers.clear()
        del self.pool, self.agent
        self.checkNothingLeft()

    def close_all(self) -> None:
        """
        The pool is closed: that is the end of all.
        """
        told: list[str] = []
        self.pool.close().addCallback(lambda _: told.append("closed"))
        for _ in range(3):
            self.clock.advance(0)
        assert told == ["closed"]
        assert tuple(self.pool.counts()) == (0, 0, 0, 0), self.pool
