"""
Programs of an application that uses an agent, on a server in memory, and what comes of
them, in a form in which the agents of several packages can be compared.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from http.cookiejar import CookieJar
from typing import Any, NamedTuple

import h11
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from tests.support.client_cases import Reader
from tests.support.client_memory import MemoryEndpoint, Peer
from tests.support.producers import Scripted
from tests.support.server_cases import FAST_PATH
from twisted_h11 import client as ours

__all__ = ["Answer", "Application"]

# The content of all answers.
TEXT = b"some text, and more"
_GZIP = b"Content-Encoding: gzip"
_CLOSE = b"Connection: close"


class Answer(NamedTuple):
    """
    What a server answers.
    """

    interim: bytes
    status: int
    fields: Sequence[bytes]
    framing: str

    @property
    def ends(self) -> bool:
        """
        Whether the server closes the connection behind it.
        """
        return self.framing == "close" or _CLOSE in self.fields

    def to(self, method: bytes) -> bytes:
        """
        The bytes that answer a request with this method.
        """
        lines, body, framing = list(self.fields), TEXT, self.framing
        if _GZIP in lines:
            body, framing = gzip.compress(TEXT, mtime=0), "length"
        if framing == "length":
            lines.append(b"Content-Length: %d" % (len(body),))
        elif framing == "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            body = b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (TEXT[:5], 14, TEXT[5:])
        if method == b"HEAD" or self.status in (204, 304):
            body = b""
        if self.ends and (framing != "close" or not body) and _CLOSE not in lines:
            lines.append(_CLOSE)
        lines.insert(0, b"%bHTTP/1.1 %d Mine" % (self.interim, self.status))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


# What a request is answered if a program has no answer for it.
LAST = Answer(b"", 200, (), "length")


class Link(Peer):
    """
    A connection whose end comes behind what was sent, as that of a socket; C{b""} is
    that end.
    """

    answer = b""
    begun = ends = False
    seen = 0

    def _deliver(self) -> None:
        while self._waiting and not (self.paused or self.ended or self.disconnecting):
            data = self._waiting.pop(0)
            if data:
                self.protocol.dataReceived(data)
            else:
                self.lose()

    def arrived(self) -> Any:
        """
        The next complete request, or C{None}: method, target, fields and body.
        """
        server = h11.Connection(h11.SERVER)
        server.receive_data(self.received[self.seen :])
        request, body = server.next_event(), b""
        if not isinstance(request, h11.Request):
            return None
        while isinstance(event := server.next_event(), h11.Data):
            body += bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            return None
        self.seen = len(self.received) - len(server.trailing_data[0])
        target = bytes(request.target).partition(b"#")[0]
        return bytes(request.method), target, sorted(set(request.headers)), body


class Network(MemoryEndpoint):
    """
    Connections of that kind.
    """

    kind = Link
    peers: list[Any]


class Quitter(Reader):
    """
    One that closes its connection at the first piece.
    """

    def dataReceived(self, data: bytes) -> None:
        self.transport.loseConnection()  # type: ignore[union-attr]


def seen(error: Any) -> Any:
    """
    What is compared of a failure: twisted.web's class, the same of its reasons, and
    the response.
    """
    error = error.value if isinstance(error, Failure) else error
    kind = next(
        kind
        for kind in type(error).__mro__
        if not kind.__module__.startswith("twisted_h11")
    )
    response = getattr(error, "response", None)
    return (
        kind.__name__,
        [seen(reason) for reason in getattr(error, "reasons", ())],
        getattr(response, "code", response),
    )


class Call:
    """
    One request of the application, and what comes of it.
    """

    def __init__(self, module: Any, how: str, body: Scripted | None) -> None:
        self.module = module
        self.how = how
        self.body = body
        self.log: list[Any] = []
        self.deferred: Any = None
        self.response: Any = None
        self.reader: Reader | None = None
        self.cancelled = False

    def received(self, response: Any) -> None:
        """
        Look at a response, and read it.
        """
        self.response = response
        before = []
        while response is not None:
            before.append((response.code, response.request.absoluteURI))
            response = response.previousResponse
        response = self.response
        self.log += [
            before,
            (response.version, response.phrase, response.length),
            sorted(response.headers.getAllRawHeaders()),
            response.request.method,
            sorted(response.request.headers.getAllRawHeaders()),
        ]
        if self.how != "late":
            self.read()

    def read(self) -> None:
        """
        Read the body; a second time is refused.
        """
        try:
            if self.how == "readBody":
                reading = self.module.readBody(self.response)
                reading.addErrback(seen).addCallback(self.log.append)
            else:
                reader = Quitter() if self.how == "quit" else Reader()
                self.response.deliverBody(reader)
                self.reader = reader
        except RuntimeError:
            self.log.append("refused")

    def result(self) -> Any:
        """
        What the application, its reader and its producer have seen in the end.
        """
        body, reader = self.body, self.reader
        read: Any = reader and (reader.data, reader.ends, seen(reader.reason))
        if isinstance(reader, Quitter):
            read = reader.ends
        told: Any = None
        if body is not None:
            stopped = not self.cancelled and "stop" in body.events
            told = "start" in body.events, stopped, body.done.called
        return self.log, read, told


class Application:
    """
    An application with an agent, and a server that does what it is told.

    @ivar calls: the requests, in order.
    @ivar arrived: the requests that have arrived at the server, in order.
    @ivar answers: what the next ones of them get; those behind them get L{LAST}.
    @ivar answering: the connections on which there is more of an answer to send.
    """

    def __init__(
        self,
        module: Any,
        pools: Any,
        persistent: bool,
        wrappers: Sequence[str],
        answers: Sequence[Answer],
    ) -> None:
        self.module = module
        self.persistent = persistent
        self.wrappers = wrappers
        self.clock = Clock()
        self.network = Network(self.clock)
        self.calls: list[Call] = []
        self.arrived: list[Any] = []
        self.answers = list(answers)
        self.answering: list[Link] = []
        self.jar = CookieJar()
        self.agent = self.made(pools.HTTPConnectionPool(self.clock, persistent))

    def made(self, pool: Any) -> Any:
        """
        The agent, with its wrappers.
        """
        module, network = self.module, self.network
        options: Any = {"fastPath": FAST_PATH} if module is ours else {}
        if "proxy" in self.wrappers:
            agent = module.ProxyAgent(network, self.clock, pool, **options)
        else:
            agent = module.Agent.usingEndpointFactory(
                self.clock, network, pool, **options
            )
        for wrapper in self.wrappers:
            if wrapper == "redirects":
                agent = module.RedirectAgent(agent, 2)
            elif wrapper == "browser":
                agent = module.BrowserLikeRedirectAgent(agent, 2)
            elif wrapper == "cookies":
                agent = module.CookieAgent(agent, self.jar)
            elif wrapper == "gzip":
                decoders = [(b"gzip", module.GzipDecoder)]
                agent = module.ContentDecoderAgent(agent, decoders)
        return agent

    def run(self, program: Sequence[Any]) -> Any:
        """
        Run a program; then all requests are answered, and all bodies read.
        """
        for name, *arguments in program:
            self.step(name, *arguments)
        self.step("net", "works")
        for _ in range(3):
            for at in range(len(self.calls)):
                self.step("produce", at, [b"bc", ":finish"])
                self.step("reader", at, "resume")
                if self.calls[at].reader is None and self.calls[at].how == "late":
                    self.step("read", at)
            for _ in range(len(self.answering)):
                self.step("feed", 0, 999)
        cookies = sorted((cookie.domain, cookie.name) for cookie in self.jar)
        return [call.result() for call in self.calls], self.arrived, cookies

    def step(self, name: str, *arguments: Any) -> None:
        """
        One step, and what comes of it.
        """
        getattr(self, f"do_{name}")(*arguments)
        for _ in range(4):
            self.clock.advance(0)
        for peer in self.network.peers:
            request = peer.arrived()
            if request is not None:
                self.arrived.append(request)
                self.answering.append(peer)
                answer = self.answers.pop(0) if self.answers else LAST
                peer.answer, peer.ends = answer.to(request[0]), answer.ends
                peer.begun = False

    # -- the application ------------------------------------------------------------

    def do_ask(
        self, method: bytes, uri: bytes, fields: Any, body: Any, how: str
    ) -> None:
        """
        Send a request.
        """
        if "proxy" in self.wrappers:
            uri = b"http:" + uri.partition(b":")[2]
        if {"redirects", "browser"}.intersection(self.wrappers):
            method = method.replace(b"HEAD", b"GET")
            fields = [field for field in fields or () if field[0] != b"Host"]
        headers = None if fields is None else Headers()
        for name, value in fields or ():
            headers.addRawHeader(name, value)  # type: ignore[union-attr]
        producer = Scripted(*body) if body is not None else None
        call = Call(self.module, how, producer)
        self.calls.append(call)
        call.deferred = self.agent.request(method, uri, headers, producer)
        call.deferred.addCallback(call.received)
        call.deferred.addErrback(lambda reason: call.log.append(seen(reason)))

    def do_cancel(self, at: int) -> None:
        """
        Cancel a request that has no result yet.
        """
        for call in self.calls[at : at + 1]:
            if call.deferred is not None and not call.log:
                call.cancelled = True
                call.deferred.cancel()

    def do_produce(self, at: int, actions: Sequence[Any]) -> None:
        """
        Have the producer of a body go on, or end.
        """
        for call in self.calls[at : at + 1]:
            if call.body and "start" in call.body.events and not _isOver(call.body):
                call.body.act(actions)

    def do_reader(self, at: int, what: str) -> None:
        """
        Have the reader of a body pause, or go on.
        """
        for call in self.calls[at : at + 1]:
            if call.reader is not None and call.how == "deliver":
                getattr(call.reader, what)()

    def do_read(self, at: int) -> None:
        """
        Read a body late, or again.
        """
        for call in self.calls[at : at + 1]:
            if call.response is not None:
                call.read()

    # -- the server and the network -------------------------------------------------

    def do_feed(self, at: int, length: int) -> None:
        """
        Send a piece of an answer.
        """
        if self.answering:
            at %= len(self.answering)
            peer = self.answering[at]
            data, peer.answer = peer.answer[:length], peer.answer[length:]
            peer.begun = True
            peer.send(data)
            if not peer.answer:
                self.answering.pop(at)
                peer.send(*([b""] if peer.ends else []))

    def do_lose(self, at: int) -> None:
        """
        End a connection before its answer is complete.
        """
        if self.answering:
            at %= len(self.answering)
            # Whether a request is sent again depends on its connection.
            if self.answering[at].begun or not self.persistent:
                self.answering.pop(at).send(b"")

    def do_net(self, how: str) -> None:
        """
        Change what comes of new connections.
        """
        if self.persistent:
            # Whether a connection is made depends on which others are free.
            return
        self.network.hang = how == "hangs"
        self.network.error = ConnectionRefusedError() if how == "refuses" else None
        while self.network.hanging and how == "works":
            self.network.connectOne()


def _isOver(body: Scripted) -> bool:
    return body.done.called or "stop" in body.events
