"""
Every request ends, wherever the server stops: in a result, or in a failure.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.web.iweb import UNKNOWN_LENGTH

from tests.support.client_cases import ClientTestCase, Reader
from tests.support.producers import OK, Producer

UPGRADE = [(b"Upgrade", b"x"), (b"Connection", b"upgrade")]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECT = [(b"Expect", b"100-continue")]

# What is asked, and all that the server would say.
CORPUS: list[tuple[dict[str, Any], bytes]] = [
    ({}, OK),
    ({}, OK + b"extra"),
    ({}, b"HTTP/1.1 204 No Content\r\n\r\n"),
    ({}, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    ({}, b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
    ({}, b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
    (
        {},
        CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    ),
    (
        {},
        CHUNKED + b"3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
    ),
    ({}, b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + OK),
    ({}, b"HTTP/1.1 101 Unasked\r\nUpgrade: x\r\n\r\n"),
    ({}, b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc"),
    ({}, b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 3\r\n\r\nabc"),
    ({}, b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabc"),
    ({}, b"HTTP/1.1 999 Odd\r\nContent-Length: 3\r\n\r\nabc"),
    ({}, b"\r\n\r\n" + OK),
    ({}, b"<html>no HTTP at all</html>\r\n\r\n"),
    ({"method": b"HEAD"}, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"),
    ({"method": b"POST", "body": b"abc"}, OK),
    (
        {"headers": UPGRADE},
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
    ),
    ({"headers": UPGRADE}, OK),
    ({"method": b"POST", "body": Producer}, OK),
    (
        {"method": b"POST", "body": Producer},
        b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
    ),
    (
        {"method": b"POST", "body": Producer, "headers": EXPECT},
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    ),
    (
        {"method": b"POST", "body": Producer, "headers": EXPECT},
        b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n",
    ),
]

# How the body is read: at once, by somebody who pauses, or not at all.
AT_ONCE, PAUSING, NOT = range(3)


class Pausing(Reader):
    """
    Pauses at each piece.
    """

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.pause()


class EndTests(ClientTestCase):
    """
    For every beginning of everything that a server may say.
    """

    def attempt(
        self, fast: bool, asked: dict[str, Any], data: bytes, ends: str, reads: int
    ) -> None:
        """
        The server says C{data}, and nothing more.
        """
        what = (fast, asked, data, ends, reads)
        self.network.peers.clear()
        pool = self.makePool()
        self.pools.clear()
        agent = self.makeAgent(pool, fastPath=fast)
        asked = dict(asked)
        producer = None
        if asked.get("body") is Producer:
            producer = asked["body"] = Producer(UNKNOWN_LENGTH)
        results: list[Any] = []
        readers: list[Reader] = []

        def answered(response: Any) -> None:
            results.append(response)
            if reads != NOT:
                readers.append(Reader() if reads == AT_ONCE else Pausing())
                response.deliverBody(readers[0])

        deferred, peer = self.ask(agent, **asked)
        self.deferreds.clear()
        deferred.addCallback(answered)
        deferred.addErrback(results.append)
        peer.send(data)
        if ends == "FIN" and not peer.gone:
            peer.end()
        elif ends == "reset":
            peer.lose(ConnectionLost())
        self.clock.pump([0, 1, 1, 0])
        if producer is not None and "start" in producer.events:
            # Whoever makes the body may take as long as it wants.
            producer.done.callback(None)
        for _ in range(8):
            self.clock.pump([0, 310, 0])
            for reader in readers:
                # So may the reader.
                reader.resume()
        self.assertEqual(1, len(results), what)
        for reader in readers:
            self.assertEqual(1, reader.ends, what)
        counts = pool.counts()
        self.assertEqual((0, 0, 0), (*counts[:2], counts.queued), what)
        pool.close()
        self.clock.pump([0, 40, 0])
        self.assertEqual((0, 0, 0, 0), tuple(pool.counts()), what)
        self.assertEqual([], self.clock.getDelayedCalls(), what)
        if producer is not None:
            self.assertLessEqual(producer.events.count("stop"), 1, what)

    def test_prefixes(self) -> None:
        """
        After each beginning of each answer the server closes, resets or falls
        silent: the request has one result, the reader is told the end once, and
        no place in the pool is taken for longer than the time-outs say.
        """
        number = 0
        for asked, data in CORPUS:
            for cut in range(len(data) + 1):
                for ends in ("FIN", "reset", "silence"):
                    number += 1
                    # Each combination comes at many cuts.
                    reads, fast = number // 3 % 3, bool(number // 9 & 1)
                    self.attempt(fast, asked, data[:cut], ends, reads)

    def test_trickle(self) -> None:
        """
        A head that never ends, or interim responses for ever, end with the time
        for the head, or with their bounds.
        """
        for fast in (True, False):
            for head, piece in (
                (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
                (b"HTTP/1.1 200 OK\r\nA: ", b"b"),
                (b"", b"HTTP/1.1 103 Early\r\n\r\n"),
                (b"", b"\r\n"),
            ):
                deferred, peer = self.ask(self.makeAgent(fastPath=fast, headTimeout=50))
                peer.send(head)
                for _ in range(60):
                    if not peer.gone:
                        peer.send(piece)
                    self.clock.advance(1)
                self.failing(deferred, Exception)
                self.assertTrue(peer.gone)
