"""
C{KeyboardInterrupt}, that of whoever sits at the terminal, goes on from within all code
of an application that the client calls; all else is the failure of a request.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from tests.support.client_cases import ClientTestCase, Reader
from tests.support.producers import OK, Producer


class InterruptTests(ClientTestCase):
    """
    Each place that lets nothing else pass.
    """

    def interrupted(self, function: Any, *arguments: Any) -> None:
        """
        The call ends so.
        """
        with self.assertRaises(KeyboardInterrupt):
            function(*arguments)

    def reader(self, name: str) -> Any:
        """
        A reader of a body, one of whose methods is interrupted, once.
        """
        reader = Reader()
        usual = getattr(reader, name)
        setattr(reader, name, Mock(side_effect=[KeyboardInterrupt, usual]))
        return reader

    def test_reader(self) -> None:
        """
        A reader, with a piece that comes, with one that was here, and at its end.
        """
        deferred, peer = self.ask()
        peer.send(OK[:-2])
        response = self.successResultOf(deferred)
        self.interrupted(response.deliverBody, self.reader("dataReceived"))
        deferred, peer = self.ask()
        peer.send(OK[:-5])
        self.successResultOf(deferred).deliverBody(self.reader("dataReceived"))
        self.interrupted(peer.send, b"he")
        self.interrupted(self.get(OK).deliverBody, self.reader("connectionLost"))

    def test_producer(self) -> None:
        """
        A producer that is paused, and one that is stopped.
        """
        for name, act in (("pauseProducing", "fill"), ("stopProducing", "lose")):
            producer: Any = Producer()
            setattr(producer, name, Mock(side_effect=[KeyboardInterrupt]))
            _, peer = self.ask(method=b"POST", body=producer)
            self.interrupted(getattr(peer, act))
            if name == "stopProducing":
                # Whoever lost the connection has not told it.
                peer.protocol.connectionLost(None)
