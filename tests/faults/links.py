"""
A connection to a server, in memory and over sockets, with the same names.
"""

from __future__ import annotations

import errno
import os
import socket
import weakref
from typing import Any

from twisted.internet import ssl
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from twisted.internet.interfaces import IHandshakeListener
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from tests.faults.checks import Run, net
from tests.support.memory import MemoryTransport
from tests.support.socket_cases import Peer, certificate
from tests.support.wire import Wire

__all__ = ["FaultySocket", "Link", "MemoryLink", "SocketLink", "bare", "open_link"]

# A record of TLS whose content is none, and the beginning of one.
JUNK = b"\x17\x03\x03\x00\x20" + b"\xa5" * 32
PART = b"\x17\x03\x03\x40\x00" + b"\x5a" * 10


@implementer(IHandshakeListener)
class TellingPeer(Peer):
    """
    One that knows whether its handshake is over.
    """

    shaken = False

    def handshakeCompleted(self) -> None:
        """
        It is.
        """
        self.shaken = True


class FaultySocket:
    """
    A socket some of whose calls fail.

    @param calls: the names of those that do.
    @param code: how.
    @param skip: how many of them succeed before.
    @param times: how many fail then.
    """

    def __init__(
        self, real: Any, calls: tuple[str, ...], code: int, skip: int, times: int
    ) -> None:
        self._real = real
        self._calls = calls
        self._code = code
        self._skip = skip
        self._times = times
        self.failed = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in self._calls:
            return real

        def call(*arguments: Any) -> Any:
            if self._skip:
                self._skip -= 1
            elif self.failed < self._times:
                self.failed += 1
                raise OSError(self._code, os.strerror(self._code))
            return real(*arguments)

        return call


def bare(transport: Any) -> Any:
    """
    The socket's transport, below TLS.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport


class Link:
    """
    What the client does, and how things stand.
    """

    received = b""
    gone = False
    ended = False

    def send(self, data: bytes) -> None:
        """
        Send.
        """

    def reset(self) -> None:
        """
        Be gone.
        """

    def halfClose(self) -> None:
        """
        Close the sending side; on TLS, say that nothing more will come.
        """

    def stall(self) -> None:
        """
        Read no more.
        """

    def drain(self) -> None:
        """
        Read again.
        """

    def sip(self) -> None:
        """
        Read a little.
        """

    def close(self) -> None:
        """
        Forget everything.
        """


class MemoryLink(Link):
    """
    In memory.
    """

    def __init__(self, site: Any, run: Run) -> None:
        self.wire = Wire(site, run.clock)
        run.left.watch("the channel", self.wire.channel)
        self.wire.channel = None
        self.busy = False
        self.failing: int | None = None
        self._pump = self.wire.pump
        self.wire.pump = self.pump  # type: ignore[method-assign]

    @property
    def received(self) -> bytes:  # type: ignore[override]
        """
        What the client has read.
        """
        return self.wire.output

    @property
    def gone(self) -> bool:  # type: ignore[override]
        """
        Whether the server knows that it is over.
        """
        return self.wire.closed

    ended = gone

    def pump(self) -> None:
        """
        Not from within a call of the server.
        """
        if not self.busy:
            self.busy = True
            try:
                self._pump()
            finally:
                self.busy = False

    def send(self, data: bytes) -> None:
        if not self.gone:
            self.wire.send(data)

    def reset(self) -> None:
        self.wire.unread.clear()
        if self.busy:
            # The reactor tells nobody in the middle of a call.
            self.wire.clock.callLater(0, self.wire.vanish)
        else:
            self.wire.vanish()

    def lose(self, code: int) -> None:
        """
        A call of the socket fails: the reactor ends the connection in its next turn.
        """
        error = OSError(code, os.strerror(code))
        self.wire.clock.callLater(0, self.wire.vanish, error)

    def halfClose(self) -> None:
        self.wire.wantsEnd = True
        self.pump()

    def stall(self) -> None:
        self.wire.stall()

    def drain(self) -> None:
        if not self.gone:
            self.wire.drain()

    def sip(self) -> None:
        transport: MemoryTransport = self.wire.transport
        transport.output += transport.backlog[:100]
        del transport.backlog[:100]
        self.pump()

    def close(self) -> None:
        self.wire.pump = self._pump  # type: ignore[method-assign]
        del self._pump


class SocketLink(Link):
    """
    Over a real socket.

    @ivar server: the server's transport, while it is there.
    @ivar made: whether the server has accepted.
    """

    peer: Any

    def __init__(self) -> None:
        self._server: Any = None
        self.made = False

    @property
    def server(self) -> Any:
        """
        The socket's transport at the server.
        """
        return None if self._server is None else self._server()

    def accepted(self, transport: Any) -> None:
        """
        The server has a connection.
        """
        self._server = weakref.ref(bare(transport))
        self.made = True
        handle = bare(transport).socket
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)

    @property
    def received(self) -> bytes:  # type: ignore[override]
        """
        What the client has read.
        """
        received: bytes = self.peer.received
        return received

    @property
    def ended(self) -> bool:  # type: ignore[override]
        """
        Whether the client has read the end.
        """
        ended: bool = self.peer.ended
        return ended

    @property
    def gone(self) -> bool:  # type: ignore[override]
        """
        Whether the server knows that it is over.
        """
        server = self.server
        if not self.made:
            # Whoever could not be accepted.
            return self.peer.lost is not None
        return server is None or not server.connected

    def send(self, data: bytes) -> None:
        if self.peer.lost is None:
            self.peer.send(data)

    def reset(self) -> None:
        if self.peer.lost is None:
            self.peer.abort()

    def halfClose(self) -> None:
        if isinstance(self.peer.transport, ProtocolWrapper):
            self.peer.close()
        elif self.peer.lost is None:
            self.peer.halfClose()

    def stall(self) -> None:
        if self.peer.lost is None:
            self.peer.transport.pauseProducing()

    def drain(self) -> None:
        if self.peer.lost is None:
            self.peer.transport.resumeProducing()

    def sip(self) -> None:
        if self.peer.lost is None:
            self.peer.transport.resumeProducing()
            net.callLater(0, self.stall)

    def raw(self, data: bytes) -> None:
        """
        Send below TLS.
        """
        if self.peer.lost is None:
            bare(self.peer.transport).write(data)

    def cut(self) -> None:
        """
        Send the beginning of a record, and the end of the connection.
        """
        self.raw(PART)
        if self.peer.lost is None:
            bare(self.peer.transport).loseConnection()

    def breakSocket(self, calls: tuple[str, ...], code: int, skip: int = 0) -> Any:
        """
        Have the next calls of the server's socket fail.
        """
        server = self.server
        if server is not None and server.connected:
            times = 3 if code == errno.ENOBUFS else 1_000_000
            faulty = FaultySocket(server.socket, calls, code, skip, times)
            server.socket = faulty
            return faulty
        return None


async def open_link(site: Any, run: Run, patched: Any = None) -> Any:
    """
    Serve a site and connect to it.

    @param patched: called with the listening port.
    """
    if not run.real:
        site.startFactory()
        run.undo.append(site.stopFactory)
        return MemoryLink(site, run)
    link = SocketLink()
    build = site.buildProtocol

    def buildProtocol(address: Any) -> Any:
        channel = build(address)
        if channel is not None:
            run.left.watch("the channel", channel)
            make = type(channel).makeConnection

            def makeConnection(transport: Any) -> None:
                this: Any = channelRef()
                del this.makeConnection
                make(this, transport)
                link.accepted(transport)

            channelRef = weakref.ref(channel)
            channel.makeConnection = makeConnection
        return channel

    site.buildProtocol = buildProtocol
    link.peer = TellingPeer()
    shakes = run.transport == "tls" and run.stage != "accepted"
    if run.transport == "unix":
        path = os.path.join(run.left.files, "socket")
        port = net.listenUNIX(path, site)
        endpoint: Any = UNIXClientEndpoint(net, path)
    elif run.transport == "tls":
        private, root, _ = certificate()
        port = net.listenSSL(0, site, private.options(), interface="127.0.0.1")
        number = port.getHost().port
        # What is only accepted has not shaken hands.
        endpoint = TCP4ClientEndpoint(net, "127.0.0.1", number)
        if shakes:
            options = ssl.optionsForClientTLS("localhost", trustRoot=root)
            plain = HostnameEndpoint(net, "127.0.0.1", number)
            endpoint = wrapClientTLS(options, plain)
    else:
        port = net.listenTCP(0, site, interface="127.0.0.1")
        endpoint = TCP4ClientEndpoint(net, "127.0.0.1", port.getHost().port)
    run.awaitUndo.append(port.stopListening)
    if patched is not None:
        patched(port)
    await connectProtocol(endpoint, link.peer)
    handle = bare(link.peer.transport).socket
    if run.transport != "unix":
        # What is sent in pieces does not wait for the other side's word.
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = link.peer
    await run.until(lambda: link.made or link.gone, "the connection")
    await run.until(lambda: peer.shaken or not shakes or link.gone, "the handshake")
    return link
