"""
Bodies that a test writes by hand, or that do whatever a script says; what came of a
request with one, and the usual answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import h11
from twisted.internet.defer import Deferred
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

__all__ = ["OK", "Outcome", "Producer", "Scripted", "requests_in"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@implementer(IBodyProducer)
class Producer:
    """
    A body that the test writes by hand.
    """

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.events: list[str] = []
        self.consumer: Any = None
        self.done: Deferred[None] = Deferred()

    def startProducing(self, consumer: Any) -> Deferred[None]:
        self.events.append("start")
        self.consumer = consumer
        return self.done

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


class Broken(Exception):
    """
    What scripts raise.
    """


class Scripted(Producer):
    """
    A producer that acts as it is told.

    An action is bytes or something else to write, or one of the words
    C{:finish}, C{:fail}, C{:raise} and C{:call}, for the test's own function.

    @ivar events: what was called, and what was raised to the script.
    """

    def __init__(
        self,
        length: Any = UNKNOWN_LENGTH,
        now: Sequence[Any] = (),
        onStop: Sequence[Any] = (),
        onPause: Sequence[Any] = (),
        returns: Any = ":deferred",
    ) -> None:
        Producer.__init__(self, length)
        self.now = now
        self.onStop = onStop
        self.onPause = onPause
        self.returns = returns
        self.call: Callable[[], object] = lambda: None

    def act(self, actions: Sequence[Any]) -> None:
        """
        Do as the script says.
        """
        for action in actions:
            if action == ":raise":
                raise Broken
            if action == ":call":
                self.call()
            elif action == ":finish":
                if not self.done.called:
                    self.done.callback(None)
            elif action == ":fail":
                if not self.done.called:
                    self.done.errback(Broken())
            else:
                try:
                    self.consumer.write(action)
                except Exception as error:
                    self.events.append(type(error).__name__)

    def startProducing(self, consumer: Any) -> Any:
        done = Producer.startProducing(self, consumer)
        self.act(self.now)
        return done if self.returns == ":deferred" else self.returns

    def pauseProducing(self) -> None:
        Producer.pauseProducing(self)
        self.act(self.onPause)

    def resumeProducing(self) -> None:
        Producer.resumeProducing(self)
        self.act(self.onPause)

    def stopProducing(self) -> None:
        Producer.stopProducing(self)
        self.act(self.onStop)


class Outcome(NamedTuple):
    """
    What came of a request.

    @ivar refused: the exception that C{request} has raised, by its name.
    @ivar sent: the bytes that left.
    @ivar result: how the Deferred ended, by the names of its exceptions; C{""} if
        it did not.
    @ivar over: whether the connection was given up.
    @ivar events: what the producer was told.
    """

    refused: str
    sent: bytes
    result: str
    over: bool
    events: tuple[str, ...]


def requests_in(data: bytes) -> list[tuple[bytes, bytes, bytes, bool]]:
    """
    The requests that a server finds in C{data}.

    @return: method, target, body, and whether it is complete, for each.
    @raise h11.RemoteProtocolError: if it is not HTTP/1.1.
    """
    found: list[tuple[bytes, bytes, bytes, bool]] = []
    while data:
        server = h11.Connection(h11.SERVER)
        server.receive_data(data)
        body = b""
        event = server.next_event()
        if not isinstance(event, h11.Request):
            assert event is h11.NEED_DATA, event
            found.append((b"", b"", b"", False))
            break
        request = event
        while isinstance(event := server.next_event(), h11.Data):
            body += bytes(event.data)
        complete = isinstance(event, h11.EndOfMessage)
        found.append((bytes(request.method), bytes(request.target), body, complete))
        if not complete:
            break
        data = server.trailing_data[0]
    return found
