"""
101 and CONNECT: the connection goes to another protocol.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Protocol
from twisted.web.client import ResponseDone, ResponseFailed

from tests.support.client_cases import ClientTestCase
from tests.support.producers import OK


class Tunnelled(Protocol):
    """
    The protocol after a switch.
    """

    def __init__(self) -> None:
        self.data = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: object = None) -> None:
        self.lost = True


class SwitchTests(ClientTestCase):
    """
    101 and CONNECT.
    """

    def upgraded(self) -> Any:
        """
        A 101 response.
        """
        return self.get(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"
            b"Connection: upgrade\r\n\r\nfirst",
            headers=[(b"Upgrade", b"echo"), (b"Connection", b"upgrade")],
        )

    def test_upgrade(self) -> None:
        """
        The new protocol gets the transport, and the bytes that came early.
        """
        response = self.upgraded()
        self.assertEqual(101, response.code)
        self.assertEqual((0, 1, 0, 0), tuple(self.pools[0].counts()))
        peer = self.network.peers[-1]
        peer.take()
        connection = peer.protocol
        self.assertEqual("switching", connection.state.value)
        tunnelled = Tunnelled()
        response.switchProtocol(tunnelled)
        self.assertEqual("switched", connection.state.value)
        self.assertEqual((0, 0, 0, 0), tuple(self.pools[0].counts()))
        self.assertEqual(b"first", tunnelled.data)
        peer.send(b"second")
        self.clock.advance(0)
        self.assertEqual(b"firstsecond", tunnelled.data)
        assert tunnelled.transport is not None
        tunnelled.transport.write(b"out")
        self.assertEqual(b"out", peer.received)
        peer.lose()
        self.assertTrue(tunnelled.lost)

    def test_connect(self) -> None:
        """
        So does one after a 2xx to CONNECT, whose fields frame nothing.
        """
        agent = self.makeAgent()
        deferred = agent._start(
            b"CONNECT", b"a:1", None, b"", ("x",), b"a:1", None, self.network
        )
        self.network.peers[-1].send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
        )
        tunnelled = Tunnelled()
        self.successResultOf(deferred).switchProtocol(tunnelled)
        self.assertEqual(b"first", tunnelled.data)

    def test_notTaken(self) -> None:
        """
        A switched connection that nobody takes is dropped.
        """
        response = self.upgraded()
        del response
        self.assertTrue(self.network.peers[-1].aborted)
        response = self.upgraded()
        self.clock.advance(300)
        self.assertTrue(self.network.peers[-1].aborted)
        with self.assertRaises(RuntimeError):
            response.switchProtocol(Tunnelled())

    def test_readInstead(self) -> None:
        """
        Who reads the body of a 101 finds it empty.
        """
        reader = self.read(self.upgraded())
        self.assertEqual(b"", reader.data)
        assert reader.reason is not None
        reader.reason.trap(ResponseDone)
        self.assertTrue(self.network.peers[-1].aborted)

    def test_readInsteadTraced(self) -> None:
        """
        A trace is told of that end, too.
        """
        told: list[str] = []
        deferred, peer = self.ask(
            trace=lambda event: told.append(event.name),
            headers=[(b"Upgrade", b"x"), (b"Connection", b"upgrade")],
        )
        peer.send(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")
        self.read(self.successResultOf(deferred))
        self.assertEqual(["head received", "ended"], told[-2:])

    def test_notSwitched(self) -> None:
        """
        An ordinary response can not be switched.
        """
        with self.assertRaises(RuntimeError):
            self.get(OK).switchProtocol(Tunnelled())
        response = self.get(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        with self.assertRaises(RuntimeError):
            response.switchProtocol(Tunnelled())
        self.read(response)

    def test_early(self) -> None:
        """
        What a transport delivers although it was paused waits for the new protocol.
        """
        response = self.upgraded()
        peer = self.network.peers[-1]
        self.assertTrue(peer.paused)
        peer.protocol.dataReceived(b" second")
        tunnelled = Tunnelled()
        response.switchProtocol(tunnelled)
        self.assertEqual(b"first second", tunnelled.data)

    def test_slow(self) -> None:
        """
        A server that reads nothing meanwhile changes nothing: whoever takes the
        connection has its time.
        """
        response = self.upgraded()
        peer = self.network.peers[-1]
        self.clock.advance(200)
        peer.fill()
        peer.drain()
        self.clock.advance(99)
        self.assertFalse(peer.aborted)
        self.clock.advance(1)
        self.assertTrue(peer.aborted)
        del response

    def test_cancelled(self) -> None:
        """
        A trace function may cancel the request when the server switches.
        """
        asked: list[Any] = []

        def trace(event: Any) -> None:
            if event.name == "head received":
                asked[0].cancel()

        deferred, peer = self.ask(
            trace=trace, headers=[(b"Upgrade", b"x"), (b"Connection", b"upgrade")]
        )
        asked.append(deferred)
        peer.send(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")
        self.failing(deferred, ResponseFailed).reasons[0].trap(CancelledError)
        self.assertTrue(peer.aborted)

    def test_closedMeanwhile(self) -> None:
        """
        A connection that is dropped just before it is given away is not given away,
        and its place in the pool is free.
        """

        def trace(event: Any) -> None:
            if event.name == "ended":
                event.connection.abortConnection()

        pool = self.makePool()
        deferred, peer = self.ask(
            self.makeAgent(pool, trace=trace),
            headers=[(b"Upgrade", b"x"), (b"Connection", b"upgrade")],
        )
        peer.send(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")
        response = self.successResultOf(deferred)
        tunnelled = Tunnelled()
        with self.assertRaises(h11.LocalProtocolError):
            response.switchProtocol(tunnelled)
        self.clock.advance(0)
        self.assertIsNone(tunnelled.transport)
        self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))
