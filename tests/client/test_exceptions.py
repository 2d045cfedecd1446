"""
Whatever a request fails with is a RequestError, and what Twisted calls it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from twisted.internet import error as net
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import client as web
from twisted.web.error import InfiniteRedirection, SchemeNotSupported
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from tests.support.client_cases import ClientTestCase, Reader
from tests.support.producers import Producer
from twisted_h11 import client
from twisted_h11._client.errors import adopt
from twisted_h11.client import RequestError


class Odd(Exception):
    """
    Of an application's endpoint.
    """

    def __init__(self, one: str, *, two: int = 2) -> None:
        super().__init__(one)
        self.two = two


class NoOther(Exception):
    """
    One that allows no subclass.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        raise TypeError("no")


@implementer(IReactorPluggableNameResolver)
class Nameless(MemoryReactorClock):
    """
    A reactor that finds no address for any name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver: Any = self

    def resolveHostName(self, receiver: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Nothing found.
        """
        receiver.resolutionBegan(self)
        receiver.resolutionComplete()
        return receiver


CONNECTING: list[Exception] = [
    net.ConnectionRefusedError(osError=111, string="refused"),
    net.ConnectError("somehow"),
    net.ConnectBindError(osError=99),
    net.DNSLookupError("no such name"),
    net.UnknownHostError(),
    net.NoRouteError(),
    net.TCPTimedOutError(osError=110),
    net.TimeoutError(),
    net.UserError(),
    net.SSLError(),
    net.ConnectionLost("lost"),
    OSError(5, "input", "a file"),
    PermissionError(13, "not allowed"),
    RuntimeError("an endpoint's own"),
    KeyError("x"),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "why"),
    Exception("bare"),
    Odd("one", two=3),
]


class RootTests(ClientTestCase):
    """
    Each way to fail, and both of its classes.
    """

    def check(self, reason: Failure, *kinds: type[BaseException]) -> Any:
        """
        The error is of the root, and of each of Twisted's classes.
        """
        error: Any = reason.value
        self.assertIsInstance(error, RequestError)
        for kind in kinds:
            self.assertIsInstance(error, kind)
            self.assertIsNotNone(reason.check(kind))
        if not isinstance(error, CancelledError):
            self.assertTrue(str(error))
        return error

    def failed(self, deferred: Deferred[Any], *kinds: type[BaseException]) -> Any:
        """
        So does the failure of a Deferred.
        """
        return self.check(self.failureResultOf(deferred), *kinds)

    def test_connecting(self) -> None:
        """
        Errors of endpoints keep class, text and attributes, and learn the phase.
        """
        for error in CONNECTING:
            self.network.error = error
            deferred = self.makeAgent().request(b"GET", b"http://a/")
            if type(error) is net.TimeoutError:
                self.failed(deferred, net.TimeoutError, client.ConnectTimedOut)
                continue
            found = self.failed(deferred, type(error))
            self.assertEqual(str(error), str(found).partition(" (connecting")[0])
            self.assertEqual(error.args, found.args)
            self.assertEqual("connecting", found.phase)
            self.assertEqual(0, found.elapsed)
            for name in ("errno", "strerror", "filename", "osError", "two", "start"):
                if hasattr(error, name):
                    self.assertEqual(getattr(error, name), getattr(found, name))
        self.network.error = None

    def test_endpointThatRaises(self) -> None:
        """
        One that raises instead of returning a Deferred, or gives something else.
        """
        agent = self.makeAgent()

        def raises(factory: Any) -> Any:
            raise ValueError("broken")

        self.network.connect = raises  # type: ignore[method-assign]
        self.failed(agent.request(b"GET", b"http://a/"), ValueError)

    def test_noOther(self) -> None:
        """
        An error whose class can not have a subclass is told in words.
        """
        self.network.error = NoOther("strange")
        error = self.failed(self.makeAgent().request(b"GET", b"http://a/"))
        self.assertIn("NoOther: strange", str(error))
        proxied = client.ProxyAgent(self.network, self.clock)
        error = self.failed(proxied.request(b"GET", b"http://a/"), client.ProxyError)
        self.assertEqual("The proxy: NoOther: strange", str(error))
        # An application may raise it, too.
        self.assertEqual("The proxy: gone", str(client.ProxyError(string="gone")))

    def test_names(self) -> None:
        """
        A name that nobody knows, as the reactor tells it.
        """
        deferred = client.Agent(Nameless()).request(b"GET", b"http://unknown/")
        self.failed(deferred, net.DNSLookupError)

    def test_scheme(self) -> None:
        """
        A scheme that is none of ours, from the agent and from an endpoint
        factory.
        """
        agent = client.Agent(self.clock)
        self.failed(agent.request(b"GET", b"ftp://a/"), SchemeNotSupported)
        unix = client.Agent.usingEndpointFactory(
            MemoryReactorClock(), client.UNIXEndpointFactory(self.clock, "/x")
        )
        self.failed(unix.request(b"GET", b"https://a/"), SchemeNotSupported)

    def test_cancelled(self) -> None:
        """
        Cancelling, in each phase; and a pool that is closed.
        """
        agent = self.makeAgent(self.makePool(maxConnections=1))
        self.network.hang = True
        connecting = agent.request(b"GET", b"http://a/")
        queued = agent.request(b"GET", b"http://a/")
        closed = agent.request(b"GET", b"http://a/")
        queued.cancel()
        self.assertIn("waiting", self.failed(queued, CancelledError).phase)
        connecting.cancel()
        self.failed(connecting, CancelledError)
        agent.pool.close()
        self.failed(closed, CancelledError)
        self.network.hang = False
        sent, _ = self.ask()
        sent.cancel()
        self.failed(sent, web.ResponseNeverReceived)

    def test_timeOuts(self) -> None:
        """
        Every time-out there is.
        """
        late = (client.TimedOut, net.TimeoutError)
        head, _ = self.ask(headTimeout=1)
        total, _ = self.ask(totalTimeout=1)
        self.network.hang = True
        connect = self.makeAgent(connectTimeout=1).request(b"GET", b"http://a/")
        pool = self.makePool(maxConnections=1, queueTimeout=1)
        agent = self.makeAgent(pool)
        held = agent.request(b"GET", b"http://a/")
        queued = agent.request(b"GET", b"http://a/")
        self.clock.advance(1)
        self.failed(head, web.ResponseNeverReceived, *late)
        self.failed(total, *late)
        self.failed(connect, *late)
        self.failed(queued, *late, client.RequestNotSent)
        held.cancel()
        self.failed(held)

    def test_queueFull(self) -> None:
        """
        Too many requests.
        """
        self.network.hang = True
        agent = self.makeAgent(self.makePool(maxConnections=1, maxQueued=0))
        held = agent.request(b"GET", b"http://a/")
        self.failed(agent.request(b"GET", b"http://a/"), client.RequestNotSent)
        held.cancel()
        self.failed(held)

    def test_heads(self) -> None:
        """
        Connections that end, and answers that are none.
        """
        ways: list[tuple[Callable[[Any], object], type[Exception]]] = [
            (lambda peer: peer.lose(), web.ResponseNeverReceived),
            (lambda peer: peer.lose(ConnectionLost()), web.ResponseNeverReceived),
            (lambda peer: (peer.send(b"HTTP/1.1"), peer.lose()), web.ResponseFailed),
            (lambda peer: peer.send(b"nonsense\r\n\r\n"), web.ResponseFailed),
            (lambda peer: peer.send(b"HTTP/1.1 20" + b"0" * 99999), web.ResponseFailed),
        ]
        for way, kind in ways:
            deferred, peer = self.ask()
            way(peer)
            error = self.failed(deferred, kind)
            for reason in error.reasons:
                if not reason.check(ConnectionDone, ConnectionLost):
                    self.assertIsInstance(reason.value, RequestError)

    def test_theirTimeOut(self) -> None:
        """
        A time-out of the application's own, which has cut the connection, is told
        in its words, too.
        """
        deferred, peer = self.ask()
        peer.lose(net.TimeoutError("too slow for us"))
        error = self.failed(deferred, web.ResponseNeverReceived)
        self.assertIn("connection failure: too slow for us (waiting", str(error))

    def test_requests(self) -> None:
        """
        Fields that can not be sent, and producers that fail.
        """
        agent = self.makeAgent()
        deferred = agent.request(b"GET", b"http://a/", [(b"a b", b"")])
        self.failed(deferred, web.RequestGenerationFailed)
        producer = Producer()
        deferred, _ = self.ask(method=b"POST", body=producer)
        producer.done.errback(Failure(ValueError("broken")))
        self.failed(deferred, web.RequestGenerationFailed)

    def test_bodies(self) -> None:
        """
        What a body protocol is told, and C{readBody}, and C{async for}.
        """
        head = b"HTTP/1.1 200 OK\r\n"
        cut = head + b"Content-Length: 9\r\n\r\nab"
        cases: list[tuple[bytes, type[Exception], type[Exception]]] = [
            (cut, web.ResponseFailed, web.ResponseFailed),
            (head + b"\r\nab", PotentialDataLoss, web.PartialDownloadError),
        ]
        for data, kind, whole in cases:
            readers: list[Any] = []
            for _ in range(3):
                deferred, peer = self.ask()
                peer.send(data)
                readers.append((self.successResultOf(deferred), peer))
            reader = Reader()
            readers[0][0].deliverBody(reader)
            body = client.readBody(readers[1][0])

            async def iterate(response: Any = readers[2][0]) -> None:
                async for _ in response:
                    pass

            iterated = Deferred.fromCoroutine(iterate())
            for _, peer in readers:
                peer.lose()
            assert reader.reason is not None
            self.check(reader.reason, kind)
            self.failed(body, whole)
            if kind is PotentialDataLoss:
                self.successResultOf(iterated)
            else:
                self.failed(iterated, kind)

    def test_redirects(self) -> None:
        """
        Too many redirects, and one to nowhere.
        """
        redirect = b"HTTP/1.1 302 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
        nowhere = b"HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n"
        for kind in (client.RedirectAgent, client.BrowserLikeRedirectAgent):
            for answer in (redirect, nowhere):
                agent = kind(self.makeAgent(), redirectLimit=2)
                deferred = agent.request(b"GET", b"http://a/")
                for _ in range(4):
                    self.clock.advance(0)
                    if not self.network.peers[-1].closed:
                        self.network.peers[-1].send(answer)
                error = self.failed(deferred, web.ResponseFailed)
                if answer is redirect:
                    error.reasons[0].trap(InfiniteRedirection)

    def test_everyClass(self) -> None:
        """
        Every exception that C{twisted_h11.client} has of its own is one.
        """
        own = []
        for name in client.__all__:
            value = getattr(client, name)
            if isinstance(value, type) and issubclass(value, Exception):
                if value.__module__.startswith("twisted_h11"):
                    own.append(name)
                    self.assertTrue(issubclass(value, RequestError), name)
        self.assertIn("ProxyRefused", own)
        self.assertGreater(len(own), 10)


class AdoptTests(SynchronousTestCase):
    """
    How an error of somebody else's gets the second class.
    """

    def test_same(self) -> None:
        """
        One class for all errors of a class; one that has it is left alone.
        """
        one = adopt(Failure(net.DNSLookupError("a")))
        two = adopt(Failure(net.DNSLookupError("b")))
        self.assertIs(type(one.value), type(two.value))
        self.assertIs(one, adopt(one))
        self.assertEqual("twisted.internet.error.DNSLookupError", _name(one.type))

    def test_traceback(self) -> None:
        """
        The traceback and the cause are those of the error.
        """
        try:
            try:
                raise KeyError("inner")
            except KeyError as inner:
                raise ValueError("outer") from inner
        except ValueError:
            reason = adopt(Failure())
        self.assertIn("test_traceback", reason.getTraceback())
        value: Any = reason.value
        self.assertIsInstance(value.__cause__, KeyError)

    def test_pickled(self) -> None:
        """
        It can be sent to another process.
        """
        errors: list[Exception] = [
            net.ConnectionRefusedError(osError=1, string="x"),
            KeyError(3),
            OSError(5, "input", "a file"),
        ]
        for error in errors:
            adopted: Any = adopt(Failure(error), "connecting", 3.0).value
            again = pickle.loads(pickle.dumps(adopted))
            self.assertIs(type(adopted), type(again))
            self.assertEqual((adopted.args, "connecting"), (again.args, again.phase))
            self.assertEqual(str(adopted), str(again))

    def test_notAnError(self) -> None:
        """
        What is no exception of a program's stays what it is.
        """
        reason = Failure(KeyboardInterrupt())
        self.assertIs(reason, adopt(reason))


def _name(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__name__}"
