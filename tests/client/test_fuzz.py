"""
Whatever a server sends, the client ends: no exception, no hang, no leak.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss

from tests.fuzz.client_streams import cut, parts_of_request
from tests.support.client_cases import ClientTestCase, Reader
from tests.support.producers import Producer

PARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n",
        b"HTTP/1.1 204 No\r\n",
        b"HTTP/1.1 304 No\r\n",
        b"HTTP/1.1 417 No\r\n",
        b"HTTP/1.1 999 What\r\n",
        b"HTTP/1.1",
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"content-length: 6\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"Connection: Keep-Alive, x\r\n",
        b"X: y\r\n z\r\n",
        b" fold\r\n",
        b"\r\n",
        b"\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nT: u\r\n\r\n",
        b"1;x=y\r\na\r\n",
        b"\x00",
        b"\xff",
        b":",
    ]
)
STREAM = st.lists(st.one_of(PARTS, PARTS, PARTS, st.binary(max_size=5)), max_size=10)


class FuzzTests(ClientTestCase):
    """
    Servers out of their minds.
    """

    @settings(max_examples=600, deadline=None)
    @given(
        STREAM,
        st.lists(st.integers(0, 120), max_size=6),
        st.sampled_from(["nothing", "bytes", "chunked", "expect", "up"]),
        st.sampled_from(["read", "pause", "drop", "cancel", "abort"]),
        st.sampled_from(["end", "lose", "nothing"]),
        st.sampled_from([b"GET", b"HEAD", b"POST"]),
    )
    def test_anything(
        self,
        parts: list[bytes],
        cuts: list[int],
        sending: str,
        reading: str,
        ending: str,
        method: bytes,
    ) -> None:
        """
        Each request ends in a response or a failure, each body ends once, and
        the pool is empty afterwards.
        """
        headers, body = parts_of_request(sending)
        agent = self.makeAgent(maxHeadLength=200, maxBodyLength=20, readAhead=8)
        deferred = agent.request(method, b"http://a/", headers, body)
        results: list[Any] = []
        deferred.addBoth(results.append)
        if reading == "cancel":
            cuts = sorted(cuts)[:1]
        data = b"".join(parts)
        (peer,) = self.network.peers[-1:]
        reader: Reader | None = None
        for piece in cut(data, cuts) or [b""]:
            if piece and not peer.gone:
                peer.send(piece)
            if results and reader is None and hasattr(results[0], "deliverBody"):
                if reading == "drop":
                    results[0] = None
                elif reading == "abort":
                    results[0].abort()
                    results[0] = None
                else:
                    reader = Reader()
                    results[0].deliverBody(reader)
                    if reading == "pause" and reader.reason is None:
                        reader.pause()
            if reading == "cancel":
                deferred.cancel()
        if reader is not None and reading == "pause":
            reader.resume()
        if ending == "end" and not peer.gone and not peer.closed:
            peer.end()
        elif ending == "lose":
            peer.lose()
        for _ in range(4):
            if isinstance(body, Producer) and body.events == ["start"]:
                if not body.done.called:
                    body.done.callback(None)
            self.clock.advance(301)
        self.assertEqual(1, len(results))
        if reader is not None:
            self.assertEqual(1, reader.ends)
            assert reader.reason is not None
            reader.reason.trap(ResponseDone, PotentialDataLoss, ResponseFailed)
        elif results[0] is not None and not hasattr(results[0], "code"):
            self.assertTrue(str(results[0].value))
        agent.pool.close()
        self.clock.advance(301)
        self.assertEqual((0, 0, 0, 0), tuple(agent.pool.counts()))
        self.assertEqual([], self.flushLoggedErrors())
        self.assertEqual([], self.clock.getDelayedCalls())
        self.network.peers.clear()
        self.pools.clear()
