"""
A response that has arrived is read, although the rest of the request can not be sent.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase
from twisted.web.client import ResponseFailed

from tests.support.early_answers import BODY, HEAD, hasty_servers
from tests.support.server_cases import FAST_PATH
from twisted_h11._wire import sockets
from twisted_h11.client import (
    Agent,
    RequestError,
    TLSPolicy,
    UNIXEndpointFactory,
    readBody,
)

net: Any = reactor


class EarlyAnswerTests(TestCase):
    """
    On real sockets.
    """

    timeout = 20

    def ways(self, answer: bytes) -> Any:
        """
        Servers that answer, and an agent for each.
        """
        plain, secure, local = hasty_servers(self, answer)
        for scheme, (port, trusted) in (("http", plain), ("https", secure)):
            policy = TLSPolicy.trusting(trusted)
            uri = f"{scheme}://localhost:{port.getHost().port}/"
            yield Agent(net, policy, fastPath=FAST_PATH), uri.encode()
        ways = UNIXEndpointFactory(net, local[0].getHost().name)
        yield (
            Agent.usingEndpointFactory(net, ways, fastPath=FAST_PATH),
            b"http://localhost/",
        )

    @inlineCallbacks
    def test_read(self) -> Any:
        """
        The whole response is read, on each transport, and a part of one is a failure.
        """
        for answer in (HEAD + BODY, HEAD + BODY[:30_000]):
            for agent, uri in self.ways(answer):
                body = bytes(3_000_000)
                response = yield agent.request(b"POST", uri, None, body)
                self.assertEqual(413, response.code)
                if answer == HEAD + BODY:
                    self.assertEqual(BODY, (yield readBody(response)))
                else:
                    yield self.assertFailure(readBody(response), ResponseFailed)

    @inlineCallbacks
    def test_none(self) -> Any:
        """
        Without a response the request fails.
        """
        for agent, uri in self.ways(b""):
            sent = agent.request(b"POST", uri, None, bytes(3_000_000))
            yield self.assertFailure(sent, RequestError)

    @inlineCallbacks
    def test_bound(self) -> Any:
        """
        A connection that is lost is not read for ever.
        """
        self.patch(sockets, "MOST_READS", 0)
        for agent, uri in self.ways(HEAD + BODY):
            sent = agent.request(b"POST", uri, None, bytes(3_000_000))
            yield self.assertFailure(sent, RequestError)
