"""
The same tests over memory, TCP, TLS and UNIX sockets.

A test case mixes in one of the C{*Backend} classes.  Its C{open} connects to a
site and returns a L{Peer}, which talks like a raw client: it sends bytes and
waits for bytes, never for time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import trustme
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.support.memory import MemoryTransport
from tests.support.responses import WireResponse, read_responses
from tests.support.times import end_no_turn

__all__ = [
    "MemoryBackend",
    "Peer",
    "SocketTestCase",
    "TCPBackend",
    "TLSBackend",
    "UNIXBackend",
    "certificate",
]

net: Any = reactor

_certificates: dict[str, Any] = {}


def certificate() -> tuple[Any, Any, str]:
    """
    A certificate for localhost, made once in a process.

    @return: options for a server, a trust root for clients, and the path of a
        PEM file with key and chain.
    """
    if not _certificates:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        key = issued.private_key_pem.bytes()
        chain = [pem.bytes() for pem in issued.cert_chain_pems]
        handle, path = tempfile.mkstemp(suffix=".pem")
        with os.fdopen(handle, "wb") as pem:
            pem.write(key + b"".join(chain))
        private = ssl.PrivateCertificate.loadPEM(key + chain[0])
        root = ssl.Certificate.loadPEM(authority.cert_pem.bytes())
        _certificates.update(private=private, root=root, path=path)
        net.addSystemEventTrigger("after", "shutdown", _forget)
    return _certificates["private"], _certificates["root"], _certificates["path"]


def _forget() -> None:
    os.unlink(_certificates.pop("path"))
    _certificates.clear()


@implementer(IHalfCloseableProtocol)
class Peer(Protocol):
    """
    A raw client.

    @ivar size: how many bytes came.
    @ivar ended: whether the server has closed its side.
    @ivar lost: why the connection is gone, when it is.
    """

    transport: Any

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        self.ended = False
        self.lost: Failure | None = None
        self.methods: list[bytes] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self._pieces.append(data)
        self.size += len(data)
        self._look()

    @property
    def received(self) -> bytes:
        """
        All that came, which is put together when somebody asks.
        """
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    @received.setter
    def received(self, data: bytes) -> None:
        self._pieces = [data]
        self.size = len(data)

    def readConnectionLost(self) -> None:
        """
        The server will send nothing more.
        """
        self.ended = True
        self._look()

    def writeConnectionLost(self) -> None:
        """
        Our own half-close.
        """

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        """
        Everything is over.
        """
        self.ended = True
        self.lost = reason
        self._look()

    def _look(self) -> None:
        for entry in list(self._waiting):
            condition, deferred = entry
            if condition():
                self._waiting.remove(entry)
                deferred.callback(None)

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """
        Fires when C{condition} holds, which is looked at when something came.
        """
        deferred: Deferred[None] = Deferred()
        self._waiting.append((condition, deferred))
        self._look()
        return deferred

    async def responses(self, count: int) -> list[WireResponse]:
        """
        Wait for C{count} whole responses.
        """

        least = 0

        def enough() -> bool:
            nonlocal least
            if self.ended:
                return True
            if self.size < least:
                return False
            try:
                found = self.read()
            except AssertionError:
                return False
            if found and not found[-1].complete and found[-1].framing == "length":
                length = int(found[-1].get(b"content-length") or 0)
                least = self.size + length - len(found[-1].body)
            return len(found) >= count and found[-1].complete

        await self.until(enough)
        return self.read()

    def read(self) -> list[WireResponse]:
        """
        The responses that are here.
        """
        return read_responses(self.received, self.methods, self.ended)

    async def end(self) -> None:
        """
        Wait for the end of what the server sends.
        """
        await self.until(lambda: self.ended)

    async def gone(self) -> None:
        """
        Wait until the connection is gone.
        """
        await self.until(lambda: self.lost is not None)

    def send(self, data: bytes) -> None:
        """
        Send.
        """
        self.transport.write(data)

    def halfClose(self) -> None:
        """
        Close our sending side.
        """
        self.transport.loseWriteConnection()

    def close(self) -> None:
        """
        Close.
        """
        self.transport.loseConnection()

    def abort(self) -> None:
        """
        Reset.
        """
        self.transport.abortConnection()


class SocketTestCase(TestCase):
    """
    A test case with a real reactor; what it opened is closed afterwards.
    """

    timeout = 60
    clock: Any = net

    def setUp(self) -> None:
        """
        Nothing is open.
        """
        self.peers: list[Peer] = []
        self.ports: list[Any] = []
        self.channels: list[Any] = []
        self.folders: list[str] = []
        end_no_turn(self)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.closeAll()))

    async def closeAll(self) -> None:
        """
        Close everything, and wait for it.
        """
        for peer in self.peers:
            if peer.lost is None:
                peer.abort()
                await peer.gone()
        for port in self.ports:
            await port.stopListening()
        # One more turn: the server's ends notice, too.
        await self.turns(3)
        for _ in range(1000):
            if all(channel.gone for channel in self.channels):
                break
            await self.turns(1)
        self.assertTrue(all(channel.gone for channel in self.channels))
        for folder in self.folders:
            shutil.rmtree(folder)

    def watched(self, site: Any) -> Any:
        """
        Have C{site} note when its connections are gone.
        """
        build = site.buildProtocol
        case = self

        class Watch:
            gone = False

        def buildProtocol(address: Any) -> Any:
            channel, watch = build(address), Watch()
            case.channels.append(watch)
            lost = channel.connectionLost

            def connectionLost(reason: Any) -> None:
                watch.gone = True
                lost(reason)

            channel.connectionLost = connectionLost
            return channel

        site.buildProtocol = buildProtocol
        return site

    async def listen(self, site: Any) -> Any:
        """
        Serve C{site}.

        @return: what C{connect} takes.
        """
        raise NotImplementedError

    async def connect(self, port: Any) -> Peer:
        """
        Connect a client.
        """
        raise NotImplementedError

    async def open(self, site: Any) -> Peer:
        """
        Serve a site and connect one client.
        """
        return await self.connect(await self.listen(site))

    async def turns(self, count: int) -> None:
        """
        Let the reactor turn a few times.
        """
        for _ in range(count):
            await deferLater(net, 0)

    def keep(self, peer: Any) -> Peer:
        """
        Remember a client for the end of the test.
        """
        result: Peer = peer
        self.peers.append(result)
        return result


class TCPBackend(SocketTestCase):
    """
    TCP on the loopback interface.
    """

    hasHalfClose = True

    async def listen(self, site: Any) -> Any:
        """
        On a port that is free.
        """
        endpoint = TCP4ServerEndpoint(net, 0, interface="127.0.0.1")
        port: Any = await endpoint.listen(self.watched(site))
        self.ports.append(port)
        return port

    async def connect(self, port: Any) -> Peer:
        """
        To that port.
        """
        endpoint = TCP4ClientEndpoint(net, "127.0.0.1", port.getHost().port)
        return self.keep(await connectProtocol(endpoint, Peer()))


class UNIXBackend(SocketTestCase):
    """
    A UNIX socket.
    """

    hasHalfClose = True

    async def listen(self, site: Any) -> Any:
        """
        In a new folder.
        """
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "socket")
        self.folders.append(folder)
        port: Any = await UNIXServerEndpoint(net, path).listen(self.watched(site))
        self.ports.append(port)
        return port

    async def connect(self, port: Any) -> Peer:
        """
        To that socket.
        """
        endpoint = UNIXClientEndpoint(net, port.getHost().name)
        return self.keep(await connectProtocol(endpoint, Peer()))


class TLSBackend(SocketTestCase):
    """
    TLS over TCP.
    """

    hasHalfClose = False

    async def listen(self, site: Any) -> Any:
        """
        With a certificate for localhost.
        """
        private, _, _ = certificate()
        port = net.listenSSL(
            0, self.watched(site), private.options(), interface="127.0.0.1"
        )
        self.ports.append(port)
        return port

    async def connect(self, port: Any) -> Peer:
        """
        With its authority trusted.
        """
        _, root, _ = certificate()
        options = ssl.optionsForClientTLS("localhost", trustRoot=root)
        plain = HostnameEndpoint(net, "127.0.0.1", port.getHost().port)
        return self.keep(await connectProtocol(wrapClientTLS(options, plain), Peer()))


class _Pipe:
    """
    What a L{Peer} writes to in memory.
    """

    def __init__(self, peer: Peer, channel: Any, server: MemoryTransport) -> None:
        self.peer = peer
        self.channel = channel
        self.server = server
        self.unread: list[bytes] = []
        self.ending = False
        self.told = 0
        self.scheduled = False

    def write(self, data: bytes) -> None:
        self.unread.append(data)
        self.schedule()

    def loseWriteConnection(self) -> None:
        self.ending = True
        self.schedule()

    def loseConnection(self) -> None:
        self.ending = True
        self.schedule()

    def abortConnection(self) -> None:
        self.server.aborted = True
        self.schedule()

    def schedule(self) -> None:
        if not self.scheduled and not self.server.ended:
            self.scheduled = True
            net.callLater(0, self.turn)

    def turn(self) -> None:
        """
        What a reactor does in one turn.
        """
        from twisted.internet.error import ConnectionAborted, ConnectionDone

        self.scheduled = False
        server, channel = self.server, self.channel
        if self.unread and not (server.paused or server.disconnecting):
            channel.dataReceived(self.unread.pop(0))
        elif self.ending and not self.unread and not server.disconnecting:
            self.ending = False
            channel.readConnectionLost()
        new = bytes(server.output[self.told :])
        self.told += len(new)
        if new:
            self.peer.dataReceived(new)
        if server.aborted or (server.disconnecting and server.producer is None):
            server.ended = True
            kind = ConnectionAborted if server.aborted else ConnectionDone
            reason = Failure(kind())
            channel.connectionLost(reason)
            self.peer.connectionLost(reason)
        else:
            self.schedule()


class MemoryBackend(SocketTestCase):
    """
    No socket at all, but the same turns of the reactor.
    """

    hasHalfClose = False

    async def listen(self, site: Any) -> Any:
        """
        Nothing to listen on.
        """
        return self.watched(site)

    async def connect(self, port: Any) -> Peer:
        """
        A pair of ends.
        """
        transport = MemoryTransport()
        channel = port.buildProtocol(transport.getPeer())
        channel.makeConnection(transport)
        peer = Peer()
        peer.transport = _Pipe(peer, channel, transport)
        peer.transport.schedule()
        return self.keep(peer)
