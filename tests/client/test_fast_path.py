"""
The fast path of the client can be switched off, and nothing changes but the time.
"""

from __future__ import annotations

from typing import Any

import h11
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH
from twisted.web.resource import Resource

from tests.client.test_fuzz import STREAM
from tests.fuzz.client_streams import (
    ENDING,
    METHODS,
    READING,
    SENDING,
    Exchange,
    check_client_stream,
    cut,
    rest_of,
)
from tests.support.client_cases import ClientTestCase
from tests.support.producers import OK, Producer
from twisted_h11._client import endpoints as endpoints_module
from twisted_h11._client import proxy as proxy_module
from twisted_h11._client import request as request_module
from twisted_h11._client import response_reader
from twisted_h11._http import fastpath
from twisted_h11._http.chunks import ChunkDecoder, TolerantRules
from twisted_h11.client import Agent, Proxies, Proxy, ProxyAgent, TunnelEndpoint
from twisted_h11.testing import MemoryAgent

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\n\r\nhello"

# Method, what the server sends, and the body in it.
ANSWERS = [
    (b"GET", OK, b"hello"),
    (b"GET", CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    (b"GET", CHUNKED + b"5;x=y\r\nhello\r\n0\r\nDigest: x\r\n\r\n", b"hello"),
    (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b""),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
    (b"POST", b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + OK, b"hello"),
    (b"GET", CLOSING, b"hello"),
]


def forbidden(*_: object) -> Any:
    """
    Stands for what must not be called.
    """
    raise AssertionError("the fast path was taken")


def unframed(stream: bytes) -> list[Any]:
    """
    Responses, their chunked bodies without their framing.
    """
    first, *others = stream.split(CHUNKED)
    found: list[Any] = [first]
    for other in others:
        reader = ChunkDecoder(TolerantRules(1000))
        found += [reader.feed(other), reader.trailers, reader.rest]
    return found


class OffTests(ClientTestCase):
    """
    Where it is off, h11 reads and writes everything.
    """

    def forbid(self) -> None:
        """
        From here on the fast functions must not be called.
        """
        self.patch(response_reader, "read_response", forbidden)
        self.patch(request_module, "request_head", forbidden)
        self.patch(response_reader.ResponseReader, "_readLast", forbidden)

    def converse(self, fast: bool, size: int) -> list[Any]:
        """
        All the answers on one connection, in segments of C{size} bytes.
        """
        self.network.peers.clear()
        agent = self.makeAgent(fastPath=fast)
        seen: list[Any] = []
        for method, answer, body in ANSWERS:
            data = b"data" if method == b"POST" else None
            deferred, peer = self.ask(agent, method, body=data)
            pieces = [answer[i : i + size] for i in range(0, len(answer), size)]
            peer.send(*pieces)
            response = self.successResultOf(deferred)
            reader = self.read(response)
            if answer is CLOSING:
                peer.end()
            self.assertEqual(body, reader.data)
            seen.append((peer.take(), peer.writes, rest_of(response, reader)))
        self.assertEqual(1, len(self.network.peers))
        self.assertEqual(len(ANSWERS), peer.protocol.served)
        return seen

    def test_functions(self) -> None:
        """
        Head, body by length, chunked body, body until the close, HEAD and no
        body: the fast functions are not called, and all is as it is with them.
        """
        expected = {size: self.converse(True, size) for size in (1, 7, 1000)}
        self.forbid()
        for size, seen in expected.items():
            self.assertEqual(seen, self.converse(False, size))

    def test_allThroughH11(self) -> None:
        """
        h11 is given every byte that the server sends, once and in order (the data
        of chunks in a framing of its own), and gives every byte that the client
        sends.
        """
        received: list[bytes] = []
        sent: list[bytes] = []
        receive = h11.Connection.receive_data
        passthrough = h11.Connection.send_with_data_passthrough

        def receive_data(conn: h11.Connection, data: bytes) -> None:
            received.append(data)
            receive(conn, data)

        def send_with_data_passthrough(conn: h11.Connection, event: Any) -> Any:
            parts = passthrough(conn, event)
            sent.extend(parts or ())
            return parts

        self.patch(h11.Connection, "receive_data", receive_data)
        self.patch(
            h11.Connection, "send_with_data_passthrough", send_with_data_passthrough
        )
        for size in (1, 7, 1000):
            received.clear()
            sent.clear()
            written = [each[0] for each in self.converse(False, size)]
            self.assertEqual(
                unframed(b"".join(answer for _, answer, _ in ANSWERS)),
                unframed(b"".join(received)),
            )
            # Once for the request, and once for the exchange that h11 is shown.
            for each in written:
                self.assertIn(each, b"".join(sent))
        for body in (b"x" * 200_000, Producer(3), Producer()):
            sent.clear()
            _, peer = self.ask(
                self.makeAgent(fastPath=False), b"POST", uri=b"http://b/", body=body
            )
            if isinstance(body, Producer):
                body.consumer.write(b"abc")
                body.done.callback(None)
            self.assertIn(peer.received, b"".join(sent))

    def test_requests(self) -> None:
        """
        What h11 writes is what the fast path writes: without a body, with one
        of known length, and chunked; in as many writes.
        """
        for method, headers, body in [
            (b"GET", None, None),
            (b"GET", [(b"x-CASE", b" 1 "), (b"Host", b"b")], None),
            (b"POST", None, None),
            (b"POST", [(b"Transfer-Encoding", b"chunked")], None),
            (b"POST", [(b"Transfer-Encoding", b"chunked")], b"data"),
            (b"POST", [(b"Expect", b"100-continue")], b"data"),
            (b"PUT", None, b"data"),
            (b"PUT", None, b"x" * 200_000),
            (b"PUT", None, 6),
            (b"PUT", None, UNKNOWN_LENGTH),
        ]:
            seen = []
            for fast in (True, False):
                producer: Any = None
                if not isinstance(body, (bytes, type(None))):
                    producer = Producer(body)
                _, peer = self.ask(
                    self.makeAgent(fastPath=fast),
                    method,
                    headers=headers,
                    body=producer or body,
                )
                self.clock.advance(1)
                if producer is not None:
                    for piece in (b"abc", b"", b"def"):
                        producer.consumer.write(piece)
                    producer.done.callback(None)
                seen.append((peer.received, peer.writes))
            self.assertEqual(*seen)


# The usual is common: only there has the fast path something to say.
HEADS = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n"] * 20
    + [
        b"HTTP/1.1 404 \r\n",
        b"HTTP/1.1 500\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 304 Not Modified\r\n",
        b"HTTP/1.1 417 Expectation Failed\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 2xx OK\r\n",
    ]
)
FIELDS = st.sampled_from(
    [
        b"Server: x\r\n",
        b"connection: close\r\n",
        b"Connection: Keep-Alive, x\r\n",
        b"A: b\r\n  folded\r\n",
        b"Latin: \xe4\r\n",
        b"bare: lf\n",
        b"Long: " + b"x" * 200 + b"\r\n",
        b"A b: c\r\n",
    ]
)
CHUNKS = st.lists(
    st.sampled_from(
        [b"2\r\nhe\r\n", b"3\r\nllo\r\n"] * 5
        + [
            b"0a\r\n0123456789\r\n",
            b"3;x=y\r\nllo\r\n",
            b"1 \r\na\r\n",
            b"3\r\nlloX\r\n",
            b"x\r\n",
        ]
    ),
    max_size=4,
).map(b"".join)
LAST = st.sampled_from(
    [b"0\r\n\r\n"] * 6
    + [
        b"0\r\nDigest: x\r\n\r\n",
        b"0;x\r\n\r\n",
        b"0\r\nbad\r\n\r\n",
        b"0\r\nLong: " + b"x" * 300 + b"\r\n\r\n",
        b"0\r\n",
        b"",
    ]
)
BODY = st.one_of(
    st.sampled_from(
        [
            (b"Content-Length: 5\r\n", b"hello"),
            (b"Content-Length: 5\r\n", b"hell"),
            (b"content-length: 0\r\n", b""),
            (b"Content-Length: 40\r\n", b"x" * 40),
            (b"Content-Length: 5, 5\r\n", b"hello"),
            (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
            (b"Transfer-Encoding: gzip\r\n", b"hello"),
            (b"", b"hello"),
            (b"", b""),
        ]
    ),
    st.tuples(
        st.sampled_from(
            [
                b"Transfer-Encoding: chunked\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Transfer-Encoding: Chunked\r\nContent-Length: 5\r\n",
            ]
        ),
        st.tuples(CHUNKS, LAST).map(b"".join),
    ),
)
ANSWER = st.builds(
    lambda interim, head, fields, body, extra: b"".join(
        [*interim, head, *fields, body[0], b"\r\n", body[1], extra]
    ),
    st.lists(
        st.sampled_from(
            [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nA: b\r\n\r\n"]
        ),
        max_size=3,
    )
    | st.just([]),
    HEADS,
    st.just([]) | st.lists(FIELDS, max_size=2),
    BODY,
    st.sampled_from([b"", b"", b"", b"", b"H", OK]),
)
EXCHANGE = st.builds(
    Exchange,
    st.sampled_from(METHODS),
    st.sampled_from(SENDING),
    st.builds(
        cut,
        st.one_of(ANSWER, ANSWER, STREAM.map(b"".join)),
        st.lists(st.integers(1, 300), max_size=6),
    ),
    st.sampled_from(READING),
    st.sampled_from(ENDING),
)


class AgreementTests(SynchronousTestCase):
    """
    Whatever happens on a connection, the switch makes no difference.
    """

    @settings(max_examples=400, deadline=None)
    @given(st.lists(EXCHANGE, min_size=1, max_size=3))
    def test_agree(self, plan: list[Exchange]) -> None:
        """
        The same results, failures, connections and bytes, with it and without.
        """
        check_client_stream(plan)


class CarriedTests(ClientTestCase):
    """
    Whatever makes requests passes the choice on.
    """

    def test_again(self) -> None:
        """
        The request without C{Expect} after a 417 is read by h11, too.
        """
        agent = self.makeAgent(fastPath=False)
        deferred, peer = self.ask(
            agent, b"POST", headers=[(b"Expect", b"100-continue")], body=b"data"
        )
        self.patch(response_reader, "read_response", forbidden)
        self.patch(request_module, "request_head", forbidden)
        peer.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        peer = self.network.peers[-1]
        self.assertTrue(peer.received.endswith(b"\r\n\r\ndata"))
        peer.send(OK)
        self.assertEqual(200, self.successResultOf(deferred).code)

    def test_proxyAgent(self) -> None:
        """
        C{ProxyAgent} has the switch.
        """
        self.patch(response_reader, "read_response", forbidden)
        self.patch(request_module, "request_head", forbidden)
        pool = self.makePool()
        agent = ProxyAgent(self.network, self.clock, pool, fastPath=False)
        deferred = agent.request(b"GET", b"http://a/")
        self.network.peers[-1].send(OK)
        self.assertEqual(200, self.successResultOf(deferred).code)

    def test_tunnel(self) -> None:
        """
        So has C{TunnelEndpoint}, and an agent sets it.
        """
        made: list[Any] = []

        def tunnel(*args: Any, **options: Any) -> Any:
            made.append(options["fastPath"])
            return TunnelEndpoint(*args, **options)

        self.patch(proxy_module, "TunnelEndpoint", tunnel)
        self.patch(endpoints_module, "proxy_endpoint", lambda *_: self.network)
        proxy = Proxy.fromURL("http://proxy:3128")
        for fast in (True, False):
            agent = Agent(
                self.clock,
                pool=self.makePool(),
                proxies=Proxies(proxy, proxy),
                fastPath=fast,
            )
            if not fast:
                self.patch(request_module, "request_head", forbidden)
            deferred = agent.request(b"GET", b"https://a/")
            self.deferreds.append(deferred)
            self.assertEqual(
                b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
                self.network.peers[-1].take(),
            )
            deferred.cancel()
        self.assertEqual([True, False], made)

    def test_memory(self) -> None:
        """
        C{MemoryAgent} switches both ends.
        """
        self.patch(response_reader, "read_response", forbidden)
        self.patch(fastpath, "read_request", forbidden)
        agent = MemoryAgent(Resource(), fastPath=False)
        response = self.successResultOf(agent.request(b"GET", b"http://x/"))
        self.assertEqual(404, response.code)
        agent.close()
