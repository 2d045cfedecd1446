"""
The base of the tests of L{H11Protocol} in memory, and protocols for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import h11
from twisted.internet.protocol import connectionDone
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.leaks import LeakChecks
from tests.support.memory import MemoryTransport
from tests.support.wire import Wire
from twisted_h11.protocol import H11Factory, H11Protocol
from twisted_h11.server import Limits

__all__ = [
    "OK",
    "Answering",
    "ProtocolTestCase",
    "Recording",
    "client_request",
    "described",
]

# What a server answers in most tests.
OK = b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"


def described(event: h11.Event) -> tuple[Any, ...]:
    """
    An event as a tuple that can be compared.
    """
    if isinstance(event, h11.Request):
        return ("Request", event.method, event.target, event.http_version)
    if isinstance(event, h11.InformationalResponse):
        return ("InformationalResponse", event.status_code)
    if isinstance(event, h11.Response):
        return ("Response", event.status_code)
    if isinstance(event, h11.Data):
        return ("Data", bytes(event.data))
    if isinstance(event, h11.EndOfMessage):
        return ("EndOfMessage", event.headers.raw_items())
    return (type(event).__name__,)


def client_request(*fields: tuple[str, str], method: str = "GET") -> h11.Request:
    """
    A request to send.
    """
    return h11.Request(
        method=method, target="/", headers=[("Host", "example.com"), *fields]
    )


class Recording(H11Protocol):
    """
    Notes what happens.

    @ivar events: every event, as L{described} tells it; Data in one piece.
    @ivar seen: the very same events.
    @ivar errors: what L{protocolError} was told.
    @ivar onEvent: called with each event, if set.
    """

    onEvent: Callable[[Any, h11.Event], object] | None = None
    usualError: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[h11.Event] = []
        self.errors: list[tuple[str, int]] = []
        self.reasons: list[type[BaseException]] = []

    @property
    def events(self) -> list[tuple[Any, ...]]:
        """
        The events, however the data was cut.
        """
        found: list[tuple[Any, ...]] = []
        for event in self.seen:
            new = described(event)
            if new[0] == "Data" and found and found[-1][0] == "Data":
                found[-1] = ("Data", found[-1][1] + new[1])
            else:
                found.append(new)
        return found

    @property
    def kinds(self) -> list[str]:
        """
        Only what they are.
        """
        return [event[0] for event in self.events]

    def eventReceived(self, event: h11.Event) -> None:
        """
        Note it.
        """
        self.seen.append(event)
        if self.onEvent is not None:
            self.onEvent(self, event)

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        """
        Note it.
        """
        self.errors.append((str(error), error.error_status_hint))
        if self.usualError:
            super().protocolError(error)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        super().connectionLost(reason)
        assert reason.value is not None
        self.reasons.append(type(reason.value))

    def respond(
        self, body: bytes = b"ok", *fields: tuple[str, str], status: int = 200
    ) -> None:
        """
        Send a whole response.
        """
        length = ("Content-Length", str(len(body)))
        self.sendEvent(h11.Response(status_code=status, headers=[length, *fields]))
        self.sendEvent(h11.Data(data=body))
        self.sendEvent(h11.EndOfMessage())


class Answering(Recording):
    """
    A server that answers each request when it has ended, with its target.
    """

    def eventReceived(self, event: h11.Event) -> None:
        """
        Answer.
        """
        super().eventReceived(event)
        if isinstance(event, h11.Request):
            self.target = bytes(event.target)
        elif isinstance(event, h11.EndOfMessage):
            self.respond(self.target)
            if self.h11Connection.our_state is h11.DONE:
                self.startNextCycle()


class ProtocolTestCase(LeakChecks, SynchronousTestCase):
    """
    Every protocol, and all that it made, must be gone when the test has ended
    and its connection is lost, with the collector off.
    """

    def setUp(self) -> None:
        """
        Nothing is connected.
        """
        self.beginLeakChecks()
        self.addCleanup(self.endLeakChecks)
        self.wires: list[Wire] = []
        self.logged: list[LogEvent] = []
        observer: Any = self.logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.addCleanup(self.end)

    def end(self) -> None:
        """
        Lose all connections.
        """
        while self.wires:
            wire = self.wires.pop()
            if not wire.closed:
                wire.vanish()
            self.assertEqual(b"", bytes(wire.transport.late), "written after close")
        del self.logged[:]

    def connect(
        self,
        protocol: Callable[[], H11Protocol],
        transport: MemoryTransport | None = None,
        **limits: Any,
    ) -> Wire:
        """
        A protocol with a transport in memory; C{channel} is the protocol.
        """
        factory = H11Factory(protocol, Limits(**limits), self.clock)
        wire = Wire(factory, self.clock, transport)
        self.watch("protocol", wire.channel)
        if wire.channel._h11Reader is not None:
            self.watch("h11", wire.channel._h11Reader.conn)
        self.wires.append(wire)
        return wire

    def serve(self, onEvent: Callable[[Any, h11.Event], object], **limits: Any) -> Wire:
        """
        A server that does C{onEvent}.
        """

        class Server(Recording):
            def eventReceived(self, event: h11.Event) -> None:
                super().eventReceived(event)
                onEvent(self, event)

        return self.connect(Server, **limits)

    def client(
        self, *fields: tuple[str, str], method: str = "GET", **limits: Any
    ) -> Wire:
        """
        A client that has sent a request without content.
        """

        class Client(Recording):
            role = h11.CLIENT

            def connectionMade(self) -> None:
                super().connectionMade()
                self.sendEvent(client_request(*fields, method=method))
                self.sendEvent(h11.EndOfMessage())

        return self.connect(Client, **limits)

    def text(self) -> list[str]:
        """
        The errors in the log.
        """
        return [
            str(event.get("log_format"))
            for event in self.logged
            if event["log_level"].name in ("error", "critical")
        ]
