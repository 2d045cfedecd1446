"""
What is relied on of a channel, a request and a site, beyond what the tests of
each kind of use show.
"""

from __future__ import annotations

from collections.abc import Callable
from gzip import decompress
from typing import Any
from weakref import proxy

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.web import server
from twisted.web.resource import EncodingResourceWrapper
from twisted.web.server import GzipEncoderFactory

from tests.server.test_producers import Pull
from tests.support.memory import CLIENT, SERVER
from tests.support.server_cases import (
    FAST_PATH,
    GET,
    Calls,
    Echo,
    Holding,
    ServerTestCase,
    get,
    post,
)
from twisted_h11._server import connections, contract
from twisted_h11.server import Request, Site

BOTH = (Request, server.Request)

# What is used of a channel.
NAMES = (
    "_networkProducer",
    "_protocolUpgradeForWebsockets",
    "_respondToBadRequestAndDisconnect",
    "abortConnection",
    "callLater",
    "connectionLost",
    "dataReceived",
    "factory",
    "forceAbortClient",
    "getHost",
    "getPeer",
    "isSecure",
    "loseConnection",
    "makeConnection",
    "pauseProducing",
    "registerProducer",
    "requestDone",
    "requestFactory",
    "resetTimeout",
    "resumeProducing",
    "setTimeout",
    "site",
    "stopProducing",
    "timeOut",
    "transport",
    "unregisterProducer",
    "write",
    "writeHeaders",
    "writeSequence",
)


class Push:
    """
    A push producer that notes what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self.told.append("resume")

    def stopProducing(self) -> None:
        """
        No more.
        """
        self.told.append("stop")


class ProducerTests(ServerTestCase):
    """
    Producers of a request, and the transport's.
    """

    def held(self, factory: Any) -> tuple[Any, Any]:
        """
        A wire, and the request that is open on it.
        """
        holding = Holding()
        wire = self.connect(self.site(holding, requestFactory=factory)).send(GET)
        self.addCleanup(holding.lost.clear)
        return wire, holding.requests.pop()

    def test_second(self) -> None:
        """
        A second producer is a RuntimeError, and changes nothing for the first.
        """
        for factory in BOTH:
            wire, request = self.held(factory)
            first, second = Push(), Push()
            request.registerProducer(first, True)
            # The request has a ValueError of twisted.web's for it.
            for owner, kind in ((request, ValueError), (request.channel, RuntimeError)):
                text = self.raised(kind, owner.registerProducer, second, True)
                self.assertIn("unregistered", text)
            wire.transport.producer.pauseProducing()
            self.assertEqual((["pause"], []), (first.told, second.told))
            request.unregisterProducer()
            request.finish()

    def test_transportsProducer(self) -> None:
        """
        Whoever asks the transport's producer to pause, to resume and to stop
        reaches the producer of the request.
        """
        for factory in BOTH:
            wire, request = self.held(factory)
            push = Push()
            request.registerProducer(push, True)
            producer = wire.transport.producer
            for name in ("pauseProducing", "resumeProducing", "stopProducing"):
                getattr(producer, name)()
            self.assertEqual(["pause", "resume", "stop"], push.told)
            request.unregisterProducer()
            request.finish()

    def test_roomForNothing(self) -> None:
        """
        A transport that says that it has room, although nothing has waited, changes
        nothing.
        """
        wire = self.connect(self.site())
        for _ in range(2):
            wire.transport.producer.resumeProducing()
        self.assertEqual([200], wire.send(GET).statuses)

    def test_pausesAtTheEnd(self) -> None:
        """
        One that pauses the connection when that has ended leaves no timer behind.
        """

        class Pausing(Push):
            def stopProducing(self) -> None:
                super().stopProducing()
                channel.pauseProducing()

        for factory in BOTH:
            wire, request = self.held(factory)
            channel = request.channel
            push = Pausing()
            request.registerProducer(push, True)
            channel.abortConnection()
            wire.pump()
            self.assertTrue(wire.closed)
            self.assertEqual(["stop"], push.told)
            self.assertEqual([], self.clock.getDelayedCalls())
            channel = None

    def test_lost(self) -> None:
        """
        A producer of each kind is stopped when the client goes.
        """
        for factory in BOTH:
            wire, request = self.held(factory)
            push = Push()
            request.registerProducer(push, True)
            wire.vanish()
            self.assertEqual(["stop"], push.told)
            wire, request = self.held(factory)
            pull = Pull(request, 5)
            request.registerProducer(pull, False)
            wire.vanish()
            self.assertTrue(pull.stopped)
            del pull.request


class ProtocolTests(ServerTestCase):
    """
    What C{Site.buildProtocol} returns.
    """

    def test_callLater(self) -> None:
        """
        C{callLater}, set as C{HTTPFactory.buildProtocol} sets it, is what the
        connection's time-outs are made with.
        """
        asked: list[float] = []

        def callLater(seconds: float, *args: Any) -> Any:
            asked.append(seconds)
            return self.clock.callLater(seconds, *args)

        site = self.site()
        build = site.buildProtocol

        def buildProtocol(addr: Any) -> Any:
            protocol = build(addr)
            protocol.callLater = callLater
            protocol.timeOut = 7
            return protocol

        site.buildProtocol = buildProtocol
        wire = self.connect(site).send(GET)
        self.assertEqual([200], wire.statuses)
        self.assertTrue(asked)
        wire.advance(8)
        self.assertTrue(wire.closed)
        site.buildProtocol = None

    def test_afterAnUpgrade(self) -> None:
        """
        C{transport} of the channel is C{None} once somebody took it; reading,
        pausing and closing the channel harm nobody then.
        """

        class Taker(Protocol):
            pass

        channels: list[Any] = []

        def render(request: Any) -> None:
            channel = request.channel
            channels.append(channel)
            transport, channel.transport = channel.transport, None
            transport.protocol = taker
            taker.makeConnection(transport)
            transport.write(b"HTTP/1.1 101 x\r\n\r\n")

        for factory in BOTH:
            taker = Taker()
            wire = self.connect(self.site(render, requestFactory=factory)).send(GET)
            channel = channels.pop()
            self.assertIsNone(channel.transport)
            channel._networkProducer.pauseProducing()
            channel._networkProducer.resumeProducing()
            for name in ("loseConnection", "abortConnection", "forceAbortClient"):
                getattr(channel, name)()
            channel.setTimeout(1)
            wire.advance(100, step=10)
            self.assertFalse(wire.transport.disconnecting)
            self.assertFalse(wire.transport.paused)
            wire.vanish()

    def test_oneHost(self) -> None:
        """
        Many connections have one object for an address of ours; of addresses that are
        not the same, each has its own.
        """

        def address(number: int, host: str = "192.0.2.1") -> Any:
            wire = self.connect(self.site(lambda request: b""))
            kind = IPv6Address if ":" in host else IPv4Address
            wire.transport._host = kind("TCP", host, number)
            return wire.send(GET).channel.getHost()

        one = address(80)
        self.assertIs(one, address(80))
        for number, host in ((81, "192.0.2.1"), (80, "192.0.2.2"), (80, "::1")):
            other = address(number, host)
            self.assertEqual((number, host), (other.port, other.host))
        for number in range(contract._MOST_OURS):
            address(number)
            self.assertLessEqual(len(contract._ours), contract._MOST_OURS)

    def test_betweenRequests(self) -> None:
        """
        What is said of a response when there is none says nothing.
        """
        wire = self.connect(self.site())
        channel = wire.channel
        channel.writeHeaders(b"HTTP/1.1", b"200", b"OK", [])
        channel.write(b"x")
        channel.writeSequence([b"x"])
        channel.sendContinue()
        channel.setBodyLimit(1)
        self.raised(TypeError, channel.write, "text")
        self.assertEqual(SERVER, channel.getHost())
        self.assertEqual(b"", wire.output)
        self.assertEqual([200], wire.send(post(b"body")).statuses)
        channel.failResponse()
        wire.pump()
        self.assertTrue(wire.aborted)

    def test_resetTimeout(self) -> None:
        """
        C{resetTimeout} begins the wait of an idle connection anew.
        """
        wire = self.connect(self.site(timeout=10)).send(GET)
        for _ in range(3):
            wire.advance(8)
            wire.channel.resetTimeout()
            self.assertFalse(wire.closed)
        wire.advance(11)
        self.assertTrue(wire.closed)

    def test_nobodyToWaitFor(self) -> None:
        """
        Who waits for the client is told when there is nobody to wait for: because the
        connection is about to close, or has been given away.
        """
        for taken in (False, True):
            ends: list[Any] = []
            channels: list[Any] = []

            def render(request: Any, channels: Any = channels) -> None:
                channels.append(request.channel)

            wire = self.connect(self.site(render)).stall().send(GET)
            channel = channels.pop()
            if taken:
                request = channel.cycle.request
                request.write(b"x" * 200_000)
                channel.drained().addErrback(lambda f, e=ends: e.append(f.type))
                self.assertEqual([], ends)
                channel.transport = None
                request.finish()
            else:
                channel.loseConnection()
                channel.drained().addErrback(lambda f, e=ends: e.append(f.type))
            self.assertEqual([ConnectionLost], ends)
            wire.vanish()

    def test_repr(self) -> None:
        """
        A connection says what it is at.
        """
        holding = Holding()
        wire = self.connect(self.site(holding))
        self.assertEqual("<Channel <Wire open> reads head None>", repr(wire.channel))
        wire.send(GET)
        text = repr(wire.channel)
        for part in ("<Wire open> reads nothing <Cycle pending <", "GET"):
            self.assertIn(part, text)
        holding.answer()

    def test_remembers(self) -> None:
        """
        Only so many connections remember their last request; the others read the next
        one all the same.
        """
        self.patch(connections, "_MOST_WARM", 2)
        site = self.site()
        wires = [self.connect(site).send(GET) for _ in range(3)]
        wires[2].vanish()
        wires.append(self.connect(site).send(GET))
        kept = [wire.channel.reader._lastHead is not None for wire in wires]
        if FAST_PATH:
            self.assertEqual([False, False, False, True], kept)
        self.assertEqual([200, 200], wires[0].send(GET).statuses)

    def test_remembersNoneThatIsGone(self) -> None:
        """
        A connection that no longer exists is passed over.
        """

        class Reading:
            forgotten = 0

            def __init__(self) -> None:
                self.reader = proxy(self)

            def forgetLastHead(self) -> None:
                Reading.forgotten += 1

        self.patch(connections, "_MOST_WARM", 1)
        register = connections.Connections()
        one = Reading()
        register.warm(Reading())
        register.warm(one)
        self.assertEqual(0, Reading.forgotten)
        register.warm(Reading())
        self.assertEqual(1, Reading.forgotten)

    def test_everyName(self) -> None:
        """
        Every name that is relied on is there, on ours as on twisted.web's.
        """
        wire = self.connect(self.site())
        for name in NAMES:
            self.assertTrue(hasattr(wire.channel, name), name)
        for name in ("factory", "site", "requestFactory", "timeOut", "callLater"):
            setattr(wire.channel, name, getattr(wire.channel, name))


class RequestTests(ServerTestCase):
    """
    What resources and frameworks set on a request.
    """

    def test_otherFields(self) -> None:
        """
        An argument that is wrong is told, and that it is not the argument where
        something else stands in the place of the fields.
        """

        def render(request: Any) -> bytes:
            for wrong in ((1, b"b"), (b"A", 1)):
                text = self.raised(TypeError, request.setHeader, *wrong)
                self.assertIn("bytes or str", text)
            for code in (("200",), (200, "OK")):
                self.raised(TypeError, request.setResponseCode, *code)
            kept, request.responseHeaders = request.responseHeaders, None
            text = self.raised(AttributeError, request.setHeader, b"A", b"b")
            request.responseHeaders = kept
            return text.encode()

        self.assertIn(b"setRawHeaders", self.talk(render, GET).only().body)

    def test_bodyLimitOfNone(self) -> None:
        """
        C{setBodyLimit} says nothing to a request that has no body.
        """

        def render(request: Any) -> bytes:
            request.setBodyLimit(0)
            return b"x"

        self.assertEqual([200], self.talk(render, GET).statuses)

    def test_noContentType(self) -> None:
        """
        C{defaultContentType = None}, which WSGIResource sets: no field.
        """
        for factory in BOTH:
            for ways in (self.whole, self.pieces):

                def render(request: Any, ways: Callable[[Any], Any] = ways) -> Any:
                    request.defaultContentType = None
                    return ways(request)

                response = self.talk(render, GET, requestFactory=factory).only()
                self.assertEqual([], response.all(b"content-type"))
                self.assertEqual(b"body", response.body)

    def test_ownContentType(self) -> None:
        """
        A class may have another one.
        """

        class Mine(Request):
            defaultContentType = b"text/plain"

        response = self.talk(self.whole, GET, requestFactory=Mine).only()
        self.assertEqual([b"text/plain"], response.all(b"content-type"))

    def whole(self, request: Any) -> bytes:
        """
        At once.
        """
        return b"body"

    def pieces(self, request: Any) -> None:
        """
        Written.
        """
        request.write(b"bo")
        request.write(b"dy")
        request.finish()

    def test_ownLastModified(self) -> None:
        """
        C{Last-Modified} that was set as a field stays as it is.
        """
        own = b"Mon, 01 Jan 2001 00:00:00 GMT"

        def render(request: Any) -> bytes:
            request.setLastModified(1)
            request.setHeader(b"Last-Modified", own)
            return b"body"

        for factory in BOTH:
            response = self.talk(render, GET, requestFactory=factory).only()
            self.assertEqual([own], response.all(b"last-modified"))

    def test_encodedNothing(self) -> None:
        """
        Content that is encoded and empty is what the encoder makes of nothing.
        """
        inner = Calls(lambda request: request.finish())
        wrapped = EncodingResourceWrapper(inner, [GzipEncoderFactory()])
        for factory in BOTH:
            field = b"Accept-Encoding: gzip"
            response = self.talk(
                wrapped, get(b"/", field), requestFactory=factory
            ).only()
            self.assertEqual(b"gzip", response.get(b"content-encoding"))
            self.assertTrue(response.body.startswith(b"\x1f\x8b"), response.body)
            self.assertEqual(b"", decompress(response.body))

    def test_over(self) -> None:
        """
        What a request of ours that is over is still told does nothing to the
        connection, which has the next one; nor does it keep the transport when that
        is lost.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        request = holding.requests[0]
        holding.answer()
        wire.send(GET)
        request.setBodyLimit(0)
        request.sendContinue()
        request.setHalfCloseTimeout(0)
        request.abort()
        self.assertFalse(request.sendInterim(103))
        self.assertIsNone(self.successResultOf(request.drained()))
        self.assertIs(wire.transport, request.transport)
        wire.halfClose()
        holding.answer()
        self.assertEqual([200, 200], wire.settle(1).statuses)
        wire.vanish()
        self.assertIsNone(request.transport)

    def test_transportOfAFinishedRequest(self) -> None:
        """
        The transport is there after C{finish}, and its C{loseConnection} then closes
        the connection after the response, however that was sent.
        """

        def render(request: Any) -> Any:
            if request.path == b"/whole":
                request.notifyFinish().addCallback(lambda _: lose(request))
                return b"body"
            if request.path == b"/piped":
                request.setHeader(b"Content-Length", b"4")
            request.write(b"body")
            request.finish()
            lose(request)
            return None

        def lose(request: Any) -> None:
            self.assertEqual(CLIENT, request.transport.getPeer())
            request.transport.loseConnection()

        for factory in BOTH:
            for path in (b"/whole", b"/piped", b"/chunked"):
                for stalled in (False, True):
                    site = self.site(render, requestFactory=factory)
                    wire = self.connect(site)
                    if stalled:
                        wire.stall()
                    wire.send(get(path))
                    wire.drain()
                    wire.settle(10)
                    self.assertEqual(b"body", wire.only().body)
                    self.assertTrue(wire.closed)

    def test_transportForWhoIsToldOfTheEnd(self) -> None:
        """
        While C{notifyFinish} tells that the client has gone, the request still has its
        transport, for its address.
        """
        for factory in BOTH:
            seen: list[Any] = []

            def render(request: Any, seen: list[Any] = seen) -> None:
                tell = request.notifyFinish().addErrback
                tell(lambda _: seen.append(request.transport.getPeer()))

            self.talk(render, GET, requestFactory=factory).vanish()
            self.assertEqual([CLIENT], seen)

    def test_channelIsGone(self) -> None:
        """
        After a disconnect C{channel} is C{None}, and what is written is dropped.
        """
        for factory in BOTH:
            holding = Holding()
            site = self.site(holding, requestFactory=factory)
            wire = self.connect(site).send(GET)
            request = holding.requests.pop()
            request.write(b"some")
            wire.vanish()
            self.assertIsNone(request.channel)
            request.write(b"more")
            request.loseConnection()
            self.assertNotIn(b"more", wire.output)
            holding.lost.clear()

    def test_producerTooLate(self) -> None:
        """
        A producer that is registered when the client has gone is stopped at once.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        request = holding.requests.pop()
        wire.vanish()
        for streaming in (True, False):
            producer = Push()
            request.registerProducer(producer, streaming)
            self.assertEqual(["stop"], producer.told)
        holding.lost.clear()


class SiteTests(ServerTestCase):
    """
    What is set on a site.
    """

    def test_sessions(self) -> None:
        """
        C{sessionFactory} makes sessions; C{counter} counts them; C{makeSession}
        and C{getSession} are what requests use.
        """

        class Session(server.Session):
            sessionTimeout = 5

        class Mine(Site):
            sessionFactory = Session

        for factory in BOTH:
            site: Any = Mine(Echo(), factory, reactor=self.clock)
            self.assertEqual(0, site.counter)
            session = site.makeSession()
            self.assertIsInstance(session, Session)
            self.assertIs(session, site.getSession(session.uid))
            self.assertEqual(1, site.counter)
            self.raised(KeyError, site.getSession, b"nobody's")
            self.clock.advance(6)
            self.assertEqual({}, site.sessions)

    def test_order(self) -> None:
        """
        The requests of a request factory that a site got later, and of a
        C{timeOut} that it got later, are those of its next connections.
        """

        class Mine(Request):
            pass

        kinds: list[type] = []

        def render(request: Any) -> bytes:
            kinds.append(type(request))
            return b""

        site = self.site(render)
        self.connect(site).send(get())
        site.requestFactory = Mine
        site.timeOut = 3
        wire = self.connect(site).send(get())
        self.assertEqual([Request, Mine], kinds)
        wire.advance(4)
        self.assertTrue(wire.closed)
