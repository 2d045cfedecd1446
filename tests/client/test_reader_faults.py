"""
A body that its reader could not take is a failure, however its bytes came.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from time import process_time
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web import client as twisteds
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from tests.support.client_cases import ClientTestCase, Reader
from tests.support.times import SLOWNESS, confirmed
from twisted_h11 import client
from twisted_h11._client import wrappers

HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
    b"Content-Length: %d\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
}


class Raising(Reader):
    """
    Raises at the piece that has an C{x}, or at its beginning or end.
    """

    def __init__(
        self, at: str = "data", error: type[BaseException] = ValueError
    ) -> None:
        super().__init__()
        self.at = at
        self.error = error

    def connectionMade(self) -> None:
        if self.at == "made":
            raise self.error()

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self.at == "paused":
            self.pause()
        if self.at in ("data", "paused") and b"x" in data:
            raise self.error()

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        if self.at == "lost":
            raise self.error()


def splittings(body: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """
    A response with C{body}, in each framing: in one segment, in two, and byte by
    byte.
    """
    for name, head in HEADS.items():
        if name == "length":
            data = head % len(body) + body
        elif name == "chunked":
            half = len(body) // 2
            data = head
            for part in (body[:half], body[half:]):
                if part:
                    data += b"%x\r\n%b\r\n" % (len(part), part)
            data += b"0\r\n\r\n"
        else:
            data = head + body
        yield name, [data]
        # What is in one segment with the head, and what is behind it.
        for cut in range(len(head) - 3, len(data), max(1, len(body) // 12)):
            yield name, [data[:cut], data[cut:]]
        yield name, [data[i : i + 1] for i in range(len(data))]


class FaultTests(ClientTestCase):
    """
    Each way in which a body comes.
    """

    def deliver(self, make: Any, body: bytes, whole: bool) -> Iterator[Any]:
        """
        Have readers read; whether before or after all of it has come.
        """
        for fast in (True, False):
            for framing, pieces in splittings(body):
                agent = self.makeAgent(fastPath=fast)
                deferred, peer = self.ask(agent)
                readers: list[Any] = []

                def begin(response: Any, readers: Any = readers) -> None:
                    reader = make()
                    readers.append(reader)
                    try:
                        response.deliverBody(reader)
                    except ValueError:
                        assert reader.at == "made"

                if not whole:
                    deferred.addCallback(begin)
                peer.send(*pieces)
                if framing == "close" and whole:
                    peer.end()
                if whole:
                    deferred.addCallback(begin)
                for _ in range(9):
                    if readers[0].transport is not None:
                        readers[0].resume()
                    self.clock.advance(0)
                if framing == "close" and not (whole or peer.closed):
                    peer.end()
                self.flushLoggedErrors()
                yield framing, readers[0]
                self.clock.advance(0)
                self.assertEqual(0, agent.pool.counts().busy)
                agent.pool.close()
                self.clock.advance(0)

    def test_raises(self) -> None:
        """
        A reader that raises at any piece, or before, is told a failure that has
        what it raised, once, and no connection is kept for it.
        """
        for whole in (False, True):
            for at in ("data", "paused", "made"):
                for error in (
                    (ValueError, GeneratorExit) if at == "data" else (ValueError,)
                ):

                    def make(at: str = at, error: Any = error) -> Raising:
                        return Raising(at, error)

                    for framing, reader in self.deliver(make, b"abxd", whole):
                        self.assertEqual(1, reader.ends, (framing, at))
                        self.assertTrue(reader.reason.check(ResponseFailed), framing)
                        reader.reason.value.reasons[0].trap(error)

    def test_raisesAtTheEnd(self) -> None:
        """
        A reader that raises when it is told the end has been told it, and harms
        nobody.
        """
        for _, reader in self.deliver(lambda: Raising("lost"), b"abxd", True):
            self.assertEqual(1, reader.ends)

    def test_stopped(self) -> None:
        """
        A reader that does not want the rest, while there is a rest, is told that
        it has not got all; also where the rest has come already.
        """

        class Stopping(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                if len(self.data) < 4:
                    self.transport.abortConnection()  # type: ignore[union-attr]

        for whole in (False, True):
            for framing, reader in self.deliver(Stopping, b"abcd", whole):
                self.assertEqual(1, reader.ends)
                complete = len(reader.data) == 4
                kinds: list[Any] = [ResponseFailed]
                if complete:
                    kinds = [ResponseDone, client.PotentialDataLoss]
                self.assertTrue(reader.reason.check(*kinds), (framing, reader.reason))


class GzipTests(ClientTestCase):
    """
    Bodies in gzip.
    """

    plain = b"hello, hello " * 5
    packed = gzip.compress(plain, mtime=0)

    def results(self, decoder: Any, body: bytes, wrap: Any = None) -> Iterator[Any]:
        """
        What reading a body comes to, however it is split.
        """
        for framing, pieces in splittings(body):
            pool = self.makePool()
            agent: Any = twisteds.ContentDecoderAgent(
                self.makeAgent(pool), [(b"gzip", decoder)]
            )
            deferred: Deferred[Any] = agent.request(b"GET", b"http://a/")
            deferred.addCallback(wrap or client.readBody)
            peer = self.network.peers[-1]
            peer.send(*pieces)
            if framing == "close" and not peer.closed:
                peer.end()
            self.flushLoggedErrors()
            results: list[Any] = []
            deferred.addBoth(results.append)
            yield framing, results[0]
            pool.close()
            self.clock.advance(0)

    def test_whole(self) -> None:
        """
        A whole stream is decoded; so are several, and padding is skipped.
        """
        for body, plain in (
            (self.packed, self.plain),
            (self.packed + self.packed, self.plain * 2),
            (self.packed + b"\0" * 9, self.plain),
            (self.packed + b"\x1f", self.plain),
            (b"", b""),
        ):
            for framing, result in self.results(client.GzipDecoder, body):
                if framing == "close":
                    result = result.value.response
                self.assertEqual(plain, result)

    def test_corrupt(self) -> None:
        """
        What is no gzip is a failure, with our decoder and with Twisted's.
        """
        spoilt = self.packed[:-6] + b"spoilt"
        for decoder in (client.GzipDecoder, twisteds.GzipDecoder):
            for body in (b"not gzip at all", spoilt):
                for _, result in self.results(decoder, body):
                    result.trap(ResponseFailed)

    def test_cut(self) -> None:
        """
        A stream that ends before its end is a failure, although the body is whole.
        """
        for cut in (1, 5, 12, len(self.packed) - 1):
            for _, result in self.results(client.GzipDecoder, self.packed[:cut]):
                result.trap(ResponseFailed)
                self.assertIn("gzip", str(result.value))
                self.assertIsInstance(result.value, client.RequestError)

    def test_lost(self) -> None:
        """
        Where the connection is lost in a stream, that is what the reader is told.
        """
        agent: Any = client.ContentDecoderAgent(
            self.makeAgent(), [(b"gzip", client.GzipDecoder)]
        )
        deferred: Deferred[Any] = agent.request(b"GET", b"http://a/")
        peer = self.network.peers[-1]
        peer.send(HEADS["length"] % len(self.packed) + self.packed[:-9])
        reader = self.read(self.successResultOf(deferred))
        peer.lose(ConnectionLost())
        assert reader.reason is not None
        self.assertIn("9 bytes before", str(reader.reason.value))
        self.assertNotIn("gzip", str(reader.reason.value))

    def test_bomb(self) -> None:
        """
        A body that is a thousand times as long as it looks comes in pieces.
        """
        body = gzip.compress(bytes(3_000_000))
        deferred: Deferred[Any] = client.ContentDecoderAgent(
            self.makeAgent(), [(b"gzip", client.GzipDecoder)]
        ).request(b"GET", b"http://a/")
        self.network.peers[-1].send(HEADS["length"] % len(body) + body)
        reader = self.read(self.successResultOf(deferred))
        assert reader.reason is not None
        reader.reason.trap(ResponseDone)
        self.assertEqual(3_000_000, len(reader.data))
        self.assertLessEqual(max(map(len, reader.pieces)), 65536)

    def bomb(self, reader: Any, length: int = 3_000_000, cut: int = 0) -> Any:
        """
        Have a reader read what is much longer than it looks, all in one segment.
        """
        body = gzip.compress(bytes(length))
        head = HEADS["length"] % (len(body) + cut)
        deferred: Deferred[Any] = client.ContentDecoderAgent(
            self.makeAgent(), [(b"gzip", client.GzipDecoder)]
        ).request(b"GET", b"http://a/")
        self.network.peers[-1].send(head + body)
        self.successResultOf(deferred).deliverBody(reader)
        return self.network.peers[-1]

    def test_nested(self) -> None:
        """
        Where decoders are nested, so that a few bytes become gigabytes, the reactor
        gets its turn in between, and so does whoever ends it.
        """
        waiting: list[Any] = []

        def turn() -> None:
            calls = waiting[:]
            waiting.clear()
            for call in calls:
                call()
            self.clock.advance(0)

        self.patch(wrappers, "MOST_AT_ONCE", 1_000_000)
        self.patch(wrappers, "_soon", waiting.append)
        body = gzip.compress(gzip.compress(bytes(3_000_000)) * 3)
        head = HEADS["length"].replace(b"gzip", b"gzip, gzip") % (len(body) + 1)
        for how in ("read", "paused", "aborted", "lost", "reader"):
            deferred: Deferred[Any] = client.ContentDecoderAgent(
                self.makeAgent(), [(b"gzip", client.GzipDecoder)]
            ).request(b"GET", b"http://a/")
            peer = self.network.peers[-1]
            peer.send(head + body)
            response = self.successResultOf(deferred)
            reader = self.read(response)
            for number in range(1, 4):
                # Nothing is read from the network meanwhile.
                self.assertTrue(peer.paused)
                self.assertLess(len(reader.data), number * 1_100_000)
                self.assertGreater(len(reader.data), number * 900_000)
                if how == "paused":
                    reader.pause()
                    turn()
                    reader.resume()
                else:
                    turn()
            self.assertEqual(0, reader.ends)
            if how == "aborted":
                response.original.original.abort()
            elif how == "reader":
                reader.transport.abortConnection()  # type: ignore[union-attr]
            elif how == "lost":
                peer.lose(ConnectionLost())
            for _ in range(9):
                turn()
            if how in ("read", "paused"):
                self.assertEqual((9_000_000, 0), (len(reader.data), reader.ends))
                peer.send(b"\0")
            self.assertEqual(1, reader.ends, how)
            self.assertEqual([], waiting)

    def test_manyCodings(self) -> None:
        """
        A response has no more codings than the calls of decoders have stack: others are
        a failure, and their connection is dropped, although the failure is kept.
        """
        body = self.packed
        for _ in range(4):
            body = gzip.compress(body)
        for count, field in (
            (5, b"gzip" + b", gzip" * 4),
            (6, b"gzip" + b", gzip" * 5),
            (6, b"gzip\r\nContent-Encoding: " * 5 + b"gzip"),
            (6000, b"gzip" + b", gzip" * 5999),
            (6, b"br, gzip, br, gzip, br, br"),
        ):
            pool = self.makePool(maxConnections=1)
            agent: Any = client.ContentDecoderAgent(
                self.makeAgent(pool),
                [(b"gzip", client.GzipDecoder), (b"br", client.GzipDecoder)],
            )
            deferred: Deferred[Any] = agent.request(b"GET", b"http://a/")
            peer = self.network.peers[-1]
            self.assertIn(b"Accept-Encoding: gzip,br\r\n", peer.received)
            head = HEADS["length"].replace(b"gzip", field) % (len(body) + 1)
            peer.send(head + body)
            if count > 5:
                error = self.failing(deferred, ResponseFailed)
                self.assertIsInstance(error, client.RequestError)
                self.assertIn(f"{count} content codings", str(error))
                self.assertTrue(peer.aborted)
            else:
                reader = self.read(self.successResultOf(deferred))
                self.assertEqual(self.plain, reader.data)

    def test_manyCodingsOfOthers(self) -> None:
        """
        The response may be of another agent, which has no C{abort}.
        """

        class Answer:
            headers = Headers({b"Content-Encoding": [b"gzip, " * 6]})

        class Foreign:
            def request(self, *_: object) -> Deferred[Any]:
                return succeed(Answer())

        agent: Any = client.ContentDecoderAgent(Foreign(), [(b"gzip", str)])
        self.failing(agent.request(b"GET", b"http://a/"), ResponseFailed)

    def test_behindTheEnd(self) -> None:
        """
        What comes behind a failure is dropped, and a reader is told of one end.
        """

        class Body:
            aborted = 0

            def deliverBody(self, protocol: Any) -> None:
                self.protocol = protocol

            def abortConnection(self) -> None:
                self.aborted += 1

        body: Any = Body()
        body.length = UNKNOWN_LENGTH
        reader = Reader()
        client.GzipDecoder(body).deliverBody(reader)
        body.protocol.makeConnection(body)
        for _ in range(2):
            body.protocol.dataReceived(b"not gzip")
        for _ in range(2):
            body.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((1, 1, b""), (body.aborted, reader.ends, reader.data))
        # All else of the transport is that of the body.
        self.assertEqual(1, body.protocol.aborted)

    def test_within(self) -> None:
        """
        A reader that resumes while it gets a piece gets the next one afterwards.
        """

        class Eager(Reader):
            within = False

            def dataReceived(self, data: bytes) -> None:
                assert not self.within
                self.within = True
                super().dataReceived(data)
                self.pause()
                self.resume()
                self.within = False

        reader = Eager()
        self.bomb(reader)
        self.assertEqual((3_000_000, 1), (len(reader.data), reader.ends))

    def test_interrupted(self) -> None:
        """
        A KeyboardInterrupt of a reader that goes on is not a failure of the body.
        """
        reader = OneByOne()
        peer = self.bomb(reader)
        self.patch(reader, "dataReceived", self.interrupt)
        self.assertRaises(KeyboardInterrupt, reader.resume)
        peer.lose()

    def interrupt(self, data: bytes) -> None:
        """
        What Ctrl-C does in the middle of something.
        """
        raise KeyboardInterrupt

    def test_paused(self) -> None:
        """
        A reader that pauses gets nothing more until it resumes, although all of the
        body has come; its end comes after the last piece.
        """
        for cut in (0, 1):
            reader = OneByOne()
            peer = self.bomb(reader, cut=cut)
            for count in range(1, 46):
                self.assertEqual(count, len(reader.pieces))
                reader.resume()
            self.assertEqual(46, len(reader.pieces))
            self.assertEqual(0, reader.ends)
            reader.resume()
            if cut:
                self.clock.advance(0)
                self.assertEqual(0, reader.ends)
                peer.send(b"\0")
            self.assertEqual(3_000_000, len(reader.data))
            self.assertEqual(1, reader.ends)
            assert reader.reason is not None
            reader.reason.trap(ResponseDone)

    def test_pausedAtTheEnd(self) -> None:
        """
        A reader that is paused when the connection is lost gets what has come, and
        then the failure.
        """
        reader = OneByOne()
        peer = self.bomb(reader, 100_000, cut=1)
        peer.lose(ConnectionLost())
        self.assertEqual((1, 0), (len(reader.pieces), reader.ends))
        reader.resume()
        reader.resume()
        self.assertEqual((100_000, 1), (len(reader.data), reader.ends))
        assert reader.reason is not None
        reader.reason.trap(ResponseFailed)

    def test_aborted(self) -> None:
        """
        A reader that ends the connection in the middle gets nothing more, and a
        failure, although all of the body has come.
        """
        for method in ("abortConnection", "loseConnection", "stopProducing"):
            reader = Ending(method)
            self.bomb(reader)
            self.assertEqual((1, 1), (len(reader.pieces), reader.ends))
            assert reader.reason is not None
            reader.reason.trap(ResponseFailed)

    def test_raisesLater(self) -> None:
        """
        One that raises when it has been resumed gets nothing more, and the failure.
        """
        reader = OneByOne()
        self.bomb(reader)
        reader.fails = True
        reader.resume()
        self.assertEqual((2, 1), (len(reader.pieces), reader.ends))
        assert reader.reason is not None
        reader.reason.trap(ResponseFailed)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        failed: Any = reader.reason.value
        self.assertIsInstance(failed.reasons[0].value, ZeroDivisionError)

    def test_oneLayer(self) -> None:
        """
        A segment of a single layer, too, is decoded in several turns of the reactor.
        """
        waiting: list[Any] = []
        self.patch(wrappers, "_soon", waiting.append)
        reader = Counting()
        body = gzip.compress(bytes(20_000_000), mtime=0)
        self.assertLess(len(body), 64 * 1024)
        deferred: Deferred[Any] = client.ContentDecoderAgent(
            self.makeAgent(), [(b"gzip", client.GzipDecoder)]
        ).request(b"GET", b"http://a/")
        self.network.peers[-1].send(HEADS["length"] % len(body) + body)
        self.successResultOf(deferred).deliverBody(reader)
        for number in (1, 2):
            self.assertLess(reader.length, number * 9_000_000)
            waiting.pop()()
        self.assertEqual((20_000_000, 1), (reader.length, reader.ends))
        self.assertEqual([], waiting)

    def test_otherAgent(self) -> None:
        """
        With Twisted's agent, too, whose bodies end while their reader is paused, and
        can not be aborted, a reader is told the end, once, however it comes.
        """
        spoilt = gzip.compress(bytes(200_000))[:-8] + b"spoilt  "
        for body in (gzip.compress(bytes(200_000)), spoilt):
            for how in ("read", "raises", "abortConnection", "loseConnection"):
                for left in (b"", b"\0"):
                    reader = OneByOne()
                    self.ofTwisteds(reader, body, left)
                    if how == "raises":
                        reader.fails = True
                    elif how != "read":
                        getattr(reader.transport, how)()
                    for _ in range(9):
                        reader.resume()
                    self.flushLoggedErrors(ZeroDivisionError)
                    if left:
                        self.clock.advance(0)
                        self.network.peers[-1].lose()
                    what = (body is spoilt, how, left)
                    self.assertEqual(1, reader.ends, what)
                    assert reader.reason is not None
                    kinds = (ResponseFailed, ResponseDone)
                    isWhole = how == "read" and body is not spoilt and not left
                    self.assertIs(kinds[isWhole], reader.reason.check(*kinds), what)

    def ofTwisteds(self, reader: Reader, body: bytes, left: bytes) -> None:
        """
        Read C{body}, of which C{left} does not come, from Twisted's agent.
        """
        agent: Any = client.ContentDecoderAgent(
            twisteds.Agent.usingEndpointFactory(self.clock, self.network),
            [(b"gzip", client.GzipDecoder)],
        )
        deferred: Deferred[Any] = agent.request(b"GET", b"http://a/")
        peer = self.network.peers[-1]
        peer.send(HEADS["length"] % len(body + left))
        self.successResultOf(deferred).deliverBody(reader)
        peer.send(body)

    def test_manyMembers(self) -> None:
        """
        Streams without content take time in proportion to their number.
        """
        body = gzip.compress(b"", mtime=0) * 100_000

        def seconds() -> float:
            agent: Any = client.ContentDecoderAgent(
                self.makeAgent(), [(b"gzip", client.GzipDecoder)]
            )
            deferred: Deferred[Any] = agent.request(b"GET", b"http://a/")
            self.network.peers[-1].send(HEADS["length"] % len(body) + body)
            response = self.successResultOf(deferred)
            began = process_time()
            reader = self.read(response)
            assert reader.reason is not None
            reader.reason.trap(ResponseDone)
            return process_time() - began

        limit = 2 * SLOWNESS
        self.assertLess(confirmed(seconds, limit), limit)


class OneByOne(Reader):
    """
    Pauses after each piece.
    """

    fails = False

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.pause()
        if self.fails:
            raise ZeroDivisionError


class Counting(Reader):
    """
    Counts bytes.
    """

    length = 0

    def dataReceived(self, data: bytes) -> None:
        self.length += len(data)


class Ending(Reader):
    """
    Ends the connection at its first piece.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        getattr(self.transport, self.method)()


class TurnTests(TestCase):
    """
    The turn of the reactor.
    """

    timeout = 30

    def test_soon(self) -> Deferred[None]:
        """
        What is to be done soon is done by the reactor.
        """
        done: Deferred[None] = Deferred()
        wrappers._soon(lambda: done.callback(None))
        self.assertFalse(done.called)
        return done
