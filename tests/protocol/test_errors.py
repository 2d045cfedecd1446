"""
Errors of the peer, and our own, in an L{H11Protocol}.
"""

from __future__ import annotations

import io
from typing import Any

import h11

from tests.support.memory import MemoryTransport
from tests.support.protocol_cases import OK, ProtocolTestCase, Recording
from tests.support.server_cases import GET, get, post
from twisted_h11.protocol import FileRegion, H11Protocol

BAD = b"GET /\r\n\r\n"
BAD_CHUNK = get(b"/", b"Transfer-Encoding: chunked", method=b"POST") + b"zz\r\n"


class PeerErrorTests(ProtocolTestCase):
    """
    C{protocolError}.
    """

    def test_once(self) -> None:
        """
        It is called once, with the status that h11 suggests; what follows is
        neither delivered nor an error.
        """
        for data, status in (
            (BAD, 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000, 431),
            (get(b"/", b"Transfer-Encoding: gzip"), 501),
        ):
            wire = self.connect(Recording).send(data, BAD, GET)
            wire.settle(6)
            self.assertEqual([status], [e[1] for e in wire.channel.errors])
            response = wire.only()
            self.assertEqual(status, response.status)
            self.assertTrue(response.closes)
            self.assertTrue(response.complete)
            for name in (b"date", b"content-type"):
                self.assertIsNotNone(response.get(name), name)
            self.assertTrue(wire.closed)
            self.end()

    def test_splittings(self) -> None:
        """
        However it is cut.
        """
        wire = self.connect(Recording).send(*[bytes([byte]) for byte in BAD])
        self.assertEqual([400], wire.statuses)

    def test_maxIncompleteEventSize(self) -> None:
        """
        The head's length is bounded by the limits, or the protocol itself.
        """

        class Short(Recording):
            maxIncompleteEventSize = 50

        head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100
        for wire in (self.connect(Short), self.connect(Recording, maxHeadLength=50)):
            self.assertEqual([431], wire.send(head).statuses)
        self.assertEqual([], self.connect(Recording).send(head).statuses)

    def test_head(self) -> None:
        """
        A request for a head only is refused without content.
        """
        bad = get(b"/", b"Transfer-Encoding: chunked", method=b"HEAD") + b"zz\r\n"
        wire = self.connect(Recording)
        wire.methods = [b"HEAD"]
        wire.send(bad)
        self.assertEqual(400, wire.only().status)
        self.assertTrue(wire.output.endswith(b"\r\n\r\n"))

    def test_headBefore(self) -> None:
        """
        One that was answered has no say in the next refusal.
        """
        wire = self.connect(Recording)
        wire.methods = [b"HEAD", b"GET"]
        wire.send(get(method=b"HEAD"))
        wire.channel.sendEvent(h11.Response(status_code=200, headers=[]))
        wire.channel.sendEvent(h11.EndOfMessage())
        wire.channel.startNextCycle()
        wire.send(BAD)
        self.assertEqual([200, 400], wire.statuses)
        self.assertTrue(wire.responses[-1].body)

    def test_behindPipelined(self) -> None:
        """
        Behind a good request it comes after that one's answer.
        """
        wire = self.connect(Recording).send(GET + BAD)
        self.assertEqual([], wire.channel.errors)
        wire.channel.respond()
        wire.channel.startNextCycle()
        wire.methods = [b"GET", b"GET"]
        self.assertEqual([200, 400], wire.statuses)

    def test_amidOurResponse(self) -> None:
        """
        While a response is being sent, the connection is dropped.
        """
        wire = self.connect(Recording).send(BAD_CHUNK[:-4])
        wire.channel.sendEvent(h11.Response(status_code=200, headers=[]))
        wire.send(b"zz\r\n")
        self.assertTrue(wire.aborted)

    def test_afterOurResponse(self) -> None:
        """
        A response that is complete is not destroyed.
        """
        wire = self.connect(Recording).send(BAD_CHUNK[:-4])
        wire.channel.respond(b"early")
        wire.send(b"zz\r\n", b"more")
        self.assertFalse(wire.aborted)
        wire.settle(6)
        self.assertTrue(wire.closed)
        self.assertEqual(b"early", wire.only().body)

    def test_overridden(self) -> None:
        """
        A response that an override sends closes in stages, too.
        """

        class Own(Recording):
            usualError = False

            def protocolError(self, error: h11.RemoteProtocolError) -> None:
                super().protocolError(error)
                self.respond(b"mine", status=error.error_status_hint)

        wire = self.connect(Own).send(BAD, b"more")
        self.assertFalse(wire.transport.disconnecting)
        wire.settle(6)
        self.assertEqual((400, b"mine"), (wire.only().status, wire.only().body))
        self.assertTrue(wire.closed)

    def test_beforeH11(self) -> None:
        """
        So does one to bytes that are refused before h11 has seen them, of which h11's
        state says nothing; by default, too, and however they are cut.
        """

        class Own(Recording):
            usualError = False

            def protocolError(self, error: h11.RemoteProtocolError) -> None:
                super().protocolError(error)
                self.respond(b"mine", status=error.error_status_hint)

        for bad in (
            b"GET / HTTP/1.1\r\nHost: a\r\nX: a \x00\r\n\r\n",
            BAD_CHUNK,
            BAD_CHUNK[:-4] + b"3\r\nabc\r\n3 \n\r\n",
            BAD_CHUNK[:-4] + b"0\r\nX: a \x00\r\n\r\n",
        ):
            for protocol in (Recording, Own):
                for pieces in ([bad], [bytes([byte]) for byte in bad]):
                    wire = self.connect(protocol).send(*pieces)
                    self.assertFalse(wire.transport.disconnecting)
                    wire.send(b"more").halfClose()
                    wire.settle(6)
                    self.assertEqual([400], wire.statuses, bad)
                    self.assertTrue(wire.closed, bad)
                    self.assertEqual(1, len(wire.channel.errors), bad)

    def test_resumed(self) -> None:
        """
        Who reads on after an error gets neither an event nor the error again.
        """

        class Waiting(Recording):
            usualError = False

            def protocolError(self, error: h11.RemoteProtocolError) -> None:
                super().protocolError(error)
                self.pauseReading()

        for bad in (BAD, BAD_CHUNK):
            wire = self.connect(Waiting).send(bad)
            wire.channel.resumeReading()
            self.assertEqual(1, len(wire.channel.errors))

    def test_client(self) -> None:
        """
        A client drops the connection.
        """
        wire = self.client().send(b"SMTP ready\r\n\r\n", OK)
        self.assertEqual(1, len(wire.channel.errors))
        self.assertEqual([], wire.channel.kinds)
        self.assertTrue(wire.aborted)

    def test_clientEarly(self) -> None:
        """
        A response may come before there was a request, such as a 408; then the
        connection can not be used.
        """

        class Client(Recording):
            role = h11.CLIENT

        wire = self.connect(Client).send(OK)
        self.assertEqual(["Response", "Data", "EndOfMessage"], wire.channel.kinds)
        with self.assertRaises(h11.LocalProtocolError):
            wire.channel.startNextCycle()


class OwnErrorTests(ProtocolTestCase):
    """
    C{sendEvent} when it is not the time.
    """

    def refused(self, protocol: Any, event: h11.Event) -> None:
        """
        It raises.
        """
        with self.assertRaises(h11.LocalProtocolError):
            protocol.sendEvent(event)

    def test_order(self) -> None:
        """
        An event that is not allowed raises, writes nothing, and nothing can be
        sent after it.
        """
        wire = self.connect(Recording).send(GET)
        self.refused(wire.channel, h11.EndOfMessage())
        self.refused(wire.channel, h11.Response(status_code=200, headers=[]))
        self.assertEqual(b"", wire.output)
        self.assertIs(h11.ERROR, wire.channel.h11Connection.our_state)

    def test_length(self) -> None:
        """
        Content that does not have the length that was announced is an error.
        """
        length = [("Content-Length", "3")]
        wire = self.connect(Recording).send(GET)
        wire.channel.sendEvent(h11.Response(status_code=200, headers=length))
        self.refused(wire.channel, h11.Data(data=b"four"))
        wire = self.connect(Recording).send(GET)
        wire.channel.sendEvent(h11.Response(status_code=200, headers=length))
        self.refused(wire.channel, h11.EndOfMessage())

    def test_afterLoss(self) -> None:
        """
        After the connection is lost nothing raises, and h11 knows that nothing
        was sent; whoever waits for a file is told.
        """
        wire = self.connect(Recording).send(GET).vanish()
        protocol = wire.channel
        self.assertIs(h11.ERROR, protocol.h11Connection.our_state)
        protocol.respond()
        ended: list[object] = []
        region: Any = FileRegion(io.BytesIO(b"hello"), 0, 5, ended.append)
        protocol.sendEvent(h11.Data(data=region))
        self.assertEqual(1, len(ended))
        self.assertIsInstance(ended[0], Exception)
        ended.clear()

    def test_afterClose(self) -> None:
        """
        Nor after it was closed or aborted.
        """
        for close in ("loseConnection", "abortConnection"):
            wire = self.connect(Recording).send(GET)
            getattr(wire.channel, close)()
            wire.channel.respond()
            self.assertIs(h11.ERROR, wire.channel.h11Connection.our_state)
            self.assertEqual(b"", wire.output)

    def test_abortedUpload(self) -> None:
        """
        What was sent and then aborted may never leave: such a connection can
        not be taken for one that is to be used again.
        """
        wire = self.client()
        wire.channel.abortConnection()
        self.assertIs(h11.ERROR, wire.channel.h11Connection.our_state)

    def test_beforeConnection(self) -> None:
        """
        Before there is a connection, nothing can be sent either.
        """
        protocol = H11Protocol()
        protocol.sendEvent(h11.Response(status_code=200, headers=[]))
        self.assertIs(h11.ERROR, protocol.h11Connection.our_state)
        protocol.write(b"early")
        transport = MemoryTransport()
        protocol.makeConnection(transport)
        self.assertEqual(b"", transport.output)
        protocol.connectionLost()


class WritingTests(ProtocolTestCase):
    """
    Writes are joined, and nothing is held back.
    """

    def test_withinAnEvent(self) -> None:
        """
        What is sent while a segment is worked on is one write, all the answers
        to all the requests in it.
        """

        def answer(protocol: Any, event: h11.Event) -> None:
            if isinstance(event, h11.EndOfMessage):
                protocol.respond()
                protocol.startNextCycle()

        wire = self.serve(answer).send(GET * 10)
        wire.methods = [b"GET"] * 10
        self.assertEqual(10, len(wire.responses))
        self.assertEqual(1, wire.transport.writes)

    def test_fromOutside(self) -> None:
        """
        From outside, each event is at most one write, made before the call
        returns.
        """
        wire = self.connect(Recording).send(GET)
        chunked: list[Any] = []
        wire.channel.sendEvent(h11.Response(status_code=200, headers=chunked))
        self.assertTrue(wire.output.endswith(b"\r\n\r\n"))
        wire.channel.sendEvent(h11.Data(data=b"hello"))
        self.assertTrue(wire.output.endswith(b"\r\n\r\n5\r\nhello\r\n"))
        wire.channel.sendEvent(h11.EndOfMessage())
        self.assertTrue(wire.output.endswith(b"0\r\n\r\n"))
        self.assertEqual(3, wire.transport.writes)

    def test_transportKept(self) -> None:
        """
        Since somebody has had the transport nothing is kept back beyond a call.
        """

        def answer(protocol: Any, event: h11.Event) -> None:
            if isinstance(event, h11.EndOfMessage):
                protocol.respond()
                protocol.startNextCycle()

        wire = self.serve(answer)
        self.assertIs(wire.transport, wire.channel.transport)
        wire.send(GET * 2)
        wire.methods = [b"GET"] * 2
        self.assertEqual([b"ok"] * 2, [response.body for response in wire.responses])
        self.assertEqual(4, wire.transport.writes)

    def test_transportDirectly(self) -> None:
        """
        Whoever writes to the transport itself comes after what was sent before
        and before what is sent after.
        """

        def answer(protocol: Any, event: h11.Event) -> None:
            if isinstance(event, h11.Request):
                protocol.sendEvent(
                    h11.InformationalResponse(status_code=103, headers=[])
                )
                protocol.transport.write(b"HTTP/1.1 104 \r\n\r\n")
                protocol.sendEvent(
                    h11.InformationalResponse(status_code=105, headers=[])
                )
                self.assertTrue(b" 105 " in wires[0].output)

        wires = [self.serve(answer)]
        wires[0].send(GET)
        self.assertEqual(
            b"".join(b"HTTP/1.1 %d \r\n\r\n" % n for n in (103, 104, 105)),
            wires.pop().output,
        )

    def test_kinds(self) -> None:
        """
        Content may be bytes, a bytearray or a memoryview.
        """
        wire = self.connect(Recording).send(GET)
        wire.channel.sendEvent(
            h11.Response(status_code=200, headers=[("Content-Length", "3")])
        )
        pieces: tuple[Any, ...] = (b"a", bytearray(b"b"), memoryview(b"c"))
        for piece in pieces:
            wire.channel.sendEvent(h11.Data(data=piece))
        wire.channel.sendEvent(h11.EndOfMessage())
        self.assertEqual(b"abc", wire.only().body)

    def test_large(self) -> None:
        """
        Much is not kept to be joined.
        """

        def answer(protocol: Any, event: h11.Event) -> None:
            if isinstance(event, h11.Request):
                protocol.sendEvent(h11.Response(status_code=200, headers=[]))
                for _ in range(10):
                    protocol.sendEvent(h11.Data(data=b"x" * 50_000))
                found.append(protocol.wire.pendingLength)

        found: list[int] = []
        self.serve(answer).send(post(b"x"))
        self.assertLess(found[0], 64 * 1024)
