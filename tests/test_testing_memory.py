"""
The helpers for users' tests: both ends in memory.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed, ResponseNeverReceived, readBody
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.server.test_given_away import Drainable, Giving
from tests.server.test_switch_protocol import UPGRADE
from tests.support.server_cases import FAST_PATH, Calls
from twisted_h11.client import ClientSettings
from twisted_h11.server import Limits, Site
from twisted_h11.testing import MemoryAgent, MemorySite


class Root(Resource):
    """
    Several ways to answer.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Any] = []

    def render_GET(self, request: Any) -> Any:
        """
        By the path.
        """
        if request.path == b"/late":
            self.open.append(request)
            return NOT_DONE_YET
        if request.path == b"/large":
            return b"x" * 1_000_000
        if request.path == b"/chunks":
            request.write(b"a")
            request.write(b"b")
            return b"c"
        return b"%b %d" % (request.uri, request.isSecure())

    def render_POST(self, request: Any) -> Any:
        """
        The body, backwards.
        """
        return bytes(request.content.read()[::-1])


class Staying(Drainable):
    """
    Says good-bye, and stays.
    """

    def drain(self) -> None:
        """
        See L{IDrainable.drain}.
        """
        self.transport.write(b"bye")


@implementer(IBodyProducer)
class Pieces:
    """
    A body in pieces.
    """

    length = UNKNOWN_LENGTH

    def startProducing(self, consumer: Any) -> Deferred[None]:
        for piece in (b"ab", b"cd"):
            consumer.write(piece)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class MemoryAgentTests(SynchronousTestCase):
    """
    Requests without a network.
    """

    def setUp(self) -> None:
        """
        Make the agent.
        """
        self.root = Root()
        self.agent = MemoryAgent(self.root, fastPath=FAST_PATH)
        self.addCleanup(self.close)

    def close(self) -> None:
        """
        Nothing is left, not even on the clock.
        """
        self.agent.close()
        self.assertEqual((0, 0, 0, 0), tuple(self.agent.pool.counts()))
        self.assertEqual([], self.agent.clock.getDelayedCalls())

    def get(self, *arguments: Any) -> bytes:
        """
        The body of the answer.
        """
        response = self.successResultOf(self.agent.request(*arguments))
        body: bytes = self.successResultOf(readBody(response))
        return body

    def test_interface(self) -> None:
        """
        It is an agent.
        """
        verifyObject(IAgent, self.agent)

    def test_get(self) -> None:
        """
        The answer is there when C{request} returns; https is secure.
        """
        for _ in range(3):
            self.assertEqual(b"/a?b 0", self.get(b"GET", b"http://x/a?b"))
        self.assertEqual(b"/ 1", self.get(b"GET", b"https://x/"))
        self.assertEqual(2, self.agent.pool.counts().idle)

    def test_bodies(self) -> None:
        """
        Bodies go both ways, long ones and chunked ones too.
        """
        self.assertEqual(b"cba", self.get(b"POST", b"http://x/", None, b"abc"))
        self.assertEqual(b"dcba", self.get(b"POST", b"http://x/", None, Pieces()))
        long = os.urandom(300_000)
        self.assertEqual(long[::-1], self.get(b"POST", b"http://x/", None, long))
        self.assertEqual(b"abc", self.get(b"GET", b"http://x/chunks"))

    def test_large(self) -> None:
        """
        A long answer is delivered under back-pressure.
        """
        response = self.successResultOf(self.agent.request(b"GET", b"http://x/large"))

        async def read() -> int:
            length = 0
            async for piece in response:
                length += len(piece)
            return length

        result = ensureDeferred(read())
        self.agent.flush()
        self.assertEqual(1_000_000, self.successResultOf(result))

    def test_late(self) -> None:
        """
        An answer that comes later needs a flush.
        """
        result = self.agent.request(b"GET", b"http://x/late")
        self.assertNoResult(result)
        self.root.open[0].write(b"now")
        self.root.open[0].finish()
        self.agent.flush()
        response = self.successResultOf(result)
        self.assertEqual(b"now", self.successResultOf(readBody(response)))

    def test_cancel(self) -> None:
        """
        The server sees that the client has gone.
        """
        result = self.agent.request(b"GET", b"http://x/late")
        gone = self.root.open[0].notifyFinish()
        result.cancel()
        self.failureResultOf(result, ResponseNeverReceived)
        self.agent.flush()
        self.failureResultOf(gone)

    def test_time(self) -> None:
        """
        Time passes when the test says so.
        """
        agent = MemoryAgent(
            self.root, settings=ClientSettings(headTimeout=5), fastPath=FAST_PATH
        )
        result = agent.request(b"GET", b"http://x/late")
        gone = self.root.open[0].notifyFinish()
        agent.clock.advance(5)
        agent.flush()
        self.assertIn("5 s", str(self.failureResultOf(result, ResponseFailed).value))
        self.failureResultOf(gone)
        agent.close()

    def test_treq(self) -> None:
        """
        treq works on top.
        """
        try:
            from treq.client import HTTPClient
        except ImportError:
            self.skipTest("treq is not installed")
        make: Any = bytes
        for options in ({}, {"data_to_body_producer": make}):
            client: Any = HTTPClient(self.agent, **options)
            response = self.successResultOf(
                client.post("http://x/", data=b"abc", unbuffered=False)
            )
            self.assertEqual("cba", self.successResultOf(response.text()))


class MemorySiteTests(SynchronousTestCase):
    """
    A server without a network.
    """

    def test_bytes(self) -> None:
        """
        Bytes in, bytes out, in as many segments as one likes.
        """
        site = MemorySite(Root(), serverHeader=None)
        connection = site.connect()
        self.assertEqual(b"", connection.send(b"GET /x HTTP/1.1\r\n"))
        answer = connection.send(b"Host: a\r\n", b"\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(answer.endswith(b"\r\n\r\n/x 0"))
        self.assertNotIn(b"Server:", answer)
        connection.close()
        self.assertTrue(connection.closed)
        self.assertEqual([], site.clock.getDelayedCalls())

    def test_secure(self) -> None:
        """
        A connection may pretend to be encrypted.
        """
        connection = MemorySite(Root()).connect(secure=True)
        answer = connection.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(answer.endswith(b"/x 1"))
        connection.close()

    def test_drain(self) -> None:
        """
        A connection that was handed over is told when the site drains, counts until it
        has ended, and is dropped when the time is over.
        """
        for ends, kind in ((True, Drainable), (False, Staying)):
            for secure in (False, True):
                root = Giving(kind)
                site = MemorySite(root, fastPath=FAST_PATH)
                connection = site.connect(secure)
                connection.send(UPGRADE)
                self.assertEqual(b"HI", connection.send(b"hi"))
                drained = site.site.drain(10)
                site.flush()
                self.assertTrue(connection.received.endswith(b"HIbye"))
                self.assertEqual(ends, connection.closed)
                site.clock.advance(10)
                site.flush()
                self.successResultOf(drained)
                self.assertTrue(connection.closed)
                self.assertEqual(1, len(root.protocols[-1].lost))
                self.assertEqual([], site.clock.getDelayedCalls())

    def test_gone(self) -> None:
        """
        A client that leaves without reading makes no room for the server: who waits
        for room is told of the end.
        """
        for leave in ("abort", "close"):
            told: list[Any] = []

            def render(request: Any, told: list[Any] = told) -> Any:
                request.write(b"x" * 200_000)
                request.drained().addBoth(told.append)
                return NOT_DONE_YET

            site = MemorySite(Calls(render), fastPath=FAST_PATH)
            connection = site.connect()
            connection.pause()
            connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual([], told)
            getattr(connection, leave)()
            (failure,) = told
            self.assertIsInstance(failure, Failure, leave)
            failure.trap(ConnectionLost)

    def test_ended(self) -> None:
        """
        A server's last response ends what it sends, at once; it reads for a while
        then, but with TLS.
        """
        last = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        for secure in (False, True):
            for data in (b"bad\r\n\r\n", last):
                site = MemorySite(Root(), fastPath=FAST_PATH)
                connection = site.connect(secure)
                self.assertFalse(connection.ended)
                connection.send(data)
                self.assertTrue(connection.ended)
                self.assertEqual(secure, connection.closed)
                self.assertEqual(b"", connection.send(b"more") if not secure else b"")
                site.clock.advance(site.site.limits.lingerTimeout)
                site.flush()
                self.assertTrue(connection.closed)
                self.assertEqual([], site.clock.getDelayedCalls())

    def test_limits(self) -> None:
        """
        The site has its limits and its time-outs.
        """
        site = MemorySite(Root(), limits=Limits(idleTimeout=7))
        connection = site.connect()
        self.assertIn(b" 400 ", connection.send(b"nonsense\r\n\r\n")[:20])
        connection = site.connect()
        connection.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        site.clock.advance(7)
        site.flush()
        self.assertTrue(connection.closed)
        site.close()

    def test_ownSite(self) -> None:
        """
        A site that was made elsewhere can be used.
        """
        site = MemorySite(Site(Root()))
        connection = site.connect()
        self.assertIn(b"/x 0", connection.send(b"GET /x HTTP/1.0\r\n\r\n"))
        site.close()
