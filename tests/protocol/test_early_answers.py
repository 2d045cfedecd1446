"""
A client of h11's events gets a response that has arrived, although the rest of its
request can not be sent.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.support.early_answers import BODY, HEAD, hasty_servers
from tests.support.protocol_cases import Recording, client_request

net: Any = reactor

WHOLE = [
    ("Response", 413),
    ("Data", BODY),
    ("EndOfMessage", []),
]


class Uploading(Recording):
    """
    Sends a part of a request at once.

    @ivar over: fires when the connection is lost.
    """

    role = h11.CLIENT

    def __init__(self) -> None:
        super().__init__()
        self.over: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Send more than the kernel takes.
        """
        super().connectionMade()
        length = ("Content-Length", "4000000")
        self.sendEvent(client_request(length, method="POST"))
        self.sendEvent(h11.Data(data=bytes(3_000_000)))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the test.
        """
        super().connectionLost(reason)
        self.over.callback(None)


class EarlyAnswerTests(TestCase):
    """
    On real sockets.
    """

    timeout = 20

    def endpoints(self, answer: bytes) -> Any:
        """
        Ways to servers that answer early.
        """
        (plain, _), (secure, trusted), (local, _) = hasty_servers(self, answer)
        authority = ssl.Certificate.loadPEM(trusted)
        trust = ssl.optionsForClientTLS("localhost", authority)
        yield TCP4ClientEndpoint(net, "127.0.0.1", plain.getHost().port)
        way = TCP4ClientEndpoint(net, "127.0.0.1", secure.getHost().port)
        yield wrapClientTLS(trust, way)
        yield UNIXClientEndpoint(net, local.getHost().name)

    @inlineCallbacks
    def test_read(self) -> Any:
        """
        The whole response is delivered, on each transport; of a part, its events.
        """
        for cut in (0, 10_000):
            answer = HEAD + BODY
            for endpoint in self.endpoints(answer[: len(answer) - cut]):
                client = yield connectProtocol(endpoint, Uploading())
                yield client.over
                expected = WHOLE
                if cut:
                    expected = [WHOLE[0], ("Data", BODY[:-cut])]
                self.assertEqual(expected, client.events)

    @inlineCallbacks
    def test_paused(self) -> Any:
        """
        An application that has paused reading gets no event by that.
        """
        for endpoint in self.endpoints(HEAD + BODY):
            client = Uploading()
            client.onEvent = lambda protocol, event: protocol.pauseReading()
            yield connectProtocol(endpoint, client)
            yield client.over
            self.assertEqual(WHOLE[:1], client.events)
