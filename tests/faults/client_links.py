"""
The server of the client's rows, in memory and over sockets, with the same names.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper

from tests.faults.checks import net
from tests.faults.links import JUNK, PART, FaultySocket, bare
from tests.support.client_memory import MemoryEndpoint
from tests.support.socket_cases import Peer, certificate

__all__ = ["MemoryServer", "SocketServer", "client_socket"]


def client_socket() -> Any:
    """
    The client's transport, if there is one.
    """
    for each in [*net.getReaders(), *net.getWriters()]:
        if isinstance(each, (tcp.Client, unix.Client)) and each.connected:
            return each
    return None


class MemoryServer:
    """
    In memory.
    """

    def __init__(self, run: Any) -> None:
        self.run = run
        self.network = MemoryEndpoint(run.clock)
        self.sent: dict[int, int] = {}
        self._stalls = False
        run.undo.append(self.network.peers.clear)

    @property
    def peers(self) -> list[Any]:
        """
        The connections.
        """
        for peer in self.network.peers:
            if peer.protocol is not None and id(peer) not in self.sent:
                self.sent[id(peer)] = 0
                self.run.left.watch("the connection", peer.protocol)
                if self._stalls:
                    peer.fill()
        return self.network.peers

    @property
    def stalls(self) -> bool:
        """
        Whether nothing is read.
        """
        return self._stalls

    @stalls.setter
    def stalls(self, stalls: bool) -> None:
        self._stalls = stalls

    def uri(self, host: str) -> bytes:
        """
        What to ask for.
        """
        return b"http://example.com/"

    def connectAll(self) -> None:
        """
        Whoever waits for a connection gets it, if the network does not fail.
        """
        while self.run.goesOn and self.network.hanging:
            self.network.connectOne()

    def requests(self) -> int:
        """
        How many heads have come.
        """
        return sum(peer.received.count(b"\r\n\r\n") for peer in self.peers)

    async def say(self, data: bytes) -> None:
        """
        Send on the last connection.
        """
        peer = self.peers[-1]
        self.sent[id(peer)] = len(data) if data.startswith(b"HTTP/1.1 200") else 0
        peer.send(data)
        await self.run.turn()

    def goOn(self, answer: bytes) -> None:
        """
        Read, and answer what was not answered.
        """
        for peer in self.peers:
            if not (peer.gone or peer.closed):
                peer.drain()
                sent = self.sent[id(peer)]
                due = answer * peer.received.count(b"\r\n\r\n")
                if due[sent:]:
                    self.sent[id(peer)] = len(due)
                    peer.send(due[sent:])

    def trickle(self, answer: bytes) -> None:
        """
        Send a byte of the answer.
        """
        for peer in self.peers:
            if not (peer.gone or peer.closed) and peer.received:
                sent = self.sent[id(peer)]
                self.sent[id(peer)] = sent + 1
                peer.output += peer.backlog[:10]
                del peer.backlog[:10]
                peer.send(answer[sent : sent + 1])

    # -- faults ---------------------------------------------------------------------

    def reset(self) -> None:
        """
        All are gone.
        """
        for peer in self.peers:
            peer.lose(ConnectionResetError(errno.ECONNRESET, "reset"))

    def lose(self, code: int) -> None:
        """
        A call of the sockets fails.
        """
        for peer in self.peers:
            self.run.clock.callLater(0, peer.lose, OSError(code, os.strerror(code)))

    def halfClose(self) -> None:
        """
        Send nothing more.
        """
        self.run.goesOn = False
        for peer in self.peers:
            if not (peer.gone or peer.closed):
                peer.end()

    def stall(self) -> None:
        """
        Neither read nor send.
        """
        self.run.goesOn = False
        for peer in self.peers:
            peer.stall()

    async def close(self) -> None:
        """
        The end.
        """
        for peer in self.peers:
            peer.lose()
            peer.protocol = None
        await self.run.turn()


class SocketServer:
    """
    Over real sockets.

    @ivar peers: the connections.
    @ivar shakes: whether it speaks TLS, where it should.
    @ivar stalls: whether it reads nothing.
    """

    def __init__(self, run: Any) -> None:
        self.run = run
        self.peers: list[Any] = []
        self.shakes = True
        self.stalls = False
        self.port: Any = None
        self.number = 0
        self.path = os.path.join(run.left.files, "socket")

    async def listen(self) -> None:
        """
        Begin.
        """
        server = self

        class Served(Peer):
            sent = 0

            def connectionMade(self) -> None:
                server.peers.append(self)
                transport = bare(self.transport)
                if server.run.transport != "unix":
                    transport.setTcpNoDelay(True)
                if server.stalls:
                    transport.pauseProducing()
                client = client_socket()
                if client is not None:
                    server.run.left.watch("the connection", client.protocol)
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

        factory = Factory.forProtocol(Served)
        factory.noisy = False
        if self.run.transport == "unix":
            self.port = net.listenUNIX(self.path, factory)
        elif self.run.transport == "tls" and self.shakes:
            private, _, _ = certificate()
            self.port = net.listenSSL(
                0, factory, private.options(), interface="127.0.0.1"
            )
        else:
            self.port = net.listenTCP(0, factory, interface="127.0.0.1")
        if self.run.transport != "unix":
            self.number = self.port.getHost().port

    async def listenAgain(self) -> None:
        """
        Listen otherwise.
        """
        await self.port.stopListening()
        await self.listen()

    def uri(self, host: str) -> bytes:
        """
        What to ask for.
        """
        if self.run.transport == "unix":
            return b"http://example.com/"
        scheme = "https" if self.run.transport == "tls" else "http"
        return f"{scheme}://{host}:{self.number}/".encode()

    def open(self) -> list[Any]:
        """
        The connections that are there.
        """
        return [peer for peer in self.peers if peer.lost is None]

    def requests(self) -> int:
        """
        How many heads have come.
        """
        return sum(peer.received.count(b"\r\n\r\n") for peer in self.peers)

    async def say(self, data: bytes) -> None:
        """
        Send on the last connection.
        """
        peer = self.peers[-1]
        peer.sent = len(data) if data.startswith(b"HTTP/1.1 200") else 0
        peer.send(data)
        for _ in range(4):
            await self.run.turn()

    def goOn(self, answer: bytes) -> None:
        """
        Read, and answer what was not answered.
        """
        for peer in self.open():
            if self.stalls:
                bare(peer.transport).resumeProducing()
            due = answer * peer.received.count(b"\r\n\r\n")
            if due[peer.sent :] and not peer.transport.disconnecting:
                peer.send(due[peer.sent :])
                peer.sent = len(due)
        self.stalls = False

    def trickle(self, answer: bytes) -> None:
        """
        Send a byte of the answer.
        """
        for peer in self.open():
            if peer.received:
                peer.send(answer[peer.sent : peer.sent + 1])
                peer.sent += 1

    # -- faults ---------------------------------------------------------------------

    def reset(self) -> None:
        """
        All are gone.
        """
        for peer in self.open():
            peer.abort()

    def halfClose(self) -> None:
        """
        Send nothing more; on TLS, say so.
        """
        self.run.goesOn = False
        for peer in self.open():
            if isinstance(peer.transport, ProtocolWrapper):
                peer.close()
            else:
                peer.halfClose()

    def stall(self) -> None:
        """
        Neither read nor send.
        """
        self.run.goesOn = False
        self.stalls = True
        for peer in self.open():
            bare(peer.transport).pauseProducing()

    def raw(self, cut: bool) -> None:
        """
        Send what is no record of TLS, or the beginning of one.
        """
        self.run.goesOn = False
        for peer in self.open():
            bare(peer.transport).write(PART if cut else JUNK)
            if cut:
                bare(peer.transport).loseConnection()

    def breakSocket(self, calls: tuple[str, ...], code: int, skip: int = 0) -> Any:
        """
        Have the next calls of the client's socket fail.
        """
        client = client_socket()
        if client is not None:
            times = 3 if code == errno.ENOBUFS else 1_000_000
            faulty = FaultySocket(client.socket, calls, code, skip, times)
            client.socket = faulty
            return faulty
        return None

    async def close(self) -> None:
        """
        The end.
        """
        for peer in self.open():
            peer.abort()
        await self.run.turn()
        stopping = self.port.stopListening()
        if stopping is not None:
            await stopping
        self.peers.clear()
