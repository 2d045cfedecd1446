"""
Sockets that somebody else has opened: systemd, or the parent of several workers.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.internet.protocol import Factory
from twisted.plugin import getPlugins
from twisted.python.systemd import ListenFDs

from tests.support.server_cases import FAST_PATH, GET, Calls
from tests.support.socket_cases import Peer, TCPBackend, UNIXBackend
from twisted_h11._command import handed as handed_module
from twisted_h11._command.adopted import AdoptingReactor, reactor_for
from twisted_h11._command.handed import InheritingReactor, OpeningReactor
from twisted_h11.server import Site

net: Any = reactor


def site() -> Any:
    """
    Answers with the path that was asked for.
    """
    return Site(Calls(lambda request: request.path), fastPath=FAST_PATH)


class HandedTestCase(TCPBackend):
    """
    Has sockets, and asks those who serve them.
    """

    def opened(self, listens: bool = True, **options: Any) -> socket.socket:
        """
        A socket that somebody has opened.
        """
        made = socket.socket(**options)
        self.addCleanup(made.close)
        if made.family == socket.AF_UNIX:
            folder = tempfile.mkdtemp()
            self.folders.append(folder)
            made.bind(f"{folder}/s")
            os.chmod(f"{folder}/s", 0o600)
        else:
            made.bind(("127.0.0.1", 0))
        if listens:
            made.listen()
        return made

    async def served(self, port: Any) -> None:
        """
        Somebody serves there; then no longer.
        """
        connect: Any = TCPBackend.connect
        if isinstance(port.getHost(), UNIXAddress):
            connect = UNIXBackend.connect
        peer: Peer = await connect(self, port)
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual((200, b"/"), (response.status, response.body))
        peer.close()
        await peer.gone()
        await port.stopListening()

    def goesOn(self, opened: socket.socket) -> None:
        """
        Whoever else has the socket can go on with it.
        """
        client = socket.socket(opened.family)
        self.addCleanup(client.close)
        client.connect(opened.getsockname())
        opened.settimeout(20)
        accepted, _ = opened.accept()
        accepted.close()
        if opened.family == socket.AF_UNIX:
            mode = os.stat(opened.getsockname()).st_mode
            self.assertEqual(0o600, stat.S_IMODE(mode))


class AdoptingTests(HandedTestCase):
    """
    L{AdoptingReactor}.
    """

    async def test_goesOn(self) -> None:
        """
        A socket is served, and goes on as it was when the server ends; a server begins
        with its first port, and ends with its last.
        """
        for family in (socket.AF_INET, socket.AF_UNIX):
            opened = self.opened(family=family)
            made = self.watched(site())
            port = AdoptingReactor(net).adoptStreamPort(opened.fileno(), family, made)
            self.assertEqual(1, made.numPorts)
            await self.served(port)
            self.assertEqual((0, False), (made.numPorts, port.connected))
            self.goesOn(opened)

    async def test_fails(self) -> None:
        """
        Also if the server fails to end.
        """
        opened = self.opened()
        made = self.watched(site())

        stop = made.stopFactory

        def fail() -> None:
            stop()
            raise ValueError("no end")

        made.stopFactory = fail
        adopting = AdoptingReactor(net)
        port = adopting.adoptStreamPort(opened.fileno(), socket.AF_INET, made)
        with self.assertRaises(ValueError):
            await self.served(port)
        self.assertFalse(port.disconnecting)
        self.goesOn(opened)

    def test_closed(self) -> None:
        """
        A socket that another endpoint has taken, and closed, is refused in words.
        """
        descriptor = os.open(os.devnull, os.O_RDONLY)
        os.close(descriptor)
        adopt = AdoptingReactor(net).adoptStreamPort
        error = self.assertRaises(ValueError, adopt, descriptor, socket.AF_INET, site())
        self.assertIn("another endpoint has taken it", str(error))

    def test_refused(self) -> None:
        """
        What is no socket of the family, or does not listen, is refused in words, and
        left alone.
        """
        notListening = "does not listen for connections (ListenStream= and Accept=no)"
        cases: tuple[tuple[dict[str, Any], int, str], ...] = (
            ({}, socket.AF_UNIX, "is of the domain INET, not UNIX"),
            ({"family": socket.AF_UNIX}, socket.AF_INET, "domain UNIX, not INET"),
            ({"listens": False}, socket.AF_INET, notListening),
            (
                {"listens": False, "type": socket.SOCK_DGRAM},
                socket.AF_INET,
                notListening,
            ),
        )
        for options, family, reason in cases:
            opened = self.opened(**options)
            before = set(os.listdir("/dev/fd"))
            error = self.assertRaises(
                ValueError,
                AdoptingReactor(net).adoptStreamPort,
                *(opened.fileno(), family, Factory()),
            )
            self.assertIn(reason, str(error))
            self.assertLessEqual(set(os.listdir("/dev/fd")), before)

    async def test_endpoint(self) -> None:
        """
        Endpoints of C{systemd:} listen like that, others do not.
        """
        opened = self.opened(family=socket.AF_UNIX)
        handed = ListenFDs([os.dup(opened.fileno())])
        for parser in getPlugins(IStreamServerEndpointStringParser):
            if getattr(parser, "prefix", None) == "systemd":
                self.patch(parser, "_sddaemon", handed)
        description = "systemd:domain=UNIX:index=0"
        endpoint = serverFromString(reactor_for(description), description)
        await self.served(await endpoint.listen(self.watched(site())))
        self.goesOn(opened)
        self.assertIs(net, reactor_for("tcp:80"))


class WorkerTests(HandedTestCase):
    """
    L{OpeningReactor} and L{InheritingReactor}.
    """

    async def test_shared(self) -> None:
        """
        What a parent opens, it does not accept from; a worker serves it, each endpoint
        on its own, and when that ends the next one does.
        """
        folder = tempfile.mkdtemp()
        self.folders.append(folder)
        path = f"{folder}/s"
        opening = OpeningReactor(net)
        texts = ["tcp:0:interface=127.0.0.1", f"unix:{path}:mode=600"]
        for text in texts:
            port: Any = await serverFromString(opening, text).listen(Factory())
            self.ports.append(port)
            self.assertNotIn(port, net.getReaders())
        for _ in range(2):
            handed = [os.dup(number) for number in opening.descriptors(0)]
            inheriting = InheritingReactor(net, handed)
            self.assertFalse(any(map(os.get_inheritable, handed)))
            for text, parents in zip(texts, opening.opened, strict=True):
                endpoint = serverFromString(inheriting, text)
                port = await endpoint.listen(self.watched(site()))
                self.assertEqual(parents.getHost(), port.getHost())
                await self.served(port)
            self.assertRaises(ValueError, inheriting.listenTCP, 0, Factory())
        self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))

    async def test_handedOn(self) -> None:
        """
        What a parent was handed itself it hands on under the same numbers and names,
        before what it has opened.
        """
        handed = self.opened().fileno()
        # The second of two.
        self.patch(handed_module, "FIRST", handed - 1)
        opening = OpeningReactor(net)
        environ = {"LISTEN_FDNAMES": "web:status"}
        port = opening.listenTCP(0, Factory(), interface="127.0.0.1")
        self.ports.append(port)
        self.assertEqual([], opening.names(environ))
        self.assertEqual([port.fileno()], opening.descriptors(0))
        adopted = opening.adoptStreamPort(handed, socket.AF_INET, Factory())
        self.ports.append(adopted)
        self.assertNotIn(adopted, net.getReaders())
        self.assertEqual(["web", "status"], opening.names(environ))
        self.assertEqual(
            [handed - 1, adopted.fileno(), port.fileno()], opening.descriptors(2)
        )
