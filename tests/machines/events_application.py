"""
The application of an L{H11Protocol} in its machine, and its peer.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import h11
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.machines.base import Boom
from tests.support.wire import Wire
from twisted_h11.protocol import FileRegion, H11Protocol
from twisted_h11.server import Limits

__all__ = ["LIMITS", "Client", "Peer", "Server", "client_events", "server_events"]

LIMITS = Limits(maxHeadLength=1000, lingerLength=2000)


class Peer(Wire):
    """
    The peer, and a reactor that drops connections whose protocol raises.

    @ivar ending: whether it sends nothing more.
    """

    ending = False

    def guard(self, call: Callable[[], object]) -> None:
        """
        Do as reactors do.
        """
        try:
            call()
        except Boom as error:
            if not self.closed:
                self._lose(error)

    def pump(self) -> None:
        """
        Do all that a reactor would do without time passing.
        """
        self.guard(super().pump)

    def _lose(self, reason: Exception) -> None:
        try:
            super()._lose(reason)
        except Boom:
            pass

    def read(self) -> None:
        """
        One segment arrives; all else that a reactor would do comes later.
        """
        transport = self.transport
        if not (self.closed or transport.paused or transport.disconnecting):
            protocol: Any = transport.protocol
            data = self.unread.popleft()
            self.guard(lambda: protocol.dataReceived(data))

    def forget(self) -> None:
        """
        It is over.
        """
        del self.channel
        self.transport.protocol = self.lostWith = None


class Other(Protocol):
    """
    What a connection is given to.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is lost.
        """
        self.transport = None


class Producer:
    """
    A push producer that does nothing.
    """

    stopped = gone = False

    def pauseProducing(self) -> None:
        """
        Nothing.
        """
        assert not self.stopped

    resumeProducing = pauseProducing

    def stopProducing(self) -> None:
        """
        Nothing more.
        """
        assert not self.stopped, "stopped twice"
        self.stopped = True


class Server(H11Protocol):
    """
    Does what the machine says.

    @ivar told: all that it was told, in order.
    @ivar wrong: what it was told that may not be.
    @ivar mistaken: whether it has sent what is not allowed.
    """

    clock: Clock
    slow = False
    refuses = "usual"
    mistaken = switched = False
    _inEvent = False

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.wrong: list[str] = []
        self.reactions: list[str] = []
        self.files: list[list[object]] = []
        self.producers: list[Producer] = []

    def _note(self, what: str) -> None:
        bad = None
        if self._inEvent:
            bad = "within another"
        elif self.wire.closing is not None:
            bad = "on a connection that closes"
        elif {"ConnectionClosed", "error", "lost"} & set(self.told):
            bad = "after the last"
        elif what == "error" and "error" in self.told:
            bad = "again"
        if bad:
            self.wrong.append(f"{what} {bad}: {self.told}")
        self.told.append(what)

    def eventReceived(self, event: h11.Event) -> None:
        """
        Note it, and do what is to be done.
        """
        self._note(type(event).__name__)
        self._inEvent = True
        try:
            if self.slow:
                self.clock.rightNow += 0.003
            if self.reactions:
                self.do(self.reactions.pop(0), True)
        finally:
            self._inEvent = False

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        """
        Note it, and do what is to be done.
        """
        self._note("error")
        how = self.refuses
        if how == "usual":
            super().protocolError(error)
        elif how == "pause":
            super().protocolError(error)
            self.pauseReading()
            self.resumeReading()
        elif how == "boom":
            raise Boom
        elif how == "later":
            self.clock.callLater(0, self.answer)
        elif how in ("mistake", "abort"):
            self.do(how, True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        try:
            super().connectionLost(reason)
        finally:
            self.told.append("lost")

    def call(self, function: Callable[[], object], isEvent: bool = False) -> None:
        """
        Call what may deliver events, which may raise.
        """
        try:
            function()
        except h11.LocalProtocolError:
            pass
        except Boom:
            if isEvent:
                raise
            # As the documentation says.
            self.abortConnection()

    def do(self, what: str, isEvent: bool = False) -> None:
        """
        Do something, at any time.
        """
        if what == "pause":
            self.pauseReading()
        elif what == "answer":
            self.call(self.answer, isEvent)
        elif what == "cycle":
            self.call(self.startNextCycle, isEvent)
        elif what == "boom" and isEvent:
            raise Boom
        elif what == "abort":
            self.abortConnection()
        elif what == "lose":
            self.loseConnection()
        elif what == "mistake":
            self.say(h11.Data(data=b"x" * 99))
        elif what == "switch":
            self.call(self.switch, isEvent)
        elif what == "close":
            self.say(h11.ConnectionClosed())

    def next(self) -> None:
        """
        Begin the next request and response, if it is time.
        """
        if self.h11Connection.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            self.call(self.startNextCycle)

    def upgrade(self) -> None:
        """
        A client asks for another protocol.
        """

    def allows(self, event: h11.Event) -> bool:
        """
        Whether h11 allows an event now.
        """
        try:
            copy.deepcopy(self.h11Connection).send(event)
        except (h11.LocalProtocolError, AttributeError):
            return False
        return True

    def switch(self) -> None:
        """
        Give the connection away, after it was agreed.
        """
        asked = str(self.h11Connection.their_state) == "MIGHT_SWITCH_PROTOCOL"
        if asked and self.role is h11.SERVER:
            for event in server_events[5], server_events[0]:
                if self.allows(event(self)):
                    self.say(event(self))
                    break
        self.switchProtocol(Other())
        self.switched = True

    def say(self, event: h11.Event) -> None:
        """
        Send an event.
        """
        try:
            self.sendEvent(event)
        except h11.LocalProtocolError:
            self.mistaken = True

    def head(self, size: int) -> h11.Event:
        """
        The head of a message of this side.
        """
        length = ("Content-Length", str(size))
        return h11.Response(status_code=200, headers=[length])

    def answer(self) -> None:
        """
        Send a whole message.
        """
        if self.allows(self.head(0)):
            self.say(self.head(0))
            self.say(h11.EndOfMessage())

    def sendFile(self, size: int, short: bool) -> None:
        """
        Send a message whose content is a file.
        """
        if not self.allows(self.head(0)):
            return
        ends: list[object] = []

        def ended(error: object) -> None:
            # An error has frames in its traceback.
            ends.append(type(error))

        file = io.BytesIO(b"x" * (size - short))
        region: Any = FileRegion(file, 0, size, ended)
        self.say(self.head(size))
        try:
            self.sendEvent(h11.Data(data=region))
        except h11.LocalProtocolError:
            # The answer to HEAD, or to CONNECT.
            self.mistaken = True
        else:
            self.files.append(ends)
        self.say(h11.EndOfMessage())

    def produce(self, registers: bool) -> None:
        """
        Register a producer, or unregister it.
        """
        pressure = self.wire.pressure
        registered = pressure is not None and pressure.producer is not None
        if registers and not registered and not self.switched:
            self.producers.append(Producer())
            self.registerProducer(self.producers[-1], True)  # type: ignore[arg-type]
        elif registered:
            self.producers[-1].gone = True
            self.unregisterProducer()

    def forget(self) -> None:
        """
        It is over.
        """
        self.files.clear()


class Client(Server):
    """
    The same in the role of the client.
    """

    role = h11.CLIENT

    def head(self, size: int) -> h11.Event:
        """
        A request.
        """
        fields = [("Host", "a"), ("Content-Length", str(size))]
        return h11.Request(method="POST", target="/", headers=fields)

    def upgrade(self) -> None:
        """
        Ask for another protocol.
        """
        asks = client_events[6](self)
        if self.allows(asks):
            self.say(asks)
            self.say(h11.EndOfMessage())


def _request(method: str, *fields: tuple[str, str]) -> Callable[[Any], h11.Event]:
    return lambda app: h11.Request(
        method=method, target="/", headers=[("Host", "a"), *fields]
    )


def _response(status: int, *fields: tuple[str, str]) -> Callable[[Any], h11.Event]:
    kind: Any = h11.Response if status >= 200 else h11.InformationalResponse
    return lambda app: kind(status_code=status, headers=list(fields))


_any: tuple[Callable[[Any], h11.Event], ...] = (
    lambda app: h11.Data(data=b"hello"),
    lambda app: h11.Data(data=b"x" * 400),
    lambda app: h11.EndOfMessage(),
    lambda app: h11.EndOfMessage(),
    lambda app: h11.ConnectionClosed(),
)
_SWITCH = (("Upgrade", "x"), ("Connection", "upgrade"))

client_events = (
    _request("GET"),
    _request("GET"),
    _request("HEAD"),
    _request("GET", ("Connection", "close")),
    _request("POST", ("Content-Length", "5")),
    _request("POST", ("Transfer-Encoding", "chunked")),
    _request("GET", *_SWITCH),
    _request("CONNECT"),
    *_any,
)
server_events = (
    _response(200),
    _response(200, ("Content-Length", "5")),
    _response(204),
    _response(200, ("Connection", "close")),
    _response(100),
    _response(101, *_SWITCH),
    *_any,
)
