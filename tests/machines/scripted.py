"""
A network in memory on which the machine decides what every server does.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from tests.support.client_memory import Peer

__all__ = ["SEGMENT", "Network", "Server"]

# How much comes in one segment.
SEGMENT = 1024

_REQUEST = re.compile(rb"(GET|HEAD|POST) /(\d+) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"Content-Length: (\d+)", re.I)


class Server(Peer):
    """
    The server's end of one connection.

    @ivar host: whose it is.
    @ivar answered: how many requests have had an answer, or the beginning of one.
    @ivar rest: what of the answer was not sent.
    @ivar taken: how much of the answer the client has got.
    @ivar overhead: how much of the answer is not its body.
    @ivar since: when it was made.
    @ivar askedAt: when the head of each request came.
    """

    def __init__(self, clock: Clock, protocol: Any, host: str) -> None:
        super().__init__(clock, protocol)
        self.host = host
        self.answered = 0
        self.since = clock.seconds()
        self.askedAt: list[float] = []
        self.rest = b""
        self.taken = self.overhead = 0
        self.sentEnd = False

    @property
    def live(self) -> bool:
        """
        Whether the server can send something.
        """
        return not (self.closed or self.gone or self.sentEnd)

    @property
    def asked(self) -> list[tuple[bytes, int]]:
        """
        The methods and numbers of the requests whose heads are here.
        """
        return [(m[1], int(m[2])) for m in _REQUEST.finditer(self.received)]

    @property
    def unanswered(self) -> tuple[bytes, int] | None:
        """
        The request that waits for an answer.
        """
        asked = self.asked
        return asked[self.answered] if self.answered < len(asked) else None

    @property
    def whose(self) -> int | None:
        """
        The number of the request that was answered last, if there is none behind it.
        """
        asked = self.asked
        return asked[-1][1] if 0 < self.answered == len(asked) else None

    def write(self, data: bytes) -> None:
        """
        Note when the client has asked.
        """
        super().write(data)
        while len(self.askedAt) < len(self.asked):
            self.askedAt.append(self.clock.seconds())

    def begin(self, rest: bytes, overhead: int) -> None:
        """
        Have C{rest} to send, of which so many bytes are not the body.
        """
        self.rest, self.overhead = rest, overhead
        self.taken = 0

    def feed(self, length: int) -> None:
        """
        Send some of what is left.
        """
        data, self.rest = self.rest[:length], self.rest[length:]
        self.send(*(data[i : i + SEGMENT] for i in range(0, len(data), SEGMENT)))

    @property
    def delayed(self) -> bool:
        """
        Whether something that was sent waits because the client does not read.
        """
        return bool(self._waiting)

    def halfClose(self) -> None:
        """
        Send nothing any more.
        """
        self.sentEnd = True
        self.rest = b""
        if self.paused:
            # A reactor that does not read does not see it, either.
            self.lose(ConnectionDone())
        elif IHalfCloseableProtocol(self.protocol, None) is None:
            self.lose(ConnectionDone())
        else:
            self.end()

    def lose(self, error: Exception | None = None) -> None:
        """
        The connection is gone; nothing of ours leads to the client any more.
        """
        if not self.gone:
            super().lose(error)
            self.protocol = None

    def _deliver(self) -> None:
        while self._waiting and not (self.paused or self.ended or self.closed):
            piece = self._waiting.pop(0)
            self.taken += len(piece)
            self.protocol.dataReceived(piece)


@implementer(IStreamClientEndpoint)
class _Place:
    def __init__(self, network: Network, host: str) -> None:
        self.network = network
        self.host = host

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint}.
        """
        waiting: Deferred[Any] = Deferred(self.network.cancelled)
        self.network.attempts.append((self.host, waiting, factory))
        if not self.network.hangs:
            self.network.succeed(len(self.network.attempts) - 1)
        return waiting


@implementer(IAgentEndpointFactory)
class Network:
    """
    All servers.

    @ivar hangs: whether the machine says when a connection is made.
    @ivar attempts: those under way.
    @ivar servers: the connections that were made.
    """

    def __init__(self, clock: Clock, hangs: bool, watch: Any) -> None:
        self.clock = clock
        self.hangs = hangs
        self.attempts: list[tuple[str, Deferred[Any], Any]] = []
        self.servers: list[Server] = []
        self._watch = watch

    @property
    def open(self) -> list[Server]:
        """
        The connections that are not gone.
        """
        return [server for server in self.servers if not server.gone]

    @property
    def live(self) -> list[Server]:
        """
        Those on which the server may send.
        """
        return [server for server in self.servers if server.live]

    def endpointForURI(self, uri: URI) -> _Place:
        """
        See L{IAgentEndpointFactory}.
        """
        return _Place(self, uri.host.decode())

    def cancelled(self, deferred: Deferred[Any]) -> None:
        """
        Nobody waits for this attempt any more.
        """
        self.attempts = [each for each in self.attempts if each[1] is not deferred]

    def succeed(self, place: int) -> None:
        """
        A connection is made.
        """
        host, waiting, factory = self.attempts.pop(place)
        protocol = factory.buildProtocol(None)
        server = Server(self.clock, protocol, host)
        self.servers.append(server)
        self._watch("connection", protocol)
        protocol.makeConnection(server)
        waiting.callback(protocol)

    def refuse(self, place: int) -> None:
        """
        A connection can not be made.
        """
        _, waiting, _ = self.attempts.pop(place)
        waiting.errback(ConnectError())
