"""
A WebSocket chat: what one says, all get.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.resource import Resource
from twisted.web.static import Data
from twisted.web.websocket import WebSocketResource, WebSocketTransport
from zope.interface import implementer

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


class Chat:
    """
    All who are in.
    """

    longest = 1000

    def __init__(self) -> None:
        self.members: set[Member] = set()

    def buildProtocol(self, request: Any) -> Member:
        """
        Somebody comes.
        """
        return Member(self)

    def say(self, message: str) -> None:
        """
        Tell all.  Who does not keep up is let go.
        """
        for member in list(self.members):
            if member.behind:
                member.transport.loseConnection(1013)
            else:
                member.transport.sendTextMessage(message)


@implementer(IPushProducer)
class Member:
    """
    One connection, and the producer that is told when its client does not read.
    """

    transport: WebSocketTransport
    behind = False

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self.transport.attachProducer(self)
        self.chat.members.add(self)

    def textMessageReceived(self, message: str) -> None:
        if len(message) > self.chat.longest:
            self.transport.loseConnection(1009)
        else:
            self.chat.say(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.transport.loseConnection(1003)

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Any) -> None:
        self.chat.members.discard(self)

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
        self.putChild(b"chat", WebSocketResource(Chat()))
