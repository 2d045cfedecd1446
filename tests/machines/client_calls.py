"""
An agent on a network in memory, and what whoever asks does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from tests.machines.base import Boom, Machine, has
from tests.machines.scripted import Network, Server
from tests.support.client_cases import Reader
from tests.support.producers import Producer
from twisted_h11.client import Agent, ClientSettings, HTTPConnectionPool, PoolSettings

__all__ = ["BOUNDS", "SETTINGS", "Asking", "Call", "which"]

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

# Which of those that there are.
which = st.integers(0, 5)


class Call:
    """
    One request.

    @ivar results: how its Deferred has ended.
    @ivar bodies: what servers have begun to answer to it, in order.
    @ivar server: the server that has begun the last of them.
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
        self.server: Server | None = None
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


class Asking(Machine):
    """
    An agent, and rules for whoever asks.
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


def produces(call: Call) -> bool:
    """
    Whether the producer of a call has begun, and not ended.
    """
    producer: Any = call.producer
    events = producer.events
    return "start" in events and "stop" not in events and not producer.done.called
