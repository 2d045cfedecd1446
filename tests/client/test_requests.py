"""
A request goes out; the answer may come before it is out.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
)

from tests.support.client_cases import ClientTestCase
from tests.support.producers import OK, Producer
from twisted_h11._client.request import ClientRequest


class RequestTests(ClientTestCase):
    """
    What goes out.
    """

    def test_bytes(self) -> None:
        """
        A request is one write: line, Host, the fields as they were given.
        """
        _, peer = self.ask(
            uri=b"http://example.com:8080/a?b#c", headers=[(b"x-CASE", b"1")]
        )
        self.assertEqual(
            b"GET /a?b HTTP/1.1\r\nHost: example.com:8080\r\nx-CASE: 1\r\n\r\n",
            peer.received,
        )
        self.assertEqual(1, peer.writes)

    def test_body(self) -> None:
        """
        A body of bytes goes out with its head.
        """
        _, peer = self.ask(method=b"POST", body=b"data")
        self.assertEqual(
            b"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\ndata",
            peer.received,
        )
        self.assertEqual(1, peer.writes)

    def test_noBody(self) -> None:
        """
        Methods that expect a body announce that there is none; others do not.
        """
        _, peer = self.ask(method=b"POST")
        self.assertIn(b"Content-Length: 0\r\n", peer.received)
        _, peer = self.ask(method=b"DELETE")
        self.assertNotIn(b"Content-Length", peer.received)

    def test_noBodyChunked(self) -> None:
        """
        Who announces a chunked body and gives none has an empty one, with an end.
        """
        _, peer = self.ask(method=b"POST", headers=[(b"Transfer-Encoding", b"chunked")])
        self.assertTrue(
            peer.received.endswith(b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            peer.received,
        )

    def test_uri(self) -> None:
        """
        A request that was made without a URI has none.
        """
        request = ClientRequest(
            method=b"GET",
            target=b"/",
            host=b"a",
            given=None,
            body=None,
            persistent=True,
        )
        self.assertIsNone(request.absoluteURI)

    def test_longBytes(self) -> None:
        """
        A long body of bytes waits for a slow server.
        """
        body = b"x" * 200_000
        deferred, peer = self.ask(method=b"PUT", uri=b"http://a/", body=None)
        peer.send(OK)
        peer.fill()
        peer.take()
        agent = self.makeAgent(self.pools[0])
        deferred, again = self.ask(agent, method=b"PUT", uri=b"http://a/", body=body)
        self.assertIs(peer, again)
        self.assertEqual(1, len(self.network.peers))
        self.assertLess(len(peer.received), 80_000)
        peer.drain()
        self.assertTrue(peer.received.endswith(body))
        peer.send(OK)
        self.successResultOf(deferred)

    def test_producer(self) -> None:
        """
        A producer without a length is chunked; empty writes end nothing.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer)
        self.assertTrue(
            peer.take().endswith(b"Transfer-Encoding: chunked\r\n\r\n"), peer.received
        )
        producer.consumer.write(b"abc")
        producer.consumer.write(b"")
        self.assertEqual(b"3\r\nabc\r\n", peer.take())
        producer.done.callback(None)
        self.assertEqual(b"0\r\n\r\n", peer.take())
        peer.send(OK)
        self.assertEqual(200, self.successResultOf(deferred).code)
        self.assertEqual(["start"], producer.events)

    def test_producerWithLength(self) -> None:
        """
        A producer with a length is sent as it is.
        """
        producer = Producer(6)
        _, peer = self.ask(method=b"POST", body=producer)
        self.assertIn(b"Content-Length: 6\r\n", peer.take())
        producer.consumer.write(b"abc")
        producer.consumer.write(b"def")
        producer.done.callback(None)
        self.assertEqual(b"abcdef", peer.take())

    def test_backPressure(self) -> None:
        """
        The producer is paused while the server does not read.
        """
        producer = Producer()
        _, peer = self.ask(method=b"POST", body=producer)
        peer.fill()
        peer.drain()
        self.assertEqual(["start", "pause", "resume"], producer.events)
        producer.done.callback(None)

    def test_wrongLength(self) -> None:
        """
        More or less than was promised breaks the connection, and the request.
        """
        for written in (b"toolong", b"shrt"):
            producer = Producer(5)
            deferred, peer = self.ask(method=b"POST", body=producer)
            producer.consumer.write(written)
            if len(written) < 5:
                producer.done.callback(None)
            error = self.failing(deferred, RequestGenerationFailed)
            self.assertIn("bytes written", str(error))
            self.assertTrue(peer.aborted)
            self.assertNotIn(b"toolong", peer.received)

    def test_producerFails(self) -> None:
        """
        The producer's failure is the request's, and the body is not ended.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer)
        producer.done.errback(ZeroDivisionError("oops"))
        error = self.failing(deferred, RequestGenerationFailed)
        error.reasons[0].trap(ZeroDivisionError)
        self.assertTrue(peer.aborted)
        self.assertNotIn(b"0\r\n\r\n", peer.received)

    def test_producerRaises(self) -> None:
        """
        So is what it raises when it is paused, resumed or stopped, whatever that
        is; and no other request waits for it.
        """
        for name in ("pauseProducing", "resumeProducing"):

            class Raising(Producer):
                def stopProducing(self) -> None:
                    super().stopProducing()
                    raise ZeroDivisionError("stop")

            def raises(self: Any, name: str = name) -> None:
                raise SystemExit(name)

            setattr(Raising, name, raises)
            producer = Raising()
            deferred, peer = self.ask(method=b"POST", body=producer)
            peer.fill()
            peer.drain()
            error = self.failing(deferred, RequestGenerationFailed)
            error.reasons[0].trap(SystemExit)
            self.assertTrue(peer.aborted)
            self.assertEqual("stop", producer.events[-1])
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_unsendable(self) -> None:
        """
        A request that must not be sent is not: nothing connects.
        """
        agent = self.makeAgent()
        deferred = agent.request(b"GET", b"http://a/", [(b"A", b"b\r\nC: d")])
        error = self.failing(deferred, RequestGenerationFailed)
        self.assertIn("Invalid value", str(error))
        self.assertEqual([], self.network.peers)

    def test_lineEnds(self) -> None:
        """
        A method, a target or a host with a line end in it is refused, and nobody is
        connected to (CVE-2019-12387, CVE-2023-49081, CVE-2023-49082).
        """
        agent = self.makeAgent()
        for method, uri in (
            (b"GET\r\nX: y", b"http://a/"),
            (b"GET / HTTP/1.1\r\nHost: b\r\n\r\nGET", b"http://a/"),
            (b"GET", b"http://a/\r\nX: y"),
            (b"GET", b"http://a/b\nc"),
            (b"GET", b"http://a/ HTTP/1.1\r\nX: y"),
            (b"GET", b"http://a\r\nX: y/"),
        ):
            with self.assertRaises(ValueError, msg=(method, uri)):
                agent.request(method, uri)
        self.assertEqual([], self.network.peers)


class EarlyAnswerTests(ClientTestCase):
    """
    The server answers while the request is still going out.
    """

    def test_complete(self) -> None:
        """
        The answer is delivered, the producer stops, the connection ends.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer)
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        response = self.successResultOf(deferred)
        self.assertEqual(b"no", self.read(response).data)
        self.assertEqual(["start", "stop"], producer.events)
        self.assertTrue(peer.aborted)

    def test_refusal(self) -> None:
        """
        A refusal that closes stops the producer at once; the rest of the
        answer is read.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer)
        peer.send(
            b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
        )
        reader = self.read(self.successResultOf(deferred))
        self.assertEqual(["start", "stop"], producer.events)
        peer.send(b"no")
        self.assertEqual(b"no", reader.data)

    def test_both(self) -> None:
        """
        A server may answer while it reads: both go on.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer)
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        reader = self.read(self.successResultOf(deferred))
        producer.consumer.write(b"x")
        peer.send(b"1\r\nb\r\n")
        producer.done.callback(None)
        peer.send(b"0\r\n\r\n")
        self.assertEqual(b"ab", reader.data)
        self.assertEqual(["start"], producer.events)
        self.assertEqual("idle", peer.protocol.state.value)

    def test_withinTheWrite(self) -> None:
        """
        A transport in memory may have the answer before its last write has returned;
        the end is the last that the trace tells.
        """
        producer = Producer()
        told: list[Any] = []
        deferred, peer = self.ask(method=b"POST", body=producer, trace=told.append)
        write = peer.write

        def answering(data: bytes) -> None:
            write(data)
            peer.send(OK)

        peer.write = answering  # type: ignore[method-assign]
        producer.done.callback(None)
        self.assertEqual(b"hello", self.read(self.successResultOf(deferred)).data)
        self.assertEqual("ended", told[-1].name)

    def test_answeredThenBroken(self) -> None:
        """
        What was answered before the connection broke is not lost.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer)
        peer.send(b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno")
        peer.lose(ConnectionLost())
        self.assertEqual(b"no", self.read(self.successResultOf(deferred)).data)

    def test_broken(self) -> None:
        """
        Without an answer the transmission failed; the producer stops once.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer)
        peer.lose(ConnectionLost())
        self.failing(deferred, RequestTransmissionFailed)
        self.assertEqual(["start", "stop"], producer.events)


class ExpectTests(ClientTestCase):
    """
    C{Expect: 100-continue}.
    """

    def expecting(self) -> Any:
        """
        A request that waits.
        """
        producer = Producer(3)
        deferred, peer = self.ask(
            method=b"POST", headers=[(b"Expect", b"100-continue")], body=producer
        )
        self.assertEqual([], producer.events)
        self.assertIn(b"Expect: 100-continue", peer.received)
        return deferred, peer, producer

    def waiting(self) -> list[Any]:
        """
        The requests that have no result.
        """
        return [deferred for deferred in self.deferreds if not deferred.called]

    def test_continue(self) -> None:
        """
        The body goes out after the 100.
        """
        deferred, peer, producer = self.expecting()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual(["start"], producer.events)
        producer.consumer.write(b"abc")
        producer.done.callback(None)
        peer.send(OK)
        self.successResultOf(deferred)
        self.assertEqual("idle", peer.protocol.state.value)

    def test_continueWithinTheWrite(self) -> None:
        """
        It goes out once, where the 100 came before the head was written to its end.
        """
        agent = self.makeAgent()
        first, peer = self.ask(agent)
        peer.send(OK)
        self.successResultOf(first)
        write = peer.write

        def answering(data: bytes) -> None:
            write(data)
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")

        peer.write = answering  # type: ignore[method-assign]
        producer = Producer(3)
        deferred, again = self.ask(
            agent, b"POST", headers=[(b"Expect", b"100-continue")], body=producer
        )
        self.assertIs(peer, again)
        peer.write = write  # type: ignore[method-assign]
        self.clock.advance(1)
        self.assertEqual(["start"], producer.events)
        producer.consumer.write(b"abc")
        producer.done.callback(None)
        peer.send(OK)
        self.successResultOf(deferred)

    def test_full(self) -> None:
        """
        It goes out, too, where the server does not take all of the head at once.
        """
        for drains in (True, False):
            deferred, peer, producer = self.expecting()
            peer.fill()
            if drains:
                peer.drain()
            self.clock.advance(1)
            self.assertEqual("start", producer.events[0])
            self.clock.advance(300)
            self.assertEqual(drains, deferred in self.waiting())
            peer.lose()

    def test_timeOut(self) -> None:
        """
        It also goes out when no answer comes for a while.
        """
        _, _, producer = self.expecting()
        self.clock.advance(1)
        self.assertEqual(["start"], producer.events)

    def test_refused(self) -> None:
        """
        After a final response it does not go out, and the connection ends.
        """
        deferred, peer, producer = self.expecting()
        peer.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(403, self.successResultOf(deferred).code)
        self.assertEqual([], producer.events)
        self.assertTrue(peer.closed)

    def test_417(self) -> None:
        """
        After a 417 the request is sent again without the expectation.
        """
        deferred, peer, producer = self.expecting()
        peer.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        self.assertNoResult(deferred)
        again = self.network.peers[-1]
        self.assertIsNot(peer, again)
        self.assertNotIn(b"Expect", again.received)
        self.assertIn(b"Content-Length: 3\r\n", again.received)
        self.assertEqual(["start"], producer.events)

    def test_417Cancelled(self) -> None:
        """
        It is not sent again if a trace function cancels the request then.
        """
        for body in (b"", b"no"):
            told: list[str] = []
            waiting: list[Any] = []

            def trace(
                event: Any, told: list[str] = told, waiting: list[Any] = waiting
            ) -> None:
                told.append(event.name)
                if event.name == "ended":
                    waiting[0].cancel()

            deferred, peer = self.ask(
                method=b"POST",
                headers=[(b"Expect", b"100-continue")],
                body=Producer(3),
                trace=trace,
            )
            waiting.append(deferred)
            count = len(self.network.peers)
            peer.send(b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\n" + body)
            self.clock.advance(0)
            self.failing(deferred, CancelledError)
            self.assertEqual(count, len(self.network.peers))
            self.assertEqual("ended", told[-1])
            self.assertEqual(1, told.count("connecting"))
