"""
Test a resource, and a client of it, without a network.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from twisted_h11.client import readBody
from twisted_h11.testing import MemoryAgent


class Greeting(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"Hello, %b" % (request.args[b"name"][0],)


class GreetingTests(SynchronousTestCase):
    def test_greeting(self) -> None:
        """
        Who gives a name is greeted.
        """
        agent = MemoryAgent(Greeting())
        self.addCleanup(agent.close)
        asked = agent.request(b"GET", b"http://example.com/?name=World")
        response = self.successResultOf(asked)
        self.assertEqual(200, response.code)
        self.assertEqual(b"Hello, World", self.successResultOf(readBody(response)))
