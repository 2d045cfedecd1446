"""
Tests of a resource without a network, without waiting, and byte by byte.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from twisted_h11.client import readBody
from twisted_h11.server import Limits, Request
from twisted_h11.testing import MemoryAgent, MemorySite


class Slow(Resource):
    """
    What is tested: a resource that needs a minute.
    """

    isLeaf = True

    def __init__(self, clock: Any) -> None:
        super().__init__()
        self.clock = clock

    async def render_GET(self, request: Request) -> bytes:
        await deferLater(self.clock, 60)
        return b"done\n"

    def render_POST(self, request: Request) -> bytes:
        return b"thanks\n"


class SlowTests(SynchronousTestCase):
    def test_minute(self) -> None:
        """
        It answers after a minute, which passes at once.
        """
        clock = Clock()
        agent = MemoryAgent(Slow(clock), clock)
        self.addCleanup(agent.close)
        asked = agent.request(b"GET", b"http://example.com/")
        self.assertNoResult(asked)
        clock.advance(60)
        agent.flush()
        body = readBody(self.successResultOf(asked))
        self.assertEqual(b"done\n", self.successResultOf(body))

    def test_tooLong(self) -> None:
        """
        A body beyond the limit is refused.
        """
        agent = MemoryAgent(Slow(Clock()), limits=Limits(maxBodyLength=3))
        self.addCleanup(agent.close)
        asked = agent.request(b"POST", b"http://example.com/", None, b"four")
        self.assertEqual(413, self.successResultOf(asked).code)

    def test_bytes(self) -> None:
        """
        The server sees what a client sends, in the pieces in which it comes.
        """
        site = MemorySite(Slow(Clock()))
        self.addCleanup(site.close)
        connection = site.connect()
        connection.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-", b"Length: 2\r\n\r\nx"
        )
        self.assertEqual(b"", connection.received)
        answer = connection.send(b"y")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"))
