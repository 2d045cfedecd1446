"""
Giving the connection of an L{H11Protocol} to another protocol.
"""

from __future__ import annotations

import io
from typing import Any

import h11
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.protocol.test_flow import Producer
from tests.support.memory import MemoryTransport
from tests.support.protocol_cases import ProtocolTestCase, Recording, client_request
from tests.support.server_cases import GET, get
from twisted_h11.protocol import FileRegion

UPGRADE = get(b"/", b"Connection: upgrade", b"Upgrade: other")
CONNECT = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
SWITCH: list[Any] = [("Connection", "upgrade"), ("Upgrade", "other")]


class Other(Protocol):
    """
    Another protocol; it notes what it gets.
    """

    transport: Any

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def connectionMade(self) -> None:
        """
        Note.
        """
        self.calls.append("made")

    def dataReceived(self, data: bytes) -> None:
        """
        Note.
        """
        self.calls.append(bytes(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note.
        """
        self.calls.append("lost")


@implementer(IHalfCloseableProtocol)
class OtherHalf(Other):
    """
    One that knows half-close.
    """

    def readConnectionLost(self) -> None:
        """
        Note.
        """
        self.calls.append("end")

    def writeConnectionLost(self) -> None:
        """
        Nothing.
        """


class SwitchTests(ProtocolTestCase):
    """
    C{switchProtocol}.
    """

    def accept(self, protocol: Any) -> None:
        """
        Say yes.
        """
        if protocol.seen[0].method == b"CONNECT":
            protocol.sendEvent(h11.Response(status_code=200, headers=[]))
        else:
            self.accept101(protocol)

    def accept101(self, protocol: Any) -> None:
        """
        Say yes to an upgrade.
        """
        protocol.sendEvent(h11.InformationalResponse(status_code=101, headers=SWITCH))

    def test_trailingData(self) -> None:
        """
        What came behind the request goes to the new protocol, then all that
        comes; the reading side is resumed.
        """
        for head in (UPGRADE, CONNECT):
            other = Other()
            wire = self.connect(Recording).send(head + b"trailing", b"more")
            self.assertTrue(wire.transport.paused)
            protocol = wire.channel
            self.accept(protocol)
            protocol.switchProtocol(other)
            self.assertEqual(["made", b"trailing"], other.calls)
            wire.transport.protocol = other
            wire.pump()
            self.assertEqual(["made", b"trailing", b"more"], other.calls)
            self.assertIn("switched to", repr(protocol))
            self.assertIsNone(wire.transport.producer)
            wire.vanish()
            self.assertEqual("lost", other.calls[-1])
            other.transport = None

    def test_withinTheEvent(self) -> None:
        """
        It may be done within C{eventReceived}; the answer goes out before
        anything that the new protocol writes.
        """
        other = Other()

        def answer(protocol: Any, event: h11.Event) -> None:
            if isinstance(event, h11.EndOfMessage):
                self.accept(protocol)
                protocol.switchProtocol(other)
                other.transport.write(b"hello")

        wire = self.serve(answer).send(UPGRADE + b"trailing")
        self.assertEqual(["made", b"trailing"], other.calls)
        self.assertTrue(wire.output.startswith(b"HTTP/1.1 101 "))
        self.assertTrue(wire.output.endswith(b"\r\n\r\nhello"))
        wire.vanish()
        other.transport = None

    def test_notReplaced(self) -> None:
        """
        A transport that goes on calling the old one reaches the new one.
        """
        other = Other()
        wire = self.connect(Recording).send(UPGRADE)
        old = wire.channel
        self.accept(old)
        old.switchProtocol(other)
        old.dataReceived(b"data")
        self.assertEqual(["made", b"data"], other.calls)
        old.connectionLost(Failure(ZeroDivisionError()))
        self.assertEqual("lost", other.calls[-1])
        wire.transport.protocol = other
        wire.vanish()
        del old.dataReceived, old.connectionLost
        other.transport = None

    def test_end(self) -> None:
        """
        An end of file that came with the request reaches a protocol that knows
        half-close, and closes the connection of any other.
        """
        for kind in (OtherHalf, Other):
            other = kind()
            wire = self.connect(Recording)
            wire.channel.dataReceived(UPGRADE + b"trailing")
            wire.channel.readConnectionLost()
            self.accept(wire.channel)
            wire.channel.switchProtocol(other)
            self.assertEqual(["made", b"trailing"], other.calls[:2])
            self.assertEqual(kind is OtherHalf, "end" in other.calls)
            self.assertEqual(kind is Other, wire.transport.disconnecting)
            wire.transport.protocol = other
            wire.vanish()
            other.transport = None

    def test_endLater(self) -> None:
        """
        So does one that comes later by the old protocol.
        """
        other = OtherHalf()
        wire = self.connect(Recording).send(UPGRADE)
        self.accept(wire.channel)
        wire.channel.switchProtocol(other)
        wire.channel.readConnectionLost()
        self.assertEqual(["made", "end"], other.calls)
        wire.vanish()
        other.transport = None

    def test_notAgreed(self) -> None:
        """
        Without an agreement, or a connection, it is an error, and nothing has
        changed.
        """
        wire = self.connect(Recording).send(GET)
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.switchProtocol(Other())
        wire.channel.respond()
        self.assertEqual(200, wire.only().status)
        wire = self.connect(Recording).send(UPGRADE)
        self.accept(wire.channel)
        wire.vanish()
        other = Other()
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.switchProtocol(other)
        self.assertEqual([], other.calls)

    def test_client(self) -> None:
        """
        A client switches when it has got the answer.
        """
        other = Other()

        class Client(Recording):
            role = h11.CLIENT

            def connectionMade(self) -> None:
                super().connectionMade()
                self.sendEvent(client_request(*SWITCH))
                self.sendEvent(h11.EndOfMessage())

            def eventReceived(self, event: h11.Event) -> None:
                super().eventReceived(event)
                if isinstance(event, h11.InformationalResponse):
                    self.switchProtocol(other)

        wire = self.connect(Client)
        wire.send(b"HTTP/1.1 101 \r\nUpgrade: other\r\n\r\ntrailing")
        self.assertEqual(["made", b"trailing"], other.calls)
        wire.vanish()
        other.transport = None

    def test_behindAFile(self) -> None:
        """
        While a file is still on its way, the new protocol waits.
        """
        wire = self.connect(Recording).send(GET)
        wire.methods = [b"GET"]
        protocol = wire.channel
        wire.stall()
        wire.transport.bufferSize = 10
        size = 500_000
        protocol.sendEvent(
            h11.Response(status_code=200, headers=[("Content-Length", str(size))])
        )
        region: Any = FileRegion(io.BytesIO(b"x" * size), 0, size)
        protocol.sendEvent(h11.Data(data=region))
        protocol.sendEvent(h11.EndOfMessage())
        protocol.startNextCycle()
        other = Other()

        def switch(protocol: Any, event: h11.Event) -> None:
            if isinstance(event, h11.EndOfMessage):
                self.accept101(protocol)
                protocol.switchProtocol(other)

        protocol.onEvent = switch
        protocol.dataReceived(UPGRADE + b"trailing")
        # The client reads nothing yet: the request itself waits.
        self.assertEqual([], other.calls)
        wire.drain()
        self.assertEqual(["made", b"trailing"], other.calls)
        self.assertTrue(wire.output.endswith(b"Upgrade: other\r\n\r\n"))
        protocol.onEvent = None
        wire.vanish()
        other.transport = None

    def test_fileOnItsWay(self) -> None:
        """
        Also where the agreement came before the file is gone.
        """
        wire = self.connect(Recording).send(UPGRADE + b"trailing")
        protocol = wire.channel
        wire.stall()
        wire.transport.bufferSize = 10
        region: Any = FileRegion(io.BytesIO(b"x" * 500_000), 0, 500_000)
        protocol.wire.backPressure().sendRegion(region)
        self.accept(protocol)
        other = Other()
        protocol.switchProtocol(other)
        self.assertEqual([], other.calls)
        protocol.dataReceived(b"more")
        wire.drain()
        self.assertEqual(["made", b"trailingmore"], other.calls)
        self.assertTrue(wire.output.endswith(b"Upgrade: other\r\n\r\n"))
        wire.vanish()
        other.transport = None

    def test_fileGoneAtOnce(self) -> None:
        """
        Also where the file was gone at once, and its end brings the new protocol.
        """
        wire = self.connect(Recording).send(UPGRADE + b"trailing")
        protocol = wire.channel
        other = Other()

        def ended(error: object) -> None:
            self.accept(protocol)
            protocol.switchProtocol(other)

        region: Any = FileRegion(io.BytesIO(b"x" * 50), 0, 50, ended)
        protocol.wire.backPressure().sendRegion(region)
        self.assertEqual(["made", b"trailing"], other.calls)
        wire.vanish()
        other.transport = None

    def test_notAgreedBehindAFile(self) -> None:
        """
        Who may not switch is told at once, also while a file is on its way.
        """
        size = 500_000
        wire = self.connect(Recording).send(GET)
        wire.stall()
        wire.transport.bufferSize = 10
        wire.channel.sendEvent(
            h11.Response(status_code=200, headers=[("Content-Length", str(size))])
        )
        region: Any = FileRegion(io.BytesIO(b"x" * size), 0, size)
        wire.channel.sendEvent(h11.Data(data=region))
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.switchProtocol(Other())
        wire.channel.sendEvent(h11.EndOfMessage())
        wire.drain()
        self.assertEqual(size, len(wire.only().body))

    def test_amidRequest(self) -> None:
        """
        A server does not switch before it has read the body of the request: that is
        nothing for the new protocol.
        """
        for framing, body in (
            (b"Content-Length: 5", b"hello"),
            (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
        ):
            other = Other()

            def switch(protocol: Any, event: h11.Event, other: Any = other) -> None:
                if isinstance(event, h11.Request):
                    self.accept101(protocol)
                    with self.assertRaises(h11.LocalProtocolError):
                        protocol.switchProtocol(other)
                elif isinstance(event, h11.EndOfMessage):
                    protocol.switchProtocol(other)

            wire = self.serve(switch)
            head = get(b"/", b"Connection: upgrade", b"Upgrade: other", framing)
            wire.send(head + body + b"trailing")
            self.assertEqual(["made", b"trailing"], other.calls)
            wire.vanish()
            other.transport = None

    def test_withTheHead(self) -> None:
        """
        If there is no body, it may switch when it gets the head.
        """
        for framing in ((), (b"Content-Length: 0",)):
            other = Other()

            def switch(protocol: Any, event: h11.Event, other: Any = other) -> None:
                self.accept101(protocol)
                protocol.switchProtocol(other)

            wire = self.serve(switch)
            head = get(b"/", b"Connection: upgrade", b"Upgrade: other", *framing)
            wire.send(head + b"trailing")
            self.assertEqual(["made", b"trailing"], other.calls)
            wire.vanish()
            other.transport = None

    def test_lostBefore(self) -> None:
        """
        If the connection is lost before, the new protocol is never connected.
        """
        wire = self.connect(Recording).send(UPGRADE)
        wire.stall()
        wire.transport.bufferSize = 10
        region: Any = FileRegion(io.BytesIO(b"x" * 500_000), 0, 500_000)
        wire.channel.wire.backPressure().sendRegion(region)
        self.accept(wire.channel)
        other = Other()
        wire.channel.switchProtocol(other)
        wire.vanish()
        self.assertEqual([], other.calls)

    def test_transport(self) -> None:
        """
        The transport's own reference is replaced.
        """

        class Known(MemoryTransport):
            protocol: Any = None

        wire = self.connect(Recording, Known()).send(UPGRADE)
        other = Other()
        self.accept(wire.channel)
        wire.channel.switchProtocol(other)
        self.assertIs(other, wire.transport.protocol)
        wire.vanish()
        other.transport = None

    def test_producer(self) -> None:
        """
        A producer that is still registered is stopped, and asked for nothing more.
        """
        for streaming in (True, False):
            other = Other()
            wire = self.connect(Recording).send(UPGRADE)
            turns = Cooperator(scheduler=lambda call: self.clock.callLater(0.1, call))
            wire.channel.cooperate = turns.cooperate
            producer = Producer(None)
            wire.channel.registerProducer(producer, streaming)
            self.accept(wire.channel)
            wire.channel.switchProtocol(other)
            self.clock.pump([0.1] * 3)
            self.assertEqual(["stop"], producer.calls)
            self.assertEqual([], self.clock.getDelayedCalls())
            wire.vanish()
            other.transport = None

    def test_takenBefore(self) -> None:
        """
        Somebody may take the transport before the first byte has come.
        """
        wire = self.connect(Recording)
        wire.channel.transport = None
        self.assertIsNone(wire.transport.producer)
        self.assertEqual("<Wire given away>", repr(wire.channel.wire))
        self.assertEqual([], wire.channel.seen)
