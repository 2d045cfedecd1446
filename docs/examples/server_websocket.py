"""
A WebSocket that says everything back, with wsproto.

``python server_websocket.py``, then ``websockets ws://localhost:8080/``.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Protocol
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Message, Ping
from wsproto.utilities import LocalProtocolError, generate_accept_token

from twisted_h11.server import Request, Site


class EchoSocket(Protocol):
    """
    The connection after the handshake: frames in, frames out.

    A peer that does not read is not read from either.
    """

    transport: Any

    def __init__(self) -> None:
        self.connection = Connection(ConnectionType.SERVER)

    def connectionMade(self) -> None:
        """
        Hear when the peer does not read.
        """
        self.transport.registerProducer(self, True)

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
            pass  # the peer had begun to close
        if connection.state is ConnectionState.CLOSED:
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
        upgrade = (request.getHeader(b"Upgrade") or b"").lower()
        key = request.getHeader(b"Sec-WebSocket-Key")
        request.setHeader(b"Upgrade", b"websocket")
        if upgrade != b"websocket" or key is None:
            request.setResponseCode(426, b"Upgrade Required")
            return b"This is a WebSocket.\n"
        if request.getHeader(b"Sec-WebSocket-Version") != b"13":
            request.setHeader(b"Sec-WebSocket-Version", b"13")
            request.setResponseCode(426, b"Upgrade Required")
            return b"This is a WebSocket of version 13.\n"
        request.setHeader(b"Sec-WebSocket-Accept", generate_accept_token(key))
        request.switchProtocol(EchoSocket())
        return NOT_DONE_YET


async def main(reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1") -> None:
    """
    Listen, and say where.
    """
    port = await serverFromString(reactor, endpoint).listen(Site(EchoResource()))
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
