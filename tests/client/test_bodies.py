"""
A request that goes out is one request, whatever its body does: or it is none.
"""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure
from twisted.web._newclient import ExcessWrite
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from tests.fuzz.strategies import examples
from tests.support.client_cases import ClientTestCase, Reader
from tests.support.producers import OK, Outcome, Producer, Scripted, requests_in
from twisted_h11._client.pool import HTTPConnectionPool

# The beginning of another request, where a body without framing would put it.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

LENGTHS: list[Any] = [
    None,
    True,
    False,
    -1,
    -50,
    2.0,
    float("inf"),
    "5",
    b"5",
    "unknown",
    10**18,
    10**19,
    2**63,
    10**5000,
    [],
    object(),
    NotImplemented,
]


class Coroutine(Producer):
    """
    A body that a coroutine writes.
    """

    cleaned = False

    def __init__(self, fails: bool) -> None:
        Producer.__init__(self)
        self.fails = fails

    def startProducing(self, consumer: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(self.produce(consumer))

    async def produce(self, consumer: Any) -> None:
        consumer.write(b"a")
        try:
            await self.done
        finally:
            self.cleaned = True
            if self.fails:
                raise OSError("cleaning up")


class Printed(int):
    """
    An int that prints as another one.
    """

    def __str__(self) -> str:
        return "0\r\nX: y"

    __repr__ = __format__ = __str__  # type: ignore[assignment]

    def __int__(self) -> int:
        return -7


class LengthTests(ClientTestCase):
    """
    What a body may be, and how long.
    """

    def test_lengths(self) -> None:
        """
        A length is UNKNOWN_LENGTH or an int that a server can count; any other is
        refused at the call, before there is a connection.
        """
        for fast in (True, False):
            for length in [*LENGTHS, Printed(5)]:
                agent = self.makeAgent(fastPath=fast)
                if length == 10**18 and type(length) is int:
                    deferred = agent.request(
                        b"POST", b"http://a/", None, Scripted(length)
                    )
                    self.deferreds.append(deferred)
                    self.assertIn(
                        b"Content-Length: 1%018d\r\n" % 0,
                        self.network.peers[-1].received,
                    )
                    self.network.peers.clear()
                    deferred.cancel()
                    continue
                with self.assertRaises((TypeError, ValueError)) as caught:
                    agent.request(b"POST", b"http://a/", None, Scripted(length))
                self.assertIn("bodyProducer", str(caught.exception))
                self.assertEqual([], self.network.peers, length)

    def test_noBody(self) -> None:
        """
        What is no body at all is refused at the call, with what would be one.
        """

        class NoLength:
            def startProducing(self, consumer: Any) -> Any:
                return succeed(None)

        for body in (
            "text",
            5,
            [b"a"],
            {"a": "b"},
            object(),
            bytearray(b"a"),
            NoLength(),
        ):
            with self.assertRaises(TypeError) as caught:
                self.makeAgent().request(b"POST", b"http://a/", None, body)
            self.assertIn("bodyProducer", str(caught.exception))
        self.assertEqual([], self.network.peers)

    def test_twistedsAgent(self) -> None:
        """
        So it is for an agent of twisted.web's on our pool, whose connection goes
        back; a method, target or Host that is none is refused there, too.
        """

        def ask(connection: Any, request: Any) -> Any:
            return connection.request(request)

        headers = Headers({b"Host": [b"a"]})
        twice = Headers({b"Host": [b"a", b"b"]})
        pool = self.makePool()
        for method, target, body in (
            (b"POST", b"/", Scripted(None)),
            (b"POST", b"/", Scripted(-50)),
            (b"POST", b"/", "text"),
            (b"GET / HTTP/1.1\r\nX: y\r\n\r\nGET", b"/", None),
            (b"GET", b"/ HTTP/1.1\r\n\r\n", None),
            (b"GET", "/", None),
            (b"GET", b"/twice", None),
        ):
            request = SimpleNamespace(
                method=method,
                uri=target,
                headers=twice if target == b"/twice" else headers,
                bodyProducer=body,
                persistent=True,
                absoluteURI=None,
            )
            deferred = pool.getConnection(("http", b"a", 80), self.network)
            deferred.addCallback(ask, request)
            kinds: Any = (TypeError, ValueError)
            if target == b"/twice":
                kinds = (RequestGenerationFailed,)
            self.failing(deferred, *kinds)
            self.clock.advance(0)
            self.assertEqual(b"", self.network.peers[-1].received)
            self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))

    def test_documented(self) -> None:
        """
        A producer that can not be resumed, as the one in Twisted's documentation,
        is sent, also where the server is slow.
        """

        class Bare:
            length = UNKNOWN_LENGTH
            startProducing = Producer.startProducing

            def __init__(self) -> None:
                Producer.__init__(self)  # type: ignore[arg-type]

        bare: Any = Bare()
        deferred, peer = self.ask(method=b"POST", body=bare)
        peer.fill()
        bare.consumer.write(b"a")
        peer.drain()
        bare.done.callback(None)
        peer.send(OK)
        self.successResultOf(deferred)


class WriteTests(ClientTestCase):
    """
    What a producer may write, and when.
    """

    def test_notBytes(self) -> None:
        """
        What is not bytes is a TypeError at the write, and fails the request, on
        the fast path and without it.
        """
        for fast in (True, False):
            for data in ("text", 5, None, [b"a"], array("I", [1])):
                producer = Producer(4)
                deferred, peer = self.ask(
                    self.makeAgent(fastPath=fast), method=b"POST", body=producer
                )
                with self.assertRaises(TypeError) as caught:
                    producer.consumer.write(data)
                self.assertIn("bytes", str(caught.exception))
                error = self.failing(deferred, RequestGenerationFailed)
                error.reasons[0].trap(TypeError)
                self.assertTrue(peer.aborted)
                self.assertEqual(["start", "stop"], producer.events)

    def test_items(self) -> None:
        """
        Other buffers are counted in bytes, and are sent as they were when they
        were written.
        """
        for fast in (True, False):
            for length in (8, UNKNOWN_LENGTH):
                producer = Producer(length)
                _, peer = self.ask(
                    self.makeAgent(fastPath=fast), method=b"POST", body=producer
                )
                peer.take()
                changing = bytearray(b"abcd")
                producer.consumer.write(changing)
                changing[:] = b"zzzz"
                producer.consumer.write(memoryview(b"efgh").cast("I"))
                producer.done.callback(None)
                expected = b"abcdefgh"
                if length == UNKNOWN_LENGTH:
                    expected = b"4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n"
                self.assertEqual(expected, peer.received)

    def test_late(self) -> None:
        """
        What is written after the end goes nowhere, least of all into the next
        request on the connection.
        """
        for fast in (True, False):
            pool = self.makePool()
            agent = self.makeAgent(pool, fastPath=fast)
            producer = Producer(1)
            deferred, peer = self.ask(agent, method=b"POST", body=producer)
            producer.consumer.write(b"x")
            producer.done.callback(None)
            peer.send(OK)
            self.successResultOf(deferred)
            again, same = self.ask(agent)
            self.assertIs(peer, same)
            peer.take()
            with self.assertRaises(ExcessWrite):
                producer.consumer.write(SMUGGLED)
            self.assertEqual(b"", peer.received)
            peer.send(OK)
            self.successResultOf(again)

    def test_notADeferred(self) -> None:
        """
        A C{startProducing} that returns something else fails the request, and the
        producer is stopped.
        """
        for returns in (None, 5, "x"):
            producer = Scripted(returns=returns, now=[b"a"])
            deferred, peer = self.ask(method=b"POST", body=producer)
            error = self.failing(deferred, RequestGenerationFailed)
            error.reasons[0].trap(TypeError)
            self.assertIn("Deferred", error.reasons[0].getErrorMessage())
            self.assertEqual(["start", "stop"], producer.events)
            self.assertTrue(peer.aborted)

    def test_cancelsAtTheStart(self) -> None:
        """
        One that cancels its request first has failed it once, with that.
        """
        producer = Scripted(3, now=[":call"], returns=None)
        deferred, peer = self.ask(
            method=b"POST", body=producer, headers=[(b"Expect", b"100-continue")]
        )
        producer.call = deferred.cancel
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        error = self.failing(deferred, RequestGenerationFailed)
        error.reasons[0].trap(CancelledError)
        self.assertTrue(peer.aborted)

    def test_cancelled(self) -> None:
        """
        When the application cancels the request, the producer is stopped, and the
        Deferred of C{startProducing} is cancelled, which is all that Twisted's agent
        does.
        """
        for length in (UNKNOWN_LENGTH, 5):
            producer = Producer(length)
            deferred, peer = self.ask(method=b"POST", body=producer)
            producer.consumer.write(b"a")
            deferred.cancel()
            error = self.failing(deferred, RequestGenerationFailed)
            error.reasons[0].trap(CancelledError)
            self.assertEqual(["start", "stop"], producer.events)
            self.assertTrue(producer.done.called)
            self.assertTrue(peer.aborted)
        self.assertEqual([], self.flushLoggedErrors())

    def test_cancelledAtTheStart(self) -> None:
        """
        So is the Deferred of one that was cancelled before it returned it.
        """
        producer = Scripted(now=[":call"])
        deferred, peer = self.ask(
            method=b"POST", body=producer, headers=[(b"Expect", b"100-continue")]
        )
        producer.call = deferred.cancel
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.failing(deferred, RequestGenerationFailed)
        self.assertTrue(producer.done.called)
        self.assertEqual([], self.flushLoggedErrors())

    def test_cancelledCoroutine(self) -> None:
        """
        A body that a coroutine writes ends with its request, and may clean up; what it
        raises then is logged.
        """
        for fails in (False, True):
            producer = Coroutine(fails)
            deferred, _ = self.ask(method=b"POST", body=producer)
            deferred.cancel()
            self.failing(deferred, RequestGenerationFailed)
            self.assertTrue(producer.cleaned)
            logged = self.flushLoggedErrors()
            self.assertEqual([OSError] * fails, [reason.type for reason in logged])

    def test_notCancelled(self) -> None:
        """
        Where the connection is lost the producer is only stopped.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer)
        peer.lose()
        self.failing(deferred, RequestTransmissionFailed)
        self.assertEqual(["start", "stop"], producer.events)
        self.assertFalse(producer.done.called)

    def test_cancelsInItsPause(self) -> None:
        """
        Nor does it matter what it raises when it has cancelled its request.
        """
        producer = Scripted(onPause=[":call", ":raise"])
        deferred, peer = self.ask(method=b"POST", body=producer)
        producer.call = deferred.cancel
        peer.fill()
        error = self.failing(deferred, RequestGenerationFailed)
        error.reasons[0].trap(CancelledError)
        self.assertEqual(["start", "pause", "stop"], producer.events)

    def test_notBytesUncaught(self) -> None:
        """
        What its write has raised at the start is told once, and not in the log.
        """

        class Text(Producer):
            def startProducing(self, consumer: Any) -> Any:
                super().startProducing(consumer)
                consumer.write("text")

        deferred, _ = self.ask(method=b"POST", body=Text())
        error = self.failing(deferred, RequestGenerationFailed)
        error.reasons[0].trap(TypeError)
        self.assertEqual([], self.flushLoggedErrors())

    def test_closing(self) -> None:
        """
        What is written when the connection closes already goes nowhere.
        """
        producer = Producer()
        _, peer = self.ask(method=b"POST", body=producer)
        peer.take()
        peer.protocol.loseConnection()
        producer.consumer.write(b"abc")
        self.assertEqual(b"", peer.received)

    def test_calledButWaiting(self) -> None:
        """
        A Deferred that was called, and waits for another one, is not the end:
        back-pressure reaches its producer.
        """
        producer = Scripted()
        waiting = producer.done
        producer.returns = succeed(None).addCallback(lambda _: waiting)
        deferred, peer = self.ask(method=b"POST", body=producer)
        peer.fill()
        peer.drain()
        self.assertEqual(["start", "pause", "resume"], producer.events)
        waiting.callback(None)
        peer.send(OK)
        self.successResultOf(deferred)

    def test_stopped(self) -> None:
        """
        A C{stopProducing} that does anything at all harms nobody: the request has
        failed before, and its connection is gone.
        """
        for onStop in ([":raise"], [":fail"], [":finish"], [b"x"], [":call"]):
            pool = self.makePool()
            producer = Scripted(onStop=onStop)
            deferred, peer = self.ask(
                self.makeAgent(pool), method=b"POST", body=producer
            )
            producer.call = pool.close
            peer.lose()
            self.failing(deferred, Exception)
            self.assertEqual(["start", "stop"], producer.events[:2])
            self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))
            self.flushLoggedErrors()

    def test_resumesAtTheEnd(self) -> None:
        """
        It may resume the reader of the response, of which nothing more will come:
        nothing waits for a connection that is gone.
        """
        producer = Scripted(onStop=[":call"])
        deferred, peer = self.ask(method=b"POST", body=producer)
        peer.send(OK[:-2])
        reader = self.read(self.successResultOf(deferred))
        reader.pause()
        producer.call = reader.resume
        # Not all transports stop their producers.
        peer.producer = None
        peer.lose()
        self.assertEqual(["start", "stop"], producer.events)
        self.assertEqual(1, reader.ends)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stoppedByAnswer(self) -> None:
        """
        So it is where the answer has stopped the producer: the response ends.
        """
        for onStop in ([":raise"], [":fail"], [b"x"], [":call"]):
            for answer in (
                b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhe",
                b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhe",
                b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
            ):
                pool = self.makePool()
                producer = Scripted(onStop=onStop)
                deferred, peer = self.ask(
                    self.makeAgent(pool), method=b"POST", body=producer
                )
                producer.call = pool.close
                peer.send(answer)
                reader = self.read(self.successResultOf(deferred))
                peer.send(b"llo")
                peer.lose()
                self.assertEqual(1, reader.ends)
                self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))
                self.flushLoggedErrors()

    def test_switchingTooSoon(self) -> None:
        """
        A server that switches to another protocol before the request is complete
        has broken the rules: the rest would be taken for the other protocol.
        """
        fields = [(b"Upgrade", b"x"), (b"Connection", b"upgrade")]
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", body=producer, headers=fields)
        peer.send(
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
        )
        self.failing(deferred, ResponseFailed)
        self.assertTrue(peer.aborted)
        self.assertEqual(["start", "stop"], producer.events)

    def test_close(self) -> None:
        """
        Who has asked for the end of the connection sends no other request on it,
        whatever the server thinks of that.
        """
        for fast in (True, False):
            for value in (b"close", b"Close", b"x , CLOSE", b"te,close"):
                pool = self.makePool()
                agent = self.makeAgent(pool, fastPath=fast)
                deferred, peer = self.ask(agent, headers=[(b"Connection", value)])
                peer.send(OK)
                self.successResultOf(deferred)
                self.assertTrue(peer.closed, (fast, value))


PIECES = st.sampled_from([b"", b"x", b"12345", SMUGGLED, "text", memoryview(b"abcd")])
ACTIONS = st.one_of(
    PIECES, st.sampled_from([":finish", ":fail", ":call", ":finish", ":raise"])
)
SCRIPTS = st.lists(ACTIONS, max_size=4)
FIELDS = st.lists(
    st.sampled_from(
        [
            (b"Content-Length", b"5"),
            (b"content-length", b"0"),
            (b"Content-Length", b"05"),
            (b"Content-Length", b"5, 5"),
            (b"Transfer-Encoding", b"chunked"),
            (b"transfer-encoding", b"Chunked"),
            (b"Transfer-Encoding", b"gzip, chunked"),
            (b"Transfer-Encoding", b"identity"),
            (b"Transfer-Encoding", b"\tchunked "),
            (b"Connection", b"close"),
            (b"Connection", b"keep-alive"),
            (b"Connection", b"upgrade, close"),
            (b"Upgrade", b"h2c"),
            (b"Expect", b"100-continue"),
            (b"Expect", b"100-Continue"),
            (b"Expect", b"other"),
            (b"Host", b"b"),
            (b"host", b""),
            (b"Host", b"b c"),
            (b"TE", b"trailers"),
            (b"Trailer", b"X"),
            (b"X", b"y\r\nContent-Length: 5"),
            (b"X", b"y\nTransfer-Encoding: chunked"),
            (b"X", b"\x00"),
            (b"X", b"\xff"),
            (b"X", b""),
            (b"Content-Length ", b"5"),
            (b"Content-Length:", b"5"),
            (b"X: y\r\nContent-Length", b"5"),
            (b"", b"5"),
        ]
    ),
    max_size=3,
)
METHODS = st.sampled_from(
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"TRACE", b"OPTIONS", b"x-own"]
)
BODIES = st.one_of(
    st.none(),
    st.sampled_from([b"", b"12345", SMUGGLED, b"x" * 70_000]),
    st.builds(
        Scripted,
        st.one_of(
            st.sampled_from([UNKNOWN_LENGTH, UNKNOWN_LENGTH, 0, 5, 5, 6]),
            st.sampled_from(LENGTHS),
        ),
        now=SCRIPTS,
        onStop=st.lists(ACTIONS, max_size=2),
        onPause=st.lists(ACTIONS, max_size=1),
        returns=st.sampled_from([":deferred"] * 8 + [None]),
    ),
)
# What happens while the request is out: the producer's script goes on, the server
# reads or does not, answers, or goes away.
EVENTS = st.lists(
    st.one_of(
        SCRIPTS,
        st.sampled_from(
            ["fill", "drain", "100", "cancel", "end", "lose", "later", "417"]
        ),
    ),
    max_size=4,
)
STEPS: dict[str, Any] = {
    "fill": lambda peer: peer.fill(),
    "drain": lambda peer: peer.drain(),
    "100": lambda peer: peer.send(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "417": lambda peer: peer.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"),
    "end": lambda peer: peer.end(),
    "lose": lambda peer: peer.lose(),
}


def names_of(failure: Failure) -> str:
    """
    The exceptions of a failure.
    """
    reasons = getattr(failure.value, "reasons", ())
    return " ".join([type(failure.value).__name__, *map(names_of, reasons)])


class OutgoingTests(ClientTestCase):
    """
    The Law for requests, and what holds for both paths.
    """

    def attempt(
        self,
        fast: bool,
        method: bytes,
        fields: Any,
        body: Any,
        events: Any,
    ) -> tuple[Outcome, HTTPConnectionPool]:
        """
        Send a request, let things happen, and look.
        """
        self.network.peers.clear()
        pool = self.makePool()
        agent = self.makeAgent(pool, fastPath=fast)
        if isinstance(body, Scripted):
            body = Scripted(
                body.length, body.now, body.onStop, body.onPause, body.returns
            )
            body.call = lambda: None
        results: list[str] = []
        try:
            deferred = agent.request(method, b"http://a/", fields, body)
        except Exception as error:
            return Outcome(type(error).__name__, b"", "", True, ()), pool
        deferred.addCallbacks(
            lambda response: results.append(str(response.code)),
            lambda failure: results.append(names_of(failure)),
        )
        if isinstance(body, Scripted):
            body.call = deferred.cancel
        peers = self.network.peers
        for event in events:
            if not peers or peers[-1].gone:
                break
            if event == "cancel":
                deferred.cancel()
            elif event == "later":
                self.clock.advance(1)
            elif isinstance(event, str):
                STEPS[event](peers[-1])
            elif isinstance(body, Scripted) and body.consumer is not None:
                try:
                    body.act(event)
                except Exception:
                    pass
            self.clock.advance(0)
        sent = b"".join(peer.received for peer in peers)
        self.assertLessEqual(len(results), 1)
        told = tuple(body.events) if isinstance(body, Scripted) else ()
        self.assertLessEqual(told.count("stop"), 1)
        over = not peers or peers[-1].closed
        self.flushLoggedErrors()
        return Outcome("", sent, "".join(results), over, told), pool

    @examples(300)
    @given(METHODS, FIELDS, BODIES, EVENTS)
    def test_oneRequest(
        self, method: bytes, fields: Any, body: Any, events: Any
    ) -> None:
        """
        With the fast path and without it the same bytes leave, or the same error
        is told; what leaves is one request, and no more; a connection that it
        leaves incomplete is gone when it is over; nothing is left in the pool.
        """
        outcomes = []
        for fast in (True, False):
            outcome, pool = self.attempt(fast, method, fields, body, events)
            outcomes.append(outcome)
            whole = []
            for peer in self.network.peers:
                found = requests_in(peer.received)
                self.assertLessEqual(len(found), 1, peer.received)
                complete = bool(found) and found[0][3]
                whole.append(complete)
                if found and found[0][0]:
                    self.assertEqual((method, b"/"), found[0][:2])
                if outcome.result and not complete:
                    self.assertTrue(peer.closed or peer.gone, "left incomplete")
            if not outcome.refused and not outcome.result:
                self.assertFalse(outcome.over, "it was given up and nobody told")
                if whole[-1]:
                    self.network.peers[-1].send(OK)
            pool.close()
            # A server that takes nothing is given up after a while.
            self.clock.pump([0, 0, 60, 60, 60])
            self.flushLoggedErrors()
            self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))
        self.assertEqual(*outcomes)

    def test_again(self) -> None:
        """
        After a complete request with a body the connection takes the next one.
        """
        for fast in (True, False):
            for body in (b"", b"12345", SMUGGLED, Producer(0), Producer()):
                pool = self.makePool()
                agent = self.makeAgent(pool, fastPath=fast)
                deferred, peer = self.ask(agent, method=b"PUT", body=body)
                if isinstance(body, Producer):
                    body.done.callback(None)
                peer.send(OK)
                self.successResultOf(deferred).deliverBody(Reader())
                deferred, same = self.ask(agent)
                self.assertIs(peer, same)
                found = requests_in(peer.received)
                self.assertEqual(
                    [(b"PUT", True), (b"GET", True)], [(f[0], f[3]) for f in found]
                )
