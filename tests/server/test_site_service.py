"""
Sites as a service: C{twisted_h11.service.SiteService}.
"""

from __future__ import annotations

import os
from typing import Any, cast

from twisted.application.service import IService, MultiService
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError, ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.command.test_h11web_service import Endpoint, Port
from tests.support.server_cases import FAST_PATH, GET, Calls, Holding
from tests.support.socket_cases import Peer, TCPBackend
from twisted_h11.server import ProxyProtocolFactory, Site, TrustedProxies
from twisted_h11.service import ListenError, SiteService

net: Any = reactor


class Loop(Clock):
    """
    A reactor that does not run.
    """

    running = False

    def iterate(self, delay: float) -> None:
        """
        A turn.
        """
        self.advance(0)


def in_use() -> CannotListenError:
    """
    What listening on a port in use raises.
    """
    return CannotListenError("", 80, OSError(98, "Address already in use"))


class StartTests(SynchronousTestCase):
    """
    How it starts, with endpoints that do what the test says.
    """

    def made(self, *results: Deferred[Any], **more: Any) -> SiteService:
        """
        A service on endpoints with these results.
        """
        self.endpoints = [Endpoint(result) for result in results]
        self.site = Site(None, reactor=Clock())
        pairs: Any = [(endpoint, self.site) for endpoint in self.endpoints]
        return SiteService(pairs, reactor=Loop(), **more)

    def test_provides(self) -> None:
        """
        It is a service.
        """
        self.assertTrue(IService.providedBy(self.made()))

    def test_privileged(self) -> None:
        """
        It listens when privileges are still there, and only once.
        """
        service = self.made(succeed(Port()), succeed(Port()))
        service.privilegedStartService()
        service.privilegedStartService()
        service.startService()
        self.assertEqual(2, len(service.ports))
        self.assertEqual(
            [[self.site]] * 2, [endpoint.factories for endpoint in self.endpoints]
        )
        self.assertEqual(2, len(self.successResultOf(service.whenListening())))

    def test_child(self) -> None:
        """
        So it does as a child of a service that runs already.
        """
        parent = MultiService()
        parent.startService()
        service = self.made(succeed(Port()))
        service.setServiceParent(parent)
        self.assertEqual(1, len(service.ports))

    def test_fails(self) -> None:
        """
        What can not be listened on is told in words, and nothing is left open.
        """
        port = Port()
        port.closed = None
        service = self.made(succeed(port), fail(in_use()))
        waiting = service.whenListening()
        error = self.assertRaises(ListenError, service.privilegedStartService)
        self.assertRegex(str(error), "^can not listen on .*: Address already in use$")
        self.assertIsNotNone(port.closed)
        self.failureResultOf(waiting, ListenError)
        self.failureResultOf(service.whenListening(), ListenError)
        self.assertEqual([], service.ports)

    def test_failsLater(self) -> None:
        """
        An endpoint that takes its time fails later; whoever waits is told, and the
        others go on.
        """
        slow: Deferred[Any] = Deferred()
        service = self.made(succeed(Port()), slow)
        service.startService()
        waiting = service.whenListening()
        self.assertNoResult(waiting)
        slow.errback(ValueError("no onion today"))
        failure = self.failureResultOf(waiting, ListenError)
        self.assertIn("no onion today", failure.getErrorMessage())
        self.assertEqual(1, len(service.ports))

    def test_opensLater(self) -> None:
        """
        Or it opens.
        """
        slow: Deferred[Any] = Deferred()
        service = self.made(slow, succeed(Port()))
        waiting = service.whenListening()
        service.startService()
        self.assertNoResult(waiting)
        slow.callback(Port())
        self.assertEqual(2, len(self.successResultOf(waiting)))

    def test_stopsBefore(self) -> None:
        """
        What has not opened when the service stops is given up.
        """
        slow: Deferred[Any] = Deferred()
        service = self.made(slow)
        service.startService()
        self.successResultOf(service.stopService())
        self.assertEqual([], service._waiting)

    def test_noPort(self) -> None:
        """
        What is no port, as that of C{stdio:}, is not closed.
        """
        port = Port()
        service = self.made(succeed(object()), succeed(port))
        service.startService()
        stopped = service.stopService()
        assert port.closed is not None
        port.closed.callback(None)
        self.successResultOf(stopped)

    def test_endFails(self) -> None:
        """
        A port that fails to close is logged, and the service ends all the same.
        """
        port = Port()
        service = self.made(succeed(port))
        service.startService()
        stopped = service.stopService()
        assert port.closed is not None
        port.closed.errback(ValueError("no end"))
        self.successResultOf(stopped)
        (error,) = self.flushLoggedErrors(ValueError)
        self.assertEqual("no end", error.getErrorMessage())

    def test_again(self) -> None:
        """
        A service that was stopped, or that failed, can be started again.
        """
        service = self.made(fail(in_use()))
        self.assertRaises(ListenError, service.startService)
        cast(Any, self.endpoints[0]).result = succeed(Port())
        service.startService()
        self.assertEqual(1, len(self.successResultOf(service.whenListening())))

    def test_arguments(self) -> None:
        """
        What is no pair of an endpoint and a site is told at once, as is a description
        that means nothing.
        """
        site = Site(None, reactor=Clock())
        for listen in (
            *("tcp:80", ["tcp:80"], [("tcp:80",)], [(site, "tcp:80")]),
            *([(80, site)], [("tcp:80", None)], None, [("tcp:80", site, 1)]),
        ):
            self.assertRaises(TypeError, SiteService, listen)
        self.assertRaises(TypeError, SiteService, [], "30")
        for description in ("nonsense:80", "tcp:x", "tcp"):
            error = self.assertRaises(ValueError, SiteService, [(description, site)])
            self.assertTrue(str(error).startswith(f"{description}: "))
        for names in ([], ["one", "two"]):
            error = self.assertRaises(
                ValueError, SiteService, [("tcp:80", site)], names=names
            )
            self.assertEqual(
                f"there must be a name for each endpoint: {len(names)} for 1",
                str(error),
            )
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("no PEM")
        tls = f"ssl:0:privateKey={path}"
        error = self.assertRaises(ValueError, SiteService, [(tls, site)])
        self.assertIn(f"{tls}: can not load the certificate or key: ", str(error))

    def test_drainsEach(self) -> None:
        """
        Each site is drained once, however often it is served and whatever it is wrapped
        in; all of them at the same time.
        """
        sites = [Site(None, reactor=Clock()) for _ in range(2)]
        drains: list[tuple[int, float | None, float, Deferred[None]]] = []
        for number, site in enumerate(sites):

            def drain(
                timeout: float | None = None, idle: float = 0.0, number: int = number
            ) -> Deferred[None]:
                drains.append((number, timeout, idle, Deferred()))
                return drains[-1][3]

            site.drain = drain  # type: ignore[method-assign]
        wrapped = ProxyProtocolFactory(sites[0], TrustedProxies([]), reactor=Clock())
        port = Port()
        pairs: Any = [
            (Endpoint(succeed(port)), sites[0]),
            (Endpoint(Deferred()), wrapped),
            (Endpoint(Deferred()), sites[1]),
            (Endpoint(Deferred()), Factory()),
        ]
        service = SiteService(pairs, 7, Loop(), drainIdle=2)
        service.startService()
        stopped = service.stopService()
        self.assertEqual([], drains)
        assert port.closed is not None
        port.closed.callback(None)
        self.assertEqual([(0, 7, 2), (1, 7, 2)], [drain[:3] for drain in drains])
        drains[0][3].callback(None)
        self.assertNoResult(stopped)
        drains[1][3].callback(None)
        self.successResultOf(stopped)


class RealTests(TCPBackend):
    """
    Over real connections.
    """

    async def test_twoSites(self) -> None:
        """
        Two sites stop without losing a request; nobody new is taken, and idle
        connections close.
        """
        holding = Holding()
        folder = self.mktemp()
        os.makedirs(folder)
        service = SiteService(
            [
                ("tcp:0:interface=127.0.0.1", Site(holding, fastPath=FAST_PATH)),
                ("tcp:0:interface=127.0.0.1", Site(Calls(lambda request: b"other"))),
                (f"unix:{folder}/s", Site(Calls(lambda request: b"unix"))),
            ],
            grace=20,
        )
        service.startService()
        ports = await service.whenListening()
        number = ports[0].getHost().port
        busy = await self.connect(ports[0])
        idle = await self.connect(ports[1])
        idle.send(GET)
        await idle.responses(1)
        busy.send(GET)
        while not holding.requests:
            await self.turns(1)
        over: list[object] = []
        stopped = service.stopService().addCallback(over.append)
        await idle.end()
        self.assertFalse(os.path.exists(f"{folder}/s"))
        endpoint = TCP4ClientEndpoint(net, "127.0.0.1", number)
        with self.assertRaises(ConnectionRefusedError):
            await connectProtocol(endpoint, Peer())
        self.assertEqual([], over)
        holding.answer(b"answered")
        (response,) = await busy.responses(1)
        self.assertEqual((200, b"answered"), (response.status, response.body))
        busy.close()
        await stopped

    async def test_grace(self) -> None:
        """
        What does not end in time is dropped.
        """
        holding = Holding()
        service = SiteService(
            [("tcp:0:interface=127.0.0.1", Site(holding, fastPath=FAST_PATH))], 0.05
        )
        service.startService()
        (port,) = await service.whenListening()
        peer = await self.connect(port)
        peer.send(GET)
        while not holding.requests:
            await self.turns(1)
        await service.stopService()
        await self.turns(1)
        self.assertEqual(1, len(holding.lost))
        await peer.gone()

    async def test_inUse(self) -> None:
        """
        A port that is in use is said in words.
        """
        port = net.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.ports.append(port)
        number = port.getHost().port
        description = f"tcp:{number}:interface=127.0.0.1"
        service = SiteService([(description, Site(None))])
        error = self.assertRaises(ListenError, service.privilegedStartService)
        self.assertEqual(
            f"can not listen on {description}: Address already in use", str(error)
        )
