"""
A connection of the client as a state machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from tests.machines.base import Boom, Machine
from tests.machines.scripted import Network, Server
from tests.support.client_cases import Reader
from tests.support.producers import Producer
from twisted_h11.client import Agent, ClientSettings, HTTPConnectionPool, PoolSettings

__all__ = ["ClientMachine", "SlowClientMachine"]

BOUNDS = PoolSettings(
    maxConnections=2, maxConnectionsPerOrigin=2, queueTimeout=30, idleTimeout=20
)
SETTINGS = ClientSettings(
    connectTimeout=5,
    writeTimeout=8,
    headTimeout=15,
    readTimeout=10,
    claimTimeout=12,
    maxHeadLength=1000,
    maxInterimResponses=3,
    readAhead=500,
)

# No wait lasts longer, if nobody does anything; and a retry.
ALL_WAITS = 200

# Answers that are none.
ODD = (
    b"no HTTP at all\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1200 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 100 C\r\n\r\n" * 5,
    b"HTTP/1.1 101 Unasked\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
)

which = st.integers(0, 5)


class Call:
    """
    One request.

    @ivar results: how its Deferred has ended.
    @ivar bodies: what servers have begun to answer to it, in order.
    @ivar reader: who reads the answer.
    @ivar named: the number of the request that the answer says it is for.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.results: list[str] = []
        self.deferred: Deferred[Any] | None = None
        self.response: Any = None
        self.reader: Reader | None = None
        self.paused = False
        self.named: list[bytes] | None = None
        self.bodies: list[bytes] = []
        self.producer: Producer | None = None

    def __repr__(self) -> str:
        read = self.reader and vars(self.reader)
        return f"<Call {self.number} {self.results} {self.named} {read}>"

    def ended(self, result: Any) -> None:
        """
        The Deferred has fired.
        """
        self.deferred = None
        if isinstance(result, Failure):
            self.results.append(type(result.value).__name__)
        else:
            self.results.append("response")
            self.response = result
            self.named = result.headers.getRawHeaders(b"X-Number")

    @property
    def reads(self) -> bool:
        """
        Whether somebody reads the body.
        """
        return self.reader is not None and not self.reader.ends


class ClientMachine(Machine):
    """
    An agent, and servers that answer anyhow.
    """

    fastPath = True
    # The failure of an answer that can not be parsed has frames in its traceback.
    collects = True

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(self.clock, False, self.watch)
        self.pool = HTTPConnectionPool(self.clock, True, BOUNDS)
        self.agent = Agent.usingEndpointFactory(
            self.clock,
            self.network,
            self.pool,
            settings=SETTINGS,
            fastPath=self.fastPath,
        )
        self.calls: dict[int, Call] = {}
        self.ending = "quiet"

    # -- what there is to choose from -------------------------------------------------

    def some(self, wanted: Callable[[Call], object]) -> list[Call]:
        """
        The calls of which that is true.
        """
        return [call for call in self.calls.values() if wanted(call)]

    @property
    def pending(self) -> list[Call]:
        """
        Those that have no result.
        """
        return self.some(lambda call: call.deferred is not None)

    @property
    def unread(self) -> list[Call]:
        """
        Those whose response nobody has asked for.
        """
        return self.some(lambda c: c.response is not None and c.reader is None)

    @property
    def reading(self) -> list[Call]:
        """
        Those whose body is read.
        """
        return self.some(lambda call: call.reads)

    @property
    def producing(self) -> list[Call]:
        """
        Those that have more to send.
        """
        return self.some(lambda call: call.producer is not None and produces(call))

    @property
    def waiting(self) -> list[Server]:
        """
        Servers that were asked something, and have sent all that they began.
        """
        return [s for s in self.live if s.unanswered is not None and not s.rest]

    @property
    def resting(self) -> list[Server]:
        """
        Servers that have more to send.
        """
        return [server for server in self.live if server.rest]

    @property
    def live(self) -> list[Server]:
        """
        Connections that are open on the server's side.
        """
        return self.network.live

    @staticmethod
    def has(name: str) -> Callable[[Any], bool]:
        """
        A precondition: there is one of C{name}.
        """
        return lambda machine: bool(getattr(machine, name))

    # -- the application ---------------------------------------------------------------

    @initialize(ending=st.sampled_from(("quiet", "quiet", "close")))
    def begin(self, ending: str) -> None:
        """
        How it will end.
        """
        self.ending = ending

    @precondition(lambda self: len(self.pending) < 4)
    @rule(
        method=st.sampled_from((b"GET", b"GET", b"HEAD", b"POST")),
        body=st.sampled_from((None, "bytes", "producer", "producer")),
        expects=st.booleans(),
    )
    def ask(self, method: bytes, body: str | None, expects: bool) -> None:
        """
        Somebody asks.
        """
        number = len(self.calls) + 1
        call = self.calls[number] = Call(number)
        content: Any = None
        fields: dict[bytes, list[bytes]] = {}
        if method == b"POST" and body is not None:
            content = b"x" * 300
            if body == "producer":
                content = call.producer = Producer()
            if expects:
                fields[b"Expect"] = [b"100-continue"]
        uri = b"http://a/%d" % (number,)
        call.deferred = self.agent.request(method, uri, Headers(fields), content)
        call.deferred.addBoth(call.ended)

    @precondition(has("producing"))
    @rule(at=which, how=st.sampled_from(("write", "write", "finish", "fail")))
    def produce(self, at: int, how: str) -> None:
        """
        Some of a request's body, or its end.
        """
        producer: Any = self.producing[at % len(self.producing)].producer
        if how == "write":
            producer.consumer.write(b"x" * 200)
        elif how == "finish":
            producer.done.callback(None)
        else:
            producer.done.errback(Boom())

    @precondition(has("pending"))
    @rule(at=which)
    def cancel(self, at: int) -> None:
        """
        The answer is not wanted any more.
        """
        deferred: Any = self.pending[at % len(self.pending)].deferred
        deferred.cancel()

    @precondition(has("unread"))
    @rule(at=which)
    def read(self, at: int) -> None:
        """
        Somebody reads a body.
        """
        call = self.unread[at % len(self.unread)]
        call.reader = Reader()
        call.response.deliverBody(call.reader)

    @precondition(has("reading"))
    @rule(at=which, how=st.sampled_from(("pause", "pause", "resume", "resume", "drop")))
    def pace(self, at: int, how: str) -> None:
        """
        Whoever reads wants less, more, or nothing.
        """
        call = self.reading[at % len(self.reading)]
        reader: Any = call.reader
        if how == "pause":
            call.paused = True
            reader.pause()
        elif how == "resume":
            call.paused = False
            reader.resume()
        else:
            call.paused = False
            reader.transport.abortConnection()

    # -- servers -----------------------------------------------------------------------

    @precondition(has("waiting"))
    @rule(
        at=which,
        size=st.sampled_from((0, 3, 400, 1500)),
        framing=st.sampled_from(("length", "length", "chunked", "close", "none")),
        interim=st.sampled_from((0, 0, 0, 1, 4)),
        closes=st.sampled_from((False, False, True)),
        extra=st.sampled_from((b"", b"", b"", b"extra")),
        first=st.sampled_from((1, 20, 150, 100_000, 100_000)),
    )
    def answer(
        self,
        at: int,
        size: int,
        framing: str,
        interim: int,
        closes: bool,
        extra: bytes,
        first: int,
    ) -> None:
        """
        A server begins to answer, early or not, and sends all of it or some.
        """
        server = self.waiting[at % len(self.waiting)]
        method, number = server.unanswered or (b"", 0)
        server.answered += 1
        body = (b"<%d>" % (number,) * size)[:size]
        lines = [b"HTTP/1.1 200 OK", b"X-Number: %d" % (number,)]
        content = body
        if framing == "length":
            lines.append(b"Content-Length: %d" % (len(body),))
        elif framing == "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            cut = [body[i : i + 100] for i in range(0, size, 100)]
            content = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in cut)
            content += b"0\r\n\r\n"
        elif framing == "none":
            lines[0] = b"HTTP/1.1 204 No Content"
        if closes:
            lines.append(b"Connection: close")
        bare = method == b"HEAD" or framing == "none"
        if bare:
            body = content = b""
        if framing == "close" and not bare:
            # Everything up to the end of the connection is the body.
            body, content = body + extra, content
        self.calls[number].bodies.append(body)
        head = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * interim
        server.rest = head + b"\r\n".join(lines) + b"\r\n\r\n" + content + extra
        server.feed(first)

    @precondition(has("waiting"))
    @rule(at=which, what=st.sampled_from(ODD))
    def answer_oddly(self, at: int, what: bytes) -> None:
        """
        A server sends what is no answer.
        """
        server = self.waiting[at % len(self.waiting)]
        _, number = server.unanswered or (b"", 0)
        self.calls[number].bodies.append(b"")
        server.answered += 1
        server.send(what)

    @precondition(has("resting"))
    @rule(at=which, length=st.sampled_from((1, 2, 30, 500, 100_000)))
    def feed(self, at: int, length: int) -> None:
        """
        A server sends more of what it began.
        """
        self.resting[at % len(self.resting)].feed(length)

    @precondition(has("waiting"))
    @rule(at=which)
    def go_ahead(self, at: int) -> None:
        """
        A server wants the body.
        """
        self.waiting[at % len(self.waiting)].send(b"HTTP/1.1 100 Continue\r\n\r\n")

    @precondition(has("live"))
    @rule(at=which, how=st.sampled_from(("reset", "end", "full", "takes", "takes")))
    def server_does(self, at: int, how: str) -> None:
        """
        A server is gone, sends no more, takes no more, or takes again.
        """
        server = self.live[at % len(self.live)]
        if how == "reset":
            server.lose(ConnectionLost())
        elif how == "end":
            server.halfClose()
        elif how == "full":
            server.fill()
        else:
            server.drain()

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
        Each result once, each body the right one.
        """
        self.failed = True
        for _ in range(3):
            self.clock.advance(0)
        self.checkLog()
        for call in self.calls.values():
            self._checkCall(call)
        counts = self.pool.counts()
        assert counts.busy + counts.idle == len(self.network.open), counts
        assert sum(counts[:3]) <= BOUNDS.maxConnections, counts
        if self.network.open and not self.clock.getDelayedCalls():
            # Whoever makes a body, or has paused one, has all the time there is.
            works = self.producing or [c for c in self.reading if c.paused]
            assert works, f"nothing is armed: {self.network.open[0].protocol}"
        self.failed = False

    def _checkCall(self, call: Call) -> None:
        assert len(call.results) <= 1, f"fired twice: {call}"
        assert bool(call.results) != (call.deferred is not None), f"lost: {call}"
        if call.response is not None and call.bodies[-1]:
            assert call.named == [b"%d" % (call.number,)], f"another's: {call}"
        reader = call.reader
        if reader is None:
            return
        assert reader.ends <= 1, f"ended twice: {call}"
        whole = call.bodies[-1]
        assert whole.startswith(reader.data), f"another body: {call}"
        if reader.reason is not None and reader.reason.check(ResponseDone):
            assert reader.data == whole, f"not the whole body: {call}"

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
        self._stop()
        self._checkAllOver()
        self.calls.clear()
        self.network.servers.clear()
        del self.pool, self.agent
        self.checkNothingLeft()

    def _stop(self) -> None:
        """
        The application does what it has to do; the servers do nothing.
        """
        if self.ending == "close":
            self.pool.close()
            # One that was closing already may wait for its server to take the rest.
            self.time_passes(30)
            assert tuple(self.pool.counts()) == (0, 0, 0, 0), self.pool
        for _ in range(4):
            self._applicationEnds()
            self.time_passes(ALL_WAITS / 2)

    def _applicationEnds(self) -> None:
        for call in self.reading:
            call.paused = False
            reader: Any = call.reader
            reader.resume()
        for call in self.producing:
            producer: Any = call.producer
            producer.done.callback(None)

    def _checkAllOver(self) -> None:
        assert tuple(self.pool.counts()) == (0, 0, 0, 0), self.pool
        for call in self.calls.values():
            self._checkCall(call)
            assert len(call.results) == 1, f"never told: {call}"
            assert not call.reads, f"reads for ever: {call}"
            if call.producer is not None:
                assert call.producer.events.count("stop") <= 1, call.producer.events


def produces(call: Call) -> bool:
    """
    Whether the producer of a call has begun, and not ended.
    """
    producer: Any = call.producer
    events = producer.events
    return "start" in events and "stop" not in events and not producer.done.called


class SlowClientMachine(ClientMachine):
    """
    The same without the fast path.
    """

    fastPath = False
