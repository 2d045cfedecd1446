"""
How a connection of an L{H11Protocol} ends: half-close, stages, bounds, timers.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock

from tests.support.memory import MemoryTransport, SecureMemoryTransport
from tests.support.protocol_cases import OK, ProtocolTestCase, Recording
from tests.support.server_cases import GET, get, post
from twisted_h11.protocol import H11Factory, H11Protocol

CLOSE = get(b"/", b"Connection: close")


class HalfCloseTests(ProtocolTestCase):
    """
    The end of the peer's bytes.
    """

    def test_idle(self) -> None:
        """
        On an idle connection it is an event, and the connection closes.
        """
        wire = self.connect(Recording).halfClose()
        self.assertEqual(["ConnectionClosed"], wire.channel.kinds)
        self.assertTrue(wire.closed)
        self.assertEqual([ConnectionDone], wire.channel.reasons)

    def test_betweenCycles(self) -> None:
        """
        So it is after a request has been answered.
        """
        wire = self.connect(Recording).send(GET)
        wire.channel.respond()
        wire.channel.startNextCycle()
        wire.halfClose()
        self.assertEqual("ConnectionClosed", wire.channel.kinds[-1])
        self.assertTrue(wire.closed)

    def test_responseUnderWay(self) -> None:
        """
        A response that is under way is still sent, then the connection closes.
        """
        wire = self.connect(Recording).send(GET).halfClose()
        self.assertEqual(
            ["Request", "EndOfMessage", "ConnectionClosed"], wire.channel.kinds
        )
        self.assertFalse(wire.closed)
        wire.channel.respond(b"late")
        wire.pump()
        self.assertTrue(wire.closed)
        self.assertEqual(b"late", wire.only().body)

    def test_behindPipelined(self) -> None:
        """
        Behind a pipelined request it waits for that one's turn.
        """
        wire = self.connect(Recording)
        wire.channel.dataReceived(GET * 2)
        wire.channel.readConnectionLost()
        self.assertEqual(["Request", "EndOfMessage"], wire.channel.kinds)
        wire.channel.respond()
        wire.channel.startNextCycle()
        self.assertEqual("ConnectionClosed", wire.channel.kinds[-1])
        wire.channel.respond()
        wire.pump()
        wire.methods = [b"GET", b"GET"]
        self.assertEqual([200, 200], wire.statuses)
        self.assertTrue(wire.closed)

    def test_amidRequest(self) -> None:
        """
        Within a request it is an error.
        """
        wire = self.connect(Recording).send(post(b"hello")[:-1]).halfClose()
        self.assertEqual(1, len(wire.channel.errors))
        self.assertEqual(400, wire.only().status)
        self.assertTrue(wire.closed)

    def test_afterOurError(self) -> None:
        """
        Nothing more can be sent after a mistake of ours: the connection closes.
        """
        wire = self.connect(Recording).send(GET)
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.sendEvent(h11.Data(data=b"no head"))
        wire.halfClose()
        self.assertTrue(wire.closed)

    def test_withoutHalfClose(self) -> None:
        """
        Where there is no half-close, the end of the connection, if it came in
        order, is the end of the bytes: it ends a body that has no length.
        """
        wire = self.client().send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        wire.vanish(ConnectionDone())
        self.assertEqual(
            ["Response", "Data", "EndOfMessage", "ConnectionClosed"],
            wire.channel.kinds,
        )

    def test_withoutHalfCloseCut(self) -> None:
        """
        An end that cuts a body is an error, once.
        """
        wire = self.client().send(OK[:-1]).vanish(ConnectionDone())
        self.assertEqual(["Response", "Data"], wire.channel.kinds)
        self.assertEqual(1, len(wire.channel.errors))

    def test_withoutHalfCloseHeld(self) -> None:
        """
        What has waited for C{resumeReading} is delivered then.
        """
        wire = self.client().send(b"HTTP/1.1 200 OK\r\n\r\n")
        wire.channel.pauseReading()
        wire.channel.dataReceived(b"hello")
        wire.vanish(ConnectionDone())
        self.assertEqual(
            [("Data", b"hello"), ("EndOfMessage", [])], wire.channel.events[1:3]
        )

    def test_reset(self) -> None:
        """
        A reset is not the end of a body.
        """
        wire = self.client().send(b"HTTP/1.1 200 OK\r\n\r\nhello").vanish()
        self.assertEqual(["Response", "Data"], wire.channel.kinds)
        self.assertEqual([ConnectionLost], wire.channel.reasons)
        self.assertIs(h11.ERROR, wire.channel.h11Connection.our_state)


class ServerClosesTests(ProtocolTestCase):
    """
    A server closes in stages.
    """

    def test_connectionClose(self) -> None:
        """
        After a last response what the client sends is dropped, for a while.
        """
        wire = self.connect(Recording, lingerTimeout=5).send(CLOSE)
        wire.channel.respond()
        wire.send(b"x" * 10_000)
        self.assertFalse(wire.unread)
        self.assertFalse(wire.transport.disconnecting)
        wire.advance(4)
        self.assertFalse(wire.closed)
        wire.advance(2)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)
        self.assertEqual(["Request", "EndOfMessage"], wire.channel.kinds)

    def test_clientEnds(self) -> None:
        """
        It ends when the client closes its side.
        """
        wire = self.connect(Recording).send(CLOSE)
        wire.channel.respond()
        wire.halfClose()
        self.assertTrue(wire.closed)

    def test_tooMuch(self) -> None:
        """
        Not more than C{lingerLength} is dropped.
        """
        wire = self.connect(Recording, lingerLength=1000).send(CLOSE)
        wire.channel.respond()
        wire.send(b"x" * 600)
        self.assertFalse(wire.aborted)
        wire.send(b"x" * 600)
        self.assertTrue(wire.aborted)

    def test_bytesBehindTheLast(self) -> None:
        """
        Bytes behind a last request are no error while it is not answered yet,
        and do not spoil the answer.
        """
        for segments in ([CLOSE + b"\0garbage"], [CLOSE, b"\0garbage"]):
            wire = self.connect(Recording).send(*segments)
            self.assertTrue(wire.transport.paused)
            self.assertEqual([], wire.channel.errors)
            wire.channel.respond()
            self.assertFalse(wire.transport.paused)
            wire.settle(6)
            self.assertEqual([200], wire.statuses)
            self.assertTrue(wire.closed)
            self.end()

    def test_bytesBehindOneThatBecomesTheLast(self) -> None:
        """
        Nor where only the response says that it was the last.
        """

        class Ahead(Recording):
            readAhead = 1000

        wire = self.connect(Ahead).send(GET, GET)
        close = ("Connection", "close")
        wire.channel.sendEvent(h11.Response(status_code=200, headers=[close]))
        wire.send(GET)
        wire.channel.sendEvent(h11.EndOfMessage())
        self.assertEqual([], wire.channel.errors)
        wire.settle(6)
        self.assertEqual(200, wire.only().status)
        self.assertTrue(wire.only().complete)

    def test_beforeTheRequestEnds(self) -> None:
        """
        Where the response has ended before the request, sending
        C{ConnectionClosed} closes.
        """
        wire = self.connect(Recording).send(post(b"hello")[:-1])
        wire.channel.respond(b"no", ("Connection", "close"))
        self.assertFalse(wire.channel.wire.closing)
        wire.channel.sendEvent(h11.ConnectionClosed())
        wire.send(b"x" * 1000)
        wire.settle(6)
        self.assertTrue(wire.closed)
        self.assertEqual(["Request", "Data"], wire.channel.kinds)

    def test_notTaken(self) -> None:
        """
        A last response that is still to be taken is not cut by the time-outs of
        closing, and nothing is written behind it.
        """
        wire = self.connect(Recording, minResponseRate=None).send(CLOSE)
        wire.stall()
        wire.channel.respond(b"x" * 200_000)
        wire.channel.loseConnection()
        wire.drain()
        wire.settle(6)
        self.assertTrue(wire.closed)
        self.assertEqual(200_000, len(wire.only().body))

    def test_doesNotClose(self) -> None:
        """
        A transport that does not close is aborted.
        """
        wire = self.connect(Recording, abortTimeout=15)
        wire.stall()
        wire.transport.write(b"x")
        wire.channel.loseConnection()
        self.assertFalse(wire.aborted)
        wire.advance(14)
        self.assertFalse(wire.aborted)
        wire.advance(2)
        self.assertTrue(wire.aborted)
        self.assertEqual([ConnectionAborted], wire.channel.reasons)


class ClientClosesTests(ProtocolTestCase):
    """
    A client closes when it has what it wanted.
    """

    def test_lastResponse(self) -> None:
        """
        After a last response it closes at once: the server may be lingering.
        """
        close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
        for wire, response in (
            (self.client(("Connection", "close")), OK),
            (self.client(), close),
        ):
            wire.send(response)
            self.assertEqual(["Response", "Data", "EndOfMessage"], wire.channel.kinds)
            self.assertTrue(wire.closed)

    def test_kept(self) -> None:
        """
        Any other keeps the connection.
        """
        wire = self.client().send(OK)
        wire.channel.startNextCycle()
        wire.channel.sendEvent(
            h11.Request(method="GET", target="/b", headers=[("Host", "b")])
        )
        wire.channel.sendEvent(h11.EndOfMessage())
        wire.send(OK)
        self.assertEqual(2, wire.channel.kinds.count("Response"))
        self.assertFalse(wire.closed)
        wire.channel.sendEvent(h11.ConnectionClosed())
        wire.pump()
        self.assertTrue(wire.closed)

    def test_halfClose(self) -> None:
        """
        C{ConnectionClosed} before the response has come does not lose it.
        """
        for transport in (MemoryTransport(), SecureMemoryTransport()):
            wire = self.client()
            wire.transport.__class__ = type(transport)
            wire.channel.sendEvent(h11.ConnectionClosed())
            self.assertFalse(wire.transport.disconnecting)
            wire.send(OK)
            self.assertEqual(["Response", "Data", "EndOfMessage"], wire.channel.kinds)
            self.assertTrue(wire.closed)

    def test_closedByServer(self) -> None:
        """
        A server that closes without a response has broken the protocol.
        """
        wire = self.client().halfClose()
        self.assertEqual(1, len(wire.channel.errors))
        self.assertTrue(wire.aborted)


class TimerTests(ProtocolTestCase):
    """
    Nothing is left to wait for.
    """

    def test_cancelled(self) -> None:
        """
        The timers of closing go with the connection.
        """
        for close in ("loseConnection", "abortConnection", "_closeInStages"):
            wire = self.connect(Recording)
            wire.stall()
            wire.transport.write(b"x")
            getattr(wire.channel, close)()
            wire.vanish()
            self.assertEqual([], self.clock.getDelayedCalls(), close)

    def test_twice(self) -> None:
        """
        Closing twice is closing once; aborting is always possible.
        """
        wire = self.connect(Recording)
        wire.stall()
        wire.transport.write(b"x")
        wire.channel.loseConnection()
        wire.channel.loseConnection()
        self.assertFalse(wire.transport.aborted)
        wire.channel.abortConnection()
        self.assertTrue(wire.transport.aborted)
        wire.pump()
        wire.channel.abortConnection()
        wire.channel.loseConnection()

    def test_givenClock(self) -> None:
        """
        The factory's reactor is where timers are made; without one it is the
        global reactor.
        """
        clock = Clock()
        protocol = H11Factory(reactor=clock).buildProtocol(None)
        protocol.makeConnection(MemoryTransport())
        protocol.loseConnection()
        (call,) = clock.getDelayedCalls()
        call.cancel()
        protocol = H11Factory().buildProtocol(None)
        protocol.makeConnection(MemoryTransport())
        protocol.loseConnection()
        delayed: Any = protocol.wire._call
        self.assertTrue(delayed.active())
        protocol.connectionLost()
        self.assertFalse(delayed.active())


class RepresentationTests(ProtocolTestCase):
    """
    What a protocol says of itself.
    """

    def test_states(self) -> None:
        """
        Where it is in its life.
        """
        wire = self.connect(Recording)
        protocol = wire.channel
        self.assertIn("<Recording idle at 0x", repr(protocol))
        wire.send(GET)
        self.assertIn("we SEND_RESPONSE, they DONE", repr(protocol))
        protocol.loseConnection()
        self.assertIn("closing", repr(protocol))
        wire.pump()
        self.assertIn("not connected", repr(protocol))
        self.assertIn("<H11Protocol not connected", repr(H11Protocol()))

    def test_wire(self) -> None:
        """
        So does its wire.  What is written when it is about to close is not sent.
        """
        self.assertEqual("<Wire not connected>", repr(H11Protocol().wire))
        wire = self.connect(Recording)
        protocol, own = wire.channel, wire.channel.wire
        self.assertEqual("<Wire open>", repr(own))
        wire.stall()
        protocol.write(b"x" * 100_000)
        protocol.loseConnection()
        self.assertEqual("<Wire flushing>", repr(own))
        protocol.write(b"late")
        wire.transport.drain()
        self.assertEqual("<Wire closing>", repr(own))
        wire.pump()
        self.assertEqual("<Wire closed>", repr(own))
        self.assertEqual(b"x" * 100_000, wire.output)
        wire = self.connect(Recording).send(b"nonsense\r\n\r\n")
        self.assertEqual("<Wire lingering>", repr(wire.channel.wire))
