"""
A connection of an L{H11Protocol} of which nothing more can come: it ends, and nothing
is told twice.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet.error import ConnectionDone

from tests.support.protocol_cases import ProtocolTestCase, Recording, client_request
from tests.support.server_cases import GET, get
from tests.support.times import one_turn
from tests.support.wire import Wire
from twisted_h11._wire.turns import TURN

BAD = b"GET /\r\n\r\n"
CHUNKED = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
CLOSE = get(b"/", b"Connection: close")

# Answers that h11 refuses, and that are refused before h11 has seen them.
BAD_ANSWERS = (
    b"SMTP ready\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a \x00\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)


class Silent(Recording):
    """
    A server that notes errors of the peer and does nothing.
    """

    usualError = False


class SilentClient(Silent):
    """
    The same in the role of the client.
    """

    role = h11.CLIENT


class Raising(Recording):
    """
    Raises with an event.

    @ivar at: the number of that event.
    """

    at = 1

    def eventReceived(self, event: h11.Event) -> None:
        """
        Raise.
        """
        super().eventReceived(event)
        if len(self.seen) == self.at:
            raise ZeroDivisionError


class RefusedTests(ProtocolTestCase):
    """
    Overrides of C{protocolError} that do nothing.
    """

    def test_answeredBefore(self) -> None:
        """
        A server whose response is complete closes in stages: nothing more can be sent.
        """
        wire = self.connect(Silent).send(CHUNKED)
        wire.channel.respond(b"early")
        wire.send(b"zz\r\n", b"more")
        self.assertEqual("<Wire lingering>", repr(wire.channel.wire))
        wire.settle(6)
        self.assertTrue(wire.closed)
        self.assertEqual(b"early", wire.only().body)

    def test_client(self) -> None:
        """
        A client that has sent its request closes; so does one that has sent none yet.
        """
        for bad in BAD_ANSWERS:
            for sends in ((), (client_request(), h11.EndOfMessage())):
                with self.subTest(bad=bad, sends=len(sends)):
                    wire = self.connect(SilentClient)
                    for event in sends:
                        wire.channel.sendEvent(event)
                    wire.send(bad)
                    self.assertEqual(1, len(wire.channel.errors))
                    self.assertTrue(wire.closed)

    def test_clientSends(self) -> None:
        """
        A client that is still sending its request closes when it has.
        """
        for bad in BAD_ANSWERS:
            wire = self.connect(SilentClient)
            wire.channel.sendEvent(client_request(("Content-Length", "2")))
            wire.send(bad)
            self.assertFalse(wire.closed)
            wire.channel.sendEvent(h11.Data(data=b"ab"))
            wire.channel.sendEvent(h11.EndOfMessage())
            wire.pump()
            self.assertTrue(wire.closed)

    def test_mistake(self) -> None:
        """
        After a mistake of ours, before it or later, it ends at the latest with the
        peer's half-close.
        """
        for before in (True, False):
            wire = self.connect(Silent).send(CHUNKED)
            bad = b"" if before else b"zz\r\n"
            wire.send(*[bad] if bad else [])
            with self.assertRaises(h11.LocalProtocolError):
                wire.channel.sendEvent(h11.EndOfMessage())
            wire.send(*[] if bad else [b"zz\r\n"])
            wire.halfClose().settle(6)
            self.assertTrue(wire.closed)

    def test_readsOn(self) -> None:
        """
        Behind a pipelined request, too, reading goes on: the end of the connection is
        noticed.
        """
        wire = self.connect(Silent).send(GET + BAD)
        self.assertTrue(wire.transport.paused)
        wire.channel.respond()
        wire.channel.startNextCycle()
        self.assertEqual(1, len(wire.channel.errors))
        self.assertFalse(wire.transport.paused)

    def test_readsBehind(self) -> None:
        """
        So does it where no more than C{readAhead} bytes wait behind the last of several
        requests: its client may go away.
        """

        class Ahead(Recording):
            readAhead = len(GET)

        upgrade = get(b"/", b"Connection: upgrade", b"Upgrade: x")
        for protocol, data in ((Recording, GET + upgrade), (Ahead, GET * 3)):
            wire = self.connect(protocol).send(data)
            self.assertTrue(wire.transport.paused)
            wire.channel.respond()
            wire.channel.startNextCycle()
            self.assertFalse(wire.transport.paused)

    def test_answersLate(self) -> None:
        """
        An override may answer later, also when the client has sent its last byte.
        """
        for bad in (BAD, CHUNKED + b"zz\r\n"):
            wire = self.connect(Silent).send(bad).halfClose().settle(60)
            self.assertFalse(wire.closed)
            wire.channel.respond(b"late", status=400)
            wire.pump()
            self.assertEqual(b"late", wire.only().body)
            self.assertTrue(wire.closed)


class OnceTests(ProtocolTestCase):
    """
    What is told, and when no more.
    """

    def test_connectionClosed(self) -> None:
        """
        C{ConnectionClosed} is delivered once, also to who pauses and resumes.
        """
        wire = self.connect(Recording).send(GET).halfClose()
        wire.channel.pauseReading()
        wire.channel.resumeReading()
        self.assertEqual(1, wire.channel.kinds.count("ConnectionClosed"))
        wire.channel.respond()
        wire.pump()
        self.assertTrue(wire.closed)

    def test_nextTurn(self) -> None:
        """
        An exception in an event that has waited for its turn is logged and drops the
        connection, like that in any other.
        """

        def takeTime(protocol: object, event: object) -> None:
            self.clock.rightNow += TURN

        wire = self.connect(Raising)
        wire.channel.at, wire.channel.onEvent = 3, takeTime
        wire.channel.dataReceived(CHUNKED + b"1\r\nx\r\n" * 9)
        for _ in range(3):
            one_turn(self.clock)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        wire.pump()
        self.assertTrue(wire.aborted)
        self.assertEqual(3, len(wire.channel.seen))

    def test_raisesInTheEnd(self) -> None:
        """
        Nothing is left, and no event follows, where one of the last events raises.
        """

        def takeTime(protocol: object, event: object) -> None:
            self.clock.rightNow += TURN

        for onEvent in (None, takeTime):
            wire = self.client()
            channel = wire.channel
            channel.onEvent = onEvent
            channel.dataReceived(b"HTTP/1.1 200 OK\r\n\r\nhello")
            seen = len(channel.seen)

            def fail(protocol: object, event: object) -> None:
                raise ZeroDivisionError

            channel.onEvent = fail
            with self.assertRaises(ZeroDivisionError):
                wire.vanish(ConnectionDone())
            self.assertEqual([], self.clock.getDelayedCalls())
            self.assertEqual(seen + 1, len(channel.seen))


class ClosingTests(ProtocolTestCase):
    """
    Calls at a time when the connection is closing, or gone.
    """

    def test_pauses(self) -> None:
        """
        Who pauses reading then does not keep the rest from being read, and dropped:
        what is unread would destroy the last response.
        """
        wire = self.connect(Recording).send(CLOSE)
        wire.channel.respond()
        wire.channel.pauseReading()
        self.assertFalse(wire.transport.paused)
        wire.halfClose()
        self.assertTrue(wire.closed)

    def test_resumes(self) -> None:
        """
        Who resumes it while the last response still has to be taken has it read then.
        """
        wire = self.connect(Recording).send(CLOSE).stall()
        wire.channel.pauseReading()
        wire.channel.respond(b"x" * 200_000)
        self.assertTrue(wire.transport.paused)
        wire.channel.resumeReading()
        self.assertFalse(wire.transport.paused)
        wire.send(b"more").drain().halfClose()
        self.assertTrue(wire.closed)
        self.assertEqual(200_000, len(wire.only().body))

    def test_lost(self) -> None:
        """
        Nothing can be sent on a connection that was lost, or aborted, before its first
        byte, and h11's state says so.
        """

        def lose(wire: Wire) -> object:
            return wire.vanish()

        def abort(wire: Wire) -> object:
            return wire.channel.abortConnection()

        ends: tuple[Any, ...] = (lose, abort)
        for end in ends:
            wire = self.connect(Recording)
            end(wire)
            self.assertIs(h11.ERROR, wire.channel.h11Connection.our_state)

    def test_unsolicited(self) -> None:
        """
        A client that gets a response before its request closes: it can send none.
        """
        answer = b"HTTP/1.1 408 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        for behind in (b"", b"more"):
            wire = self.connect(SilentClient).send(answer + behind)
            self.assertEqual(["Response", "EndOfMessage"], wire.channel.kinds)
            self.assertEqual([], wire.channel.errors)
            self.assertTrue(wire.closed)

    def test_answerFirst(self) -> None:
        """
        A server that responds before there is a request (408) closes in stages, and a
        request, or a part of one, that has come meanwhile changes nothing.
        """
        for fields in ((), (("Connection", "close"),)):
            for began, more in ((b"", b""), (b"GE", b""), (b"GET", GET), (b"", BAD)):
                with self.subTest(fields=fields, began=began, more=more):
                    wire = self.connect(Recording)
                    wire.send(*[began] if began else [])
                    length = ("Content-Length", "4")
                    wire.channel.sendEvent(
                        h11.Response(status_code=408, headers=[length, *fields])
                    )
                    wire.send(*[more] if more else [])
                    wire.channel.sendEvent(h11.Data(data=b"late"))
                    wire.channel.sendEvent(h11.EndOfMessage())
                    self.assertEqual("<Wire lingering>", repr(wire.channel.wire))
                    wire.send(GET).halfClose()
                    self.assertTrue(wire.closed)
                    self.assertEqual(b"late", wire.only().body)
                    self.assertEqual(
                        ([], []), (wire.channel.kinds, wire.channel.errors)
                    )

    def test_mistakeFirst(self) -> None:
        """
        After a mistake of a server before the request, the request closes.
        """
        wire = self.connect(Recording)
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.sendEvent(h11.EndOfMessage())
        wire.send(GET)
        self.assertTrue(wire.closed)
        self.assertEqual([], wire.channel.kinds)

    def test_lateRequest(self) -> None:
        """
        A request that comes behind the beginning of a response is refused as any event
        that is not allowed.
        """
        wire = self.connect(SilentClient).send(b"HTTP/1.1 408 \r\n\r\n")
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.sendEvent(client_request())
        self.assertIs(h11.ERROR, wire.channel.h11Connection.our_state)
        self.assertEqual(b"", wire.output)

    def test_secondSwitch(self) -> None:
        """
        So is a second response that switches.
        """
        connect = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
        upgrade = get(b"/", b"Connection: upgrade", b"Upgrade: x")
        fields = [("Connection", "upgrade"), ("Upgrade", "x")]
        made: Any = h11.InformationalResponse
        for request, answer in (
            (connect, h11.Response(status_code=200, headers=[])),
            (upgrade, made(status_code=101, headers=fields)),
        ):
            wire = self.connect(Recording).send(request)
            wire.channel.sendEvent(answer)
            output = wire.output
            with self.assertRaises(h11.LocalProtocolError):
                wire.channel.sendEvent(answer)
            self.assertEqual(output, wire.output)

    def test_secondRequest(self) -> None:
        """
        A request that can not be sent now does not change how the response to the one
        before is read.
        """
        wire = self.client(method="HEAD")
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.sendEvent(client_request())
        wire.send(b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        self.assertEqual(["Response", "EndOfMessage"], wire.channel.kinds)
        self.assertEqual([], wire.channel.errors)
