"""
A WebSocket chat: what one says, all get.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import Data
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import generate_accept_token
from zope.interface import implementer

from twisted_h11.interfaces import IDrainable
from twisted_h11.server import Request

PAGE = b"""<!DOCTYPE html>
<title>Chat</title>
<form><input autofocus> <button>Say</button></form>
<ul id="list"></ul>
<script>
const socket = new WebSocket(location.href.replace("http", "ws") + "chat");
const input = document.querySelector("input");
socket.onmessage = function (event) {
  list.prepend(document.createElement("li"));
  list.firstChild.textContent = event.data;
};
document.querySelector("form").onsubmit = function (event) {
  event.preventDefault();
  socket.send(input.value);
  input.value = "";
};
</script>
"""


class Chat(Resource):
    """
    All who are in, and the handshake of RFC 6455 for those who come.
    """

    isLeaf = True
    # Characters of a message.
    longest = 1000
    # Seconds in which a client answers a ping, and closes after we did.
    patience = 30.0

    def __init__(self, clock: Any = reactor) -> None:
        super().__init__()
        self.clock = clock
        self.members: set[Member] = set()
        self.looking = LoopingCall(self.look)
        self.looking.clock = clock
        self.looking.start(self.patience, now=False)

    def render_GET(self, request: Request) -> Any:
        """
        Switch to WebSocket, or say that it is required.
        """
        request.setHeader(b"Upgrade", b"websocket")
        key = request.getHeader(b"Sec-WebSocket-Key")
        upgrade = request.getHeader(b"Upgrade") or b""
        version = request.getHeader(b"Sec-WebSocket-Version")
        wanted = request.method == b"GET" and upgrade.lower() == b"websocket"
        if wanted and version == b"13" and key:
            request.setHeader(b"Sec-WebSocket-Accept", generate_accept_token(key))
            try:
                request.switchProtocol(Member(self))
            except ValueError:
                pass  # HTTP/1.0, or no Upgrade in its Connection field
            else:
                return NOT_DONE_YET
        request.setHeader(b"Sec-WebSocket-Version", b"13")
        request.setResponseCode(426, b"Upgrade Required")
        return b"This is a WebSocket of version 13.\n"

    def say(self, message: str) -> None:
        """
        Tell all.
        """
        for member in list(self.members):
            member.send(TextMessage(message))

    def look(self) -> None:
        """
        Drop clients that did not answer the last ping.
        """
        for member in list(self.members):
            if member.heard:
                member.heard = False
                member.send(Ping())
            else:
                member.transport.abortConnection()


@implementer(IDrainable)
class Member(Protocol):
    """
    One connection, and the producer that is told when its client does not read.
    """

    transport: Any
    behind = False
    heard = True
    text = ""
    end: Any = None

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.connection = Connection(ConnectionType.SERVER)

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self.chat.members.add(self)

    def dataReceived(self, data: bytes) -> None:
        self.heard = True
        if self in self.chat.members:
            self.connection.receive_data(data)
            for event in self.connection.events():
                self.received(event)
                if self not in self.chat.members:
                    break

    def received(self, event: Event) -> None:
        """
        A piece of a message, or a frame that controls the connection.
        """
        if isinstance(event, TextMessage):
            self.text += event.data
            if len(self.text) > self.chat.longest:
                self.leave(CloseConnection(1009))
            elif event.message_finished:
                message, self.text = self.text, ""
                self.chat.say(message)
        elif isinstance(event, BytesMessage):
            self.leave(CloseConnection(1003))
        elif isinstance(event, CloseConnection):
            self.leave(event.response())
        elif isinstance(event, Ping):
            self.send(event.response())

    def send(self, event: Event) -> None:
        """
        Send, unless the client does not keep up: it is let go.
        """
        if self.behind:
            self.leave(CloseConnection(1013))
        elif self in self.chat.members:
            self.transport.write(self.connection.send(event))

    def leave(self, event: CloseConnection) -> None:
        """
        Say why, and close; if the client does not read that, drop it.
        """
        if self in self.chat.members:
            self.chat.members.remove(self)
            self.transport.write(self.connection.send(event))
            self.transport.unregisterProducer()
            self.transport.loseConnection()
            self.end = self.chat.clock.callLater(
                self.chat.patience, self.transport.abortConnection
            )

    def drain(self) -> None:
        """
        The server stops.
        """
        self.leave(CloseConnection(1001))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.chat.members.discard(self)
        if self.end is not None and self.end.active():
            self.end.cancel()

    def pauseProducing(self) -> None:
        self.behind = True

    def resumeProducing(self) -> None:
        self.behind = False

    def stopProducing(self) -> None:
        pass


class Root(Resource):
    """
    The page and the chat.
    """

    def __init__(self) -> None:
        super().__init__()
        self.putChild(b"", Data(PAGE, "text/html; charset=utf-8"))
        self.putChild(b"chat", Chat())
