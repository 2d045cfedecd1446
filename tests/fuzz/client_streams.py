"""
Whole connections of a client, with the fast path and without it.

L{check_client_stream} makes the same requests to the same server twice, and
raises if a program, or the server, could tell which was which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from tests.fuzz.law import BrokenLaw, same
from tests.support.client_cases import Reader
from tests.support.client_memory import MemoryEndpoint, Peer
from tests.support.producers import Producer
from twisted_h11.client import (
    Agent,
    ClientSettings,
    HTTPConnectionPool,
    PoolSettings,
)

__all__ = [
    "ENDING",
    "METHODS",
    "READING",
    "SENDING",
    "Exchange",
    "check_client_stream",
    "cut",
    "parts_of_request",
    "rest_of",
]

METHODS = [b"GET", b"GET", b"HEAD", b"POST"]
SENDING = ["nothing", "bytes", "long", "length", "chunked", "expect", "up"]
READING = ["read", "late", "pause", "drop", "keep"]
ENDING = ["end", "lose", "wait"]


class Exchange(NamedTuple):
    """
    One request and its response.

    @ivar sending: what the request has besides its method.
    @ivar pieces: what the server sends, in segments.
    @ivar reading: what the program does with the body.
    @ivar ending: what the server does with the connection.
    """

    method: bytes
    sending: str
    pieces: Sequence[bytes]
    reading: str
    ending: str


def told(reason: Failure | None) -> Any:
    """
    What a reason says.  Only the words differ where h11 complains of a chunk.
    """
    if reason is None:
        return None
    error: Any = reason.value
    kinds = [type(each.value) for each in getattr(error, "reasons", ())]
    return type(error), kinds, "chunk" in str(error) or str(error)


def rest_of(response: Any, reader: Reader | None) -> Any:
    """
    All that a program can see of a response; but for how much of a body that
    is too long was delivered, which depends on the pieces in which it came.
    """
    end = told(reader.reason) if reader is not None else None
    tooLong = end is not None and "maxBodyLength" in str(end)
    return (
        response.code,
        response.phrase,
        response.version,
        response.length,
        response.rawFields,
        list(response.headers.getAllRawHeaders()),
        [(each.code, each.rawFields) for each in response.interimResponses],
        list(response.trailers.getAllRawHeaders()),
        reader and (tooLong or reader.data, reader.ends, end),
    )


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """
    Cut bytes at some places.
    """
    pieces, last = [], 0
    for place in sorted({place for place in places if 0 < place < len(data)}):
        pieces.append(data[last:place])
        last = place
    return [*pieces, data[last:]] if data[last:] else pieces


class _Client:
    """
    One agent, and the server that it talks to.
    """

    def __init__(self, fast: bool) -> None:
        self.clock = Clock()
        self.network = MemoryEndpoint(self.clock)
        self.pool = HTTPConnectionPool(self.clock, True, PoolSettings())
        self.agent = Agent.usingEndpointFactory(
            self.clock,
            self.network,
            self.pool,
            settings=ClientSettings(
                maxHeadLength=250, maxBodyLength=25, readAhead=8, maxInterimResponses=2
            ),
            fastPath=fast,
        )

    def finish(self) -> None:
        """
        Nothing is left.
        """
        self.pool.close()
        self.clock.advance(301)
        same("left in the pool", tuple(self.pool.counts()), (0, 0, 0, 0))
        same("left on the clock", self.clock.getDelayedCalls(), [])

    def exchange(self, each: Exchange) -> Any:
        """
        One request and what comes of it.
        """
        headers, body = parts_of_request(each.sending)
        results: list[Any] = []
        deferred = self.agent.request(
            each.method, b"http://example.com/", headers, body
        )
        deferred.addBoth(results.append)
        peer = self.network.peers[-1]
        responses: list[Any] = []
        reader = self._serve(each, peer, body, results, responses)
        self.clock.advance(0)
        state = peer.protocol.state.value
        if state != "idle":
            self._end(each.ending, peer)
        result: Any = "dropped"
        if responses and each.reading != "drop":
            result = rest_of(responses[0], reader)
        elif responses:
            result = responses[0]
        elif results:
            result = told(results[0])
        return (
            result,
            state,
            peer.take(),
            peer.closed,
            peer.aborted,
            len(self.network.peers),
            body.events if isinstance(body, Producer) else None,
        )

    def _serve(
        self,
        each: Exchange,
        peer: Peer,
        body: Any,
        results: list[Any],
        responses: list[Any],
    ) -> Reader | None:
        """
        Send the response, while the program sends the request and reads.
        """
        reader: Reader | None = None
        _produce(body, b"abc")
        for piece in each.pieces:
            if peer.gone:
                break
            peer.send(piece)
            if results and not responses and hasattr(results[0], "deliverBody"):
                responses.append(results[0])
                if each.reading in ("read", "pause"):
                    reader = _read(results[0])
                    if each.reading == "pause" and reader.reason is None:
                        reader.pause()
                elif each.reading == "drop":
                    responses[0] = results[0] = rest_of(results[0], None)
        if isinstance(body, Producer):
            _produce(body, b"def")
            if not body.done.called and body.events == ["start"]:
                body.done.callback(None)
        if responses and each.reading == "late":
            reader = _read(responses[0])
        elif reader is not None and each.reading == "pause":
            reader.resume()
        return reader

    def _end(self, ending: str, peer: Peer) -> None:
        if not peer.gone:
            if ending == "end" and not peer.closed:
                peer.end()
            elif ending == "lose":
                peer.lose(ConnectionLost())
        for _ in range(4):
            self.clock.advance(301)


def parts_of_request(sending: str) -> tuple[Any, Any]:
    """
    Fields and body of a request.
    """
    headers: Any = None
    body: Any = None
    if sending == "bytes":
        body = b"data"
    elif sending == "long":
        body = b"x" * 70_000
    elif sending == "length":
        body = Producer(6)
    elif sending in ("chunked", "expect"):
        body = Producer()
    if sending == "expect":
        headers = [(b"Expect", b"100-continue")]
    elif sending == "up":
        headers = [(b"Upgrade", b"x"), (b"Connection", b"upgrade")]
    return headers, body


def _produce(body: Any, data: bytes) -> None:
    if isinstance(body, Producer) and body.events == ["start"]:
        body.consumer.write(data)


def _read(response: Any) -> Reader:
    reader = Reader()
    response.deliverBody(reader)
    return reader


def run_client(plan: Sequence[Exchange], fast: bool) -> list[Any]:
    """
    What a program sees, and the server.

    @raise BrokenLaw: for what is left over, and for what was logged as an error.
    """
    logged: list[Failure] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            logged.append(event["log_failure"])

    observer = cast(ILogObserver, observe)
    globalLogPublisher.addObserver(observer)
    try:
        client = _Client(fast)
        seen = [client.exchange(each) for each in plan]
        client.finish()
    finally:
        globalLogPublisher.removeObserver(observer)
    same("errors in the log", logged, [])
    return seen


def check_client_stream(plan: Sequence[Exchange]) -> None:
    """
    The same with and without the fast path.

    @raise BrokenLaw: naming the difference.
    """
    fast = run_client(plan, True)
    slow = run_client(plan, False)
    for number, (one, other) in enumerate(zip(fast, slow, strict=True)):
        if one != other:
            raise BrokenLaw(
                f"exchange {number} of {list(plan)!r}:\n"
                f" with {one!r}\n without {other!r}"
            )
