"""
Transports that answer every question, as those of mocks do in users' tests.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import h11
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from tests.support.producers import OK
from twisted_h11.client import Agent
from twisted_h11.protocol import H11Factory, H11Protocol
from twisted_h11.server import Site


class Endpoint:
    """
    Connects to a mock.
    """

    def __init__(self) -> None:
        self.transport = Mock()
        self.protocol: Any = None

    def endpointForURI(self, uri: object) -> Any:
        """
        See C{IAgentEndpointFactory}.
        """
        return self

    def connect(self, factory: Any) -> Any:
        """
        See C{IStreamClientEndpoint}.
        """
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        return succeed(self.protocol)


class MockTests(SynchronousTestCase):
    """
    A whole exchange over a C{Mock}, in each role.
    """

    def test_server(self) -> None:
        """
        A request is answered, and the connection can end.
        """
        clock: Any = Clock()
        channel: Any = Site(Resource(), reactor=clock).buildProtocol(None)
        transport = Mock()
        channel.makeConnection(transport)
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        clock.advance(0)
        self.assertTrue(transport.writeSequence.called or transport.write.called)
        channel.connectionLost(None)
        self.assertEqual([], clock.getDelayedCalls())

    def test_client(self) -> None:
        """
        A response is received, and the connection can end.
        """
        clock: Any = Clock()
        endpoint = Endpoint()
        agent = Agent.usingEndpointFactory(clock, endpoint)
        deferred = agent.request(b"GET", b"http://a/")
        endpoint.protocol.dataReceived(OK)
        self.assertEqual(200, self.successResultOf(deferred).code)
        endpoint.protocol.connectionLost(None)
        self.assertEqual([], clock.getDelayedCalls())

    def test_events(self) -> None:
        """
        Events are received, and the connection can end.
        """
        events: list[h11.Event] = []
        protocol: Any = H11Factory(H11Protocol, reactor=Clock()).buildProtocol(None)
        protocol.eventReceived = events.append
        protocol.makeConnection(Mock())
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(2, len(events))
        protocol.connectionLost(None)

    def test_noAbort(self) -> None:
        """
        One that can not be dropped is closed.
        """
        protocol: Any = H11Factory(H11Protocol, reactor=Clock()).buildProtocol(None)
        transport = Mock(spec=["write", "writeSequence", "loseConnection"])
        protocol.makeConnection(transport)
        protocol.abortConnection()
        transport.loseConnection.assert_called_once_with()
        protocol.connectionLost(None)
