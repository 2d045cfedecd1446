"""
A WebSocket that says everything back, with wsproto.

``python server_websocket.py``, then ``websockets ws://localhost:8080/``.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import react
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Message, Ping
from wsproto.utilities import LocalProtocolError, generate_accept_token

from twisted_h11.server import Request, Site


class EchoSocket(Protocol, TimeoutMixin):
    """
    The connection after the handshake: frames in, frames out.

    A peer that does not read is not read from either.  One from which nothing was read
    for five minutes is dropped.
    """

    transport: Any
    silence = 300.0

    def __init__(self) -> None:
        self.connection = Connection(ConnectionType.SERVER)

    def connectionMade(self) -> None:
        """
        Hear when the peer does not read.
        """
        self.transport.registerProducer(self, True)
        self.setTimeout(self.silence)

    def timeoutConnection(self) -> None:
        """
        It was silent for too long.
        """
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is gone.
        """
        self.setTimeout(None)

    def pauseProducing(self) -> None:
        """
        The peer does not read.
        """
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        It reads again.
        """
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        It is gone.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        Answer each event.
        """
        if self.connection.state is not ConnectionState.OPEN:
            return
        self.resetTimeout()
        connection = self.connection
        connection.receive_data(data)
        try:
            for event in connection.events():
                if isinstance(event, (CloseConnection, Ping)):
                    self.transport.write(connection.send(event.response()))
                elif isinstance(event, Message):
                    # Piece by piece, as it came: no message is ever collected.
                    self.transport.write(connection.send(event))
        except LocalProtocolError:
            pass  # frames behind the one that has ended it
        if connection.state is not ConnectionState.OPEN:
            self.transport.unregisterProducer()
            self.transport.loseConnection()


class EchoResource(Resource):
    """
    Accepts the handshake of RFC 6455.
    """

    isLeaf = True

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
                request.switchProtocol(EchoSocket())
            except ValueError:
                pass  # HTTP/1.0, or no Upgrade in its Connection field
            else:
                return NOT_DONE_YET
        request.setHeader(b"Sec-WebSocket-Version", b"13")
        request.setResponseCode(426, b"Upgrade Required")
        return b"This is a WebSocket of version 13.\n"


async def main(reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1") -> None:
    """
    Listen, and say where.
    """
    port = await serverFromString(reactor, endpoint).listen(Site(EchoResource()))
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
