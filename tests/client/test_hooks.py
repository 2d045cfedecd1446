"""
Whatever an application does when the client calls it, each request ends.

A scenario is run once to find out which calls into the application there are: trace
events, producers, readers, endpoints, Deferreds.  Then it is run once more for each
of these calls and each thing that may happen in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import URI
from twisted.web.iweb import UNKNOWN_LENGTH, IPolicyForHTTPS
from zope.interface import implementer

from tests.support.client_cases import ClientTestCase, Reader
from tests.support.client_memory import MemoryEndpoint, Peer
from tests.support.producers import OK
from tests.support.times import eventually
from twisted_h11.client import (
    Agent,
    ClientSettings,
    HTTPConnectionPool,
    Proxies,
    Proxy,
)

net: Any = reactor

PARTIAL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"


class Broken(Exception):
    """
    What the application raises.
    """


class Abrupt(BaseException):
    """
    What it raises that is no Exception.
    """


class Application:
    """
    An application, all of whose code goes through L{Application.hook}.

    @ivar calls: the calls into it, by name.
    @ivar place: at which of them it does something, and C{act}, what.
    """

    def __init__(
        self,
        test: ClientTestCase,
        fast: bool,
        place: int = -1,
        act: Callable[[Application], object] | None = None,
        **pool: Any,
    ) -> None:
        self.test = test
        self.clock = test.clock
        self.network = Network(test.clock)
        self.network.application = self
        self.calls: list[str] = []
        self.place = place
        self.act = act
        self.pool = HTTPConnectionPool(test.clock, settings=None)
        self.pool.settings = type(self.pool.settings)(**pool)
        self.agent = Agent.usingEndpointFactory(
            test.clock,
            self.network,
            self.pool,
            settings=ClientSettings(continueTimeout=1),
            trace=lambda event: self.hook(f"trace {event.name}"),
            fastPath=fast,
        )
        self.requests: list[Deferred[Any]] = []
        self.results: list[Any] = []
        self.asked = 0
        self.responses: list[Any] = []
        self.readers: list[HookedReader] = []

    def hook(self, name: str) -> None:
        """
        The client calls the application.
        """
        self.calls.append(name)
        if len(self.calls) - 1 == self.place:
            assert self.act is not None
            self.act(self)

    # -- what a scenario does ---------------------------------------------------

    def ask(
        self, method: bytes = b"GET", headers: Any = None, body: Any = None
    ) -> None:
        """
        Send a request, and read the response.
        """
        if body is True:
            body = HookedProducer(self)
        self.asked += 1
        try:
            deferred = self.agent.request(method, b"http://a/", headers, body)
        except (Broken, Abrupt) as error:
            self.results.append(error)
            return
        self.requests.append(deferred)
        deferred.addCallback(self.answered)
        deferred.addBoth(self.results.append)

    def answered(self, response: Any) -> Any:
        """
        A response: read it.
        """
        self.responses.append(response)
        self.hook("response")
        reader = HookedReader(self)
        self.readers.append(reader)
        try:
            response.deliverBody(reader)
        except RuntimeError:
            # It was read in the hook.
            self.readers.remove(reader)
        return response

    @property
    def peer(self) -> Peer:
        """
        The last connection.
        """
        return self.network.peers[-1]

    def turn(self, seconds: float = 0) -> None:
        """
        Some turns of the reactor.
        """
        self.clock.pump([0, 0, seconds, 0, 0])


class Network(MemoryEndpoint):
    """
    An endpoint and its factory, which are the application's.
    """

    application: Application

    def endpointForURI(self, uri: URI) -> MemoryEndpoint:
        self.application.hook("endpointForURI")
        return super().endpointForURI(uri)

    def connect(self, factory: Any) -> Deferred[Any]:
        self.application.hook("connect")
        return super().connect(factory)

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.application.hook("cancel endpoint")
        super()._cancel(deferred)


class HookedProducer:
    """
    A body.
    """

    length = UNKNOWN_LENGTH

    def __init__(self, application: Application) -> None:
        self.application = application
        self.done: Deferred[None] = Deferred()
        self.finished = False
        application.producer = self  # type: ignore[attr-defined]

    def startProducing(self, consumer: Any) -> Any:
        self.consumer = consumer
        self.application.hook("startProducing")
        return self.done

    def pauseProducing(self) -> None:
        self.application.hook("pauseProducing")

    def resumeProducing(self) -> None:
        self.application.hook("resumeProducing")

    def stopProducing(self) -> None:
        self.application.hook("stopProducing")

    def write(self, data: bytes) -> None:
        """
        Write, if anybody takes it.
        """
        try:
            self.consumer.write(data)
        except Exception:
            pass

    def finish(self) -> None:
        """
        The end.
        """
        if not self.done.called:
            self.done.callback(None)


class HookedReader(Reader):
    """
    Reads a body.
    """

    def __init__(self, application: Application) -> None:
        super().__init__()
        self.application = application

    def connectionMade(self) -> None:
        self.application.hook("connectionMade")

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.application.hook("dataReceived")

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self.application.hook("connectionLost")


def plain(app: Application) -> None:
    app.ask()
    app.peer.send(OK)
    app.ask()
    app.peer.send(OK)


def split(app: Application) -> None:
    app.ask()
    app.peer.bytewise(PARTIAL)
    app.peer.send(b"l", b"lo")
    app.ask()
    app.peer.send(CHUNKED, b"2\r\nll\r\n", b"0\r\nX: y\r\n\r\n")


def untilClose(app: Application) -> None:
    app.ask()
    app.peer.send(b"HTTP/1.1 200 OK\r\n\r\nhe", b"llo")
    app.peer.end()


def cut(app: Application) -> None:
    app.ask()
    app.peer.send(CHUNKED)
    app.peer.lose(ConnectionLost())


def interim(app: Application) -> None:
    app.ask()
    app.peer.send(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", OK)


def malformed(app: Application) -> None:
    app.ask()
    app.peer.send(b"nonsense\r\n\r\n")


def queued(app: Application) -> None:
    for _ in range(3):
        app.ask()
    for _ in range(3):
        if not app.peer.closed:
            app.peer.send(OK)
        app.turn()


def waiting(app: Application) -> None:
    app.ask()
    app.peer.send(PARTIAL)
    app.ask(b"POST", None, True)
    if app.peer.received.count(b"POST"):
        return
    app.peer.send(b"llo")
    app.turn()
    app.producer.finish()  # type: ignore[attr-defined]
    app.peer.send(OK)


def again(app: Application) -> None:
    app.ask()
    app.peer.send(OK)
    app.ask()
    app.peer.lose(ConnectionLost())
    app.turn()
    app.peer.send(OK)


def refused(app: Application) -> None:
    app.network.error = ConnectionLost()
    app.ask()


def hanging(app: Application) -> None:
    app.network.hang = True
    app.ask()
    app.ask()
    app.turn(31)


def lateConnection(app: Application) -> None:
    app.network.hang = True
    app.ask()
    if app.network.hanging:
        app.network.connectOne()
        app.peer.send(OK)


def upload(app: Application) -> None:
    app.ask(b"PUT", None, True)
    producer = app.producer  # type: ignore[attr-defined]
    if not app.network.peers:
        return
    app.peer.fill()
    app.peer.drain()
    producer.write(b"abc")
    app.turn()
    producer.finish()
    app.peer.send(PARTIAL, b"llo")


def refusedUpload(app: Application) -> None:
    app.ask(b"PUT", None, True)
    app.peer.send(
        b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", b"no"
    )


def answeredUpload(app: Application) -> None:
    app.ask(b"PUT", None, True)
    app.peer.send(OK)


def expecting(app: Application) -> None:
    app.ask(b"PUT", [(b"Expect", b"100-continue")], True)
    app.peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    app.producer.finish()  # type: ignore[attr-defined]
    app.peer.send(OK)


def expectationFailed(app: Application) -> None:
    app.ask(b"PUT", [(b"Expect", b"100-continue")], True)
    app.peer.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
    app.turn()
    app.producer.finish()  # type: ignore[attr-defined]
    app.peer.send(OK)


def brokenUpload(app: Application) -> None:
    app.ask(b"PUT", None, True)
    app.peer.lose(ConnectionLost())


def cancelled(app: Application) -> None:
    app.ask(b"PUT", None, True)
    for deferred in app.requests:
        deferred.cancel()


def closed(app: Application) -> None:
    for _ in range(3):
        app.ask()
    app.pool.close()


SCENARIOS: list[tuple[Callable[[Application], None], dict[str, Any]]] = [
    (scenario, {})
    for scenario in (
        plain,
        split,
        untilClose,
        cut,
        interim,
        malformed,
        again,
        refused,
        hanging,
        lateConnection,
        upload,
        refusedUpload,
        answeredUpload,
        expecting,
        expectationFailed,
        brokenUpload,
        cancelled,
    )
] + [(scenario, {"maxConnections": 1}) for scenario in (queued, waiting, again, closed)]


def raise_exception(app: Application) -> None:
    raise Broken()


def raise_abruptly(app: Application) -> None:
    raise Abrupt()


def cancel_all(app: Application) -> None:
    for deferred in app.requests:
        deferred.cancel()


def abort_all(app: Application) -> None:
    for response in app.responses:
        response.abort()


def close_pool(app: Application) -> None:
    app.pool.close()


def ask_more(app: Application) -> None:
    app.ask()


def lose_all(app: Application) -> None:
    for peer in app.network.peers:
        peer.lose(ConnectionLost())


def call_back(app: Application) -> None:
    for deferred in app.requests:
        if not deferred.called:
            deferred.errback(Broken())


RAISING = (raise_exception, raise_abruptly)
ACTS = (
    raise_exception,
    raise_abruptly,
    cancel_all,
    abort_all,
    close_pool,
    ask_more,
    lose_all,
    call_back,
)


class HookTests(ClientTestCase):
    """
    Each call into the application, and each thing that it may do there.
    """

    def play(
        self, scenario: Any, settings: Any, fast: bool, place: int, act: Any
    ) -> Any:
        """
        Run a scenario to its end.
        """
        app = Application(self, fast, place, act, **settings)
        try:
            scenario(app)
        except (IndexError, AttributeError, AssertionError):
            # It goes on with a connection or a body that was not made.
            if act is None:
                raise
        except (Broken, Abrupt):
            # A memory transport calls us where a reactor would.
            pass
        app.act = lambda _: None
        calls = list(app.calls)
        # What is left: the servers go, and all time-outs pass.
        for _ in range(3):
            for peer in app.network.peers:
                peer.lose(ConnectionLost())
            app.network.hanging.clear()
            app.turn(400)
        what = f"{scenario.__name__}, {fast=}, at {place}: {calls[place : place + 1]}, "
        what += getattr(act, "__name__", "nothing")
        self.assertEqual(app.asked, len(app.results), f"{what}: a request hangs")
        for reader in app.readers:
            self.assertEqual(1, reader.ends, f"{what}: a reader hangs")
        self.assertEqual((0, 0, 0, 0), tuple(app.pool.counts()), what)
        app.pool.close()
        app.turn(100)
        self.assertEqual((0, 0, 0, 0), tuple(app.pool.counts()), what)
        self.assertEqual([], self.clock.getDelayedCalls(), what)
        logged = len(self.flushLoggedErrors())
        if act in RAISING:
            self.assertLessEqual(logged, 1, what)
        return calls, [str(getattr(each, "code", each)) for each in app.results]

    def test_all(self) -> None:
        """
        Each request ends once, each reader is told the end once, and nothing is
        left in the pool or on the clock.
        """
        seen = set()
        for scenario, settings in SCENARIOS:
            calls, results = self.play(scenario, settings, True, -1, None)
            seen.update(calls)
            self.assertEqual(
                (calls, results), self.play(scenario, settings, False, -1, None)
            )
            for place, call in enumerate(calls):
                for number, act in enumerate(ACTS):
                    fast = bool((place + number) & 1)
                    _, others = self.play(scenario, settings, fast, place, act)
                    if call.startswith("trace") and act in RAISING:
                        # It tells, and has no say.
                        self.assertEqual(results, others, (call, scenario))
        self.assertEqual(
            {
                *(
                    f"trace {name}"
                    for name in (
                        "queued",
                        "connecting",
                        "connected",
                        "head sent",
                        "body sent",
                        "head received",
                        "ended",
                    )
                ),
                *("endpointForURI", "connect", "cancel endpoint"),
                *("startProducing", "pauseProducing", "resumeProducing"),
                *("stopProducing", "response"),
                *("connectionMade", "dataReceived", "connectionLost"),
            },
            seen,
        )


class OddEndpoint:
    """
    An endpoint and its factory, one that does not keep to the rules.
    """

    def __init__(self, network: MemoryEndpoint, connect: Any) -> None:
        self.network = network
        self.how = connect

    def endpointForURI(self, uri: URI) -> OddEndpoint:
        """
        The same for all.
        """
        return self

    def connect(self, factory: Any) -> Any:
        """
        As the test says.
        """
        return self.how(self.network, factory)


def connect_badly(network: MemoryEndpoint, factory: Any) -> Any:
    raise Abrupt()


def connect_lost(network: MemoryEndpoint, factory: Any) -> Any:
    deferred = network.connect(factory)
    network.peers[-1].lose(ConnectionLost())
    return deferred


def connect_ending(network: MemoryEndpoint, factory: Any) -> Any:
    deferred = network.connect(factory)
    network.peers[-1].end()
    return deferred


def connect_babbling(network: MemoryEndpoint, factory: Any) -> Any:
    deferred = network.connect(factory)
    network.peers[-1].send(OK)
    return deferred


def connect_without(network: MemoryEndpoint, factory: Any) -> Any:
    """
    A transport that raises whatever is done.
    """
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(BadTransport())
    return succeed(protocol)


def connect_stubbornly(network: MemoryEndpoint, factory: Any) -> Any:
    def cancel(_: object) -> None:
        raise Abrupt()

    return Deferred(cancel)


def connect_after_all(network: MemoryEndpoint, factory: Any) -> Any:
    """
    One that answers its cancellation with another's protocol.
    """
    return Deferred(lambda deferred: deferred.callback(Protocol()))


class BadTransport:
    """
    A transport that can not write.
    """

    def writeSequence(self, data: Any) -> None:
        raise Broken()

    write = writeSequence

    def abortConnection(self) -> None:
        """
        Not connected.
        """

    loseConnection = abortConnection


ENDPOINTS: list[Callable[[MemoryEndpoint, Any], Any]] = [
    connect_badly,
    connect_lost,
    connect_ending,
    connect_babbling,
    connect_without,
    connect_stubbornly,
    connect_after_all,
    lambda network, factory: None,
    lambda network, factory: "connected",
    lambda network, factory: factory.buildProtocol(None),
    lambda network, factory: succeed(None),
    lambda network, factory: succeed(Protocol()),
    lambda network, factory: succeed(factory.buildProtocol(None)),
    lambda network, factory: fail(Abrupt()),
    lambda network, factory: fail(Failure(Broken())),
    lambda network, factory: Deferred(),
]


class EndpointTests(ClientTestCase):
    """
    Endpoints of the application's.
    """

    def test_odd(self) -> None:
        """
        However an endpoint breaks the rules, the request fails, at the latest when
        the time to connect is over, and takes no place in the pool.
        """
        for fast in (True, False):
            for number, connect in enumerate(ENDPOINTS):
                pool = self.makePool()
                agent = Agent.usingEndpointFactory(
                    self.clock,
                    OddEndpoint(self.network, connect),
                    pool,
                    fastPath=fast,
                )
                results: list[Any] = []
                agent.request(b"GET", b"http://a/").addBoth(results.append)
                self.clock.pump([0, 0, 31, 0, 0])
                self.assertEqual(1, len(results), (number, connect))
                self.assertIsInstance(results[0], Failure)
                if connect is not connect_without:
                    self.assertEqual((0, 0, 0, 0), tuple(pool.counts()), number)
                else:
                    # Such a transport is never gone.
                    self.pools.remove(pool)
                self.flushLoggedErrors()


@implementer(IPolicyForHTTPS, IOpenSSLClientConnectionCreator)
class OddPolicy:
    """
    A policy, and its creator of connections, that does as the test says.
    """

    def __init__(self, creator: Any = None, connection: Any = None) -> None:
        self.creator = creator
        self.connection = connection

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        """
        See L{IPolicyForHTTPS}.
        """
        return self if self.creator is None else self.creator()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """
        See L{IOpenSSLClientConnectionCreator}.
        """
        return self.connection()


def raising(error: BaseException) -> Any:
    """
    What raises.
    """

    def function() -> Any:
        raise error

    return function


class Tunneling(Protocol):
    """
    A proxy that says yes to everything.
    """

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if data.startswith(b"CONNECT"):
            self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")


class PolicyTests(TestCase):
    """
    TLS policies of the application's, on real sockets.
    """

    timeout = 20

    @inlineCallbacks
    def test_odd(self) -> Any:
        """
        A policy, or its creator, that raises or returns nonsense fails the request
        at once, with what was wrong; nothing is left in the pool.
        """
        factory = Factory.forProtocol(Tunneling)
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number = port.getHost().port
        proxies = Proxies(https=Proxy.fromURL(f"http://127.0.0.1:{number}"))
        for policy, kind in (
            (OddPolicy(raising(Broken())), Broken),
            (OddPolicy(raising(Abrupt())), Abrupt),
            # Twisted before 26.4 has another exception for it.
            (OddPolicy(object), (TypeError, AttributeError)),
            (OddPolicy(None, raising(Broken())), Broken),
            (OddPolicy(None, raising(Abrupt())), Abrupt),
            (OddPolicy(None, lambda: None), TypeError),
            (OddPolicy(None, lambda: "connection"), TypeError),
        ):
            for through in (None, proxies):
                pool = HTTPConnectionPool(net)
                agent = Agent(
                    net,
                    policy,
                    pool=pool,
                    proxies=through,
                    settings=ClientSettings(connectTimeout=None, tlsTimeout=None),
                )
                deferred: Deferred[Any] = agent.request(
                    b"GET", f"https://127.0.0.1:{number}/".encode()
                )
                results: list[Any] = []
                yield deferred.addBoth(results.append)
                kinds = kind if isinstance(kind, tuple) else (kind,)
                self.assertIsNotNone(results[0].check(*kinds), results)
                yield pool.close()
                # Its endpoint may be told of the end after the pool.
                yield eventually(lambda one: not any(one.counts()), pool)
                self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))
        self.flushWarnings()
