"""
Whatever bytes come: nothing is raised into the log, nothing hangs beyond its
time-outs, and nothing that must be refused reaches the application.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.corpus import load_cases
from tests.support.server_cases import Echo, Seen, ServerTestCase
from tests.support.wire import Wire

CASES = [case.data for case in load_cases() if len(case.data) < 2000]

# All the time that a connection may wait for its client, and then some.
LONG = 600.0

# Pieces that parsers have stumbled over.
PIECES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /x HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"HEAD http://b/ HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Host: b:80\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b" folded\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"abc",
    b"3\r\nabc\r\n",
    b"3;x=y\r\nabc\r\n",
    b"0\r\n\r\n",
    b"0\r\nT: x\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\n",
    b"\x00",
    b"\xff",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


def examples(count: int) -> settings:
    """
    Settings of a property; C{TEST_FUZZ} multiplies the number of examples.
    """
    return settings(
        max_examples=count * int(os.environ.get("TEST_FUZZ", 1)),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def mutated() -> st.SearchStrategy[bytes]:
    """
    Cases of the corpus with a few bytes changed, lost or doubled.
    """

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(CASES)))
        if draw(st.booleans()):
            data += draw(st.sampled_from(CASES))
        for _ in range(draw(st.integers(0, 4))):
            at = draw(st.integers(0, max(0, len(data) - 1)))
            kind = draw(st.sampled_from(["set", "cut", "double", "insert"]))
            if kind == "set" and data:
                data[at] = draw(
                    st.sampled_from(list(b"\r\n\t :;,=0aA\x00\x7f\x80"))
                    | st.integers(0, 255)
                )
            elif kind == "cut":
                del data[at : at + draw(st.integers(1, 5))]
            elif kind == "double":
                size = draw(st.integers(1, 30))
                data[at:at] = data[at : at + size]
            else:
                data[at:at] = draw(st.sampled_from(PIECES))
        return bytes(data)

    return build()


def streams() -> st.SearchStrategy[bytes]:
    """
    Anything a client may send.
    """
    return (
        mutated()
        | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
        | st.binary(max_size=200)
    )


def cuts() -> st.SearchStrategy[list[int]]:
    """
    Where a stream is cut into segments.
    """
    return st.lists(st.integers(0, 400), max_size=6)


_token = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_target = re.compile(rb"[\x21-\x7e]+")


class FuzzTests(ServerTestCase):
    """
    Properties of the whole server.
    """

    def acceptable(self, one: Seen) -> None:
        """
        What the application saw is a request that RFC 9112 lets through.
        """
        self.assertRegex(one.method, _token)
        self.assertIsNotNone(_token.fullmatch(one.method), repr(one))
        self.assertIsNotNone(_target.fullmatch(one.uri), repr(one))
        self.assertNotIn(b"#", one.uri)
        self.assertIn(one.version, (b"HTTP/1.0", b"HTTP/1.1"))
        for name, value in one.fields:
            self.assertIsNotNone(_token.fullmatch(name), repr(one))
            self.assertIsNone(_control.search(value), repr(one))
            self.assertEqual(value.strip(b" \t"), value, repr(one))
        hosts = one.all(b"host")
        self.assertLessEqual(len(hosts), 1, repr(one))
        if one.version == b"HTTP/1.1":
            self.assertEqual(1, len(hosts), repr(one))
        lengths, codings = one.all(b"content-length"), one.all(b"transfer-encoding")
        self.assertLessEqual(len(lengths) + len(codings), 1, repr(one))
        if lengths:
            self.assertIsNotNone(re.fullmatch(rb"[0-9]+", lengths[0]), repr(one))
            self.assertEqual(int(lengths[0]), len(one.body), repr(one))
        elif codings:
            self.assertEqual(b"chunked", codings[0].lower(), repr(one))
            self.assertEqual(b"HTTP/1.1", one.version, repr(one))
        else:
            self.assertEqual(b"", one.body, repr(one))

    def run_(
        self, data: bytes, places: list[int], ends: bool, **options: Any
    ) -> tuple[Wire, Echo]:
        """
        Send C{data}, cut at C{places}, and let all time pass.
        """
        self.wires.clear()
        self.sites.clear()
        echo = Echo()
        edges = sorted({min(place, len(data)) for place in places} | {0, len(data)})
        pieces = [data[a:b] for a, b in pairwise(edges)]
        before = len(self.events)
        wire = self.connect(self.site(echo, **options)).send(*pieces)
        if ends:
            wire.halfClose()
        wire.methods = [one.method for one in echo.seen]
        if data.count(b"OPTIONS") or data.count(b"HEAD") or data.count(b"CONNECT"):
            # Which response belongs to which method is not known from outside.
            wire.methods = []
        else:
            self.assertGreaterEqual(len(wire.responses), len(echo.seen))
        for one in echo.seen:
            self.acceptable(one)
        wire.advance(LONG, step=5)
        self.assertTrue(wire.closed, "it hangs")
        self.assertEqual([], self.clock.getDelayedCalls())
        for event in self.events[before:]:
            self.assertNotIn("log_failure", event, repr(event))
        self.events.clear()
        return wire, echo

    @examples(400)
    @given(streams(), cuts(), st.booleans())
    @example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2, [], True)
    def test_anything(self, data: bytes, places: list[int], ends: bool) -> None:
        """
        No exception, no hang, nothing unacceptable delivered.
        """
        self.run_(data, places, ends)

    @examples(250)
    @given(streams(), cuts())
    def test_splittingMakesNoDifference(self, data: bytes, places: list[int]) -> None:
        """
        However a stream is cut, the application sees the same, and the same
        is refused.  (Which of several faults is named first may differ.)
        """
        results = []
        for cut in ([], places, list(range(len(data)))):
            wire, echo = self.run_(data, cut, False)
            statuses = [
                "refused" if status[0] in b"45" else status
                for status in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", wire.output)
            ]
            results.append(
                (
                    [(o.method, o.uri, o.fields, o.body) for o in echo.seen],
                    statuses,
                )
            )
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])

    @examples(300)
    @given(streams(), cuts(), st.booleans())
    def test_fastPathMakesNoDifference(
        self, data: bytes, places: list[int], ends: bool
    ) -> None:
        """
        With and without the fast path, the same bytes come back, and the
        application sees the same.
        """
        results = []
        for fast in (True, False):
            wire, echo = self.run_(data, places, ends, fastPath=fast)
            output = re.sub(rb"Date: [^\r]*\r\n", b"", wire.output)
            results.append(
                (output, [(o.method, o.uri, o.fields, o.body) for o in echo.seen])
            )
        self.assertEqual(results[0], results[1])

    @examples(150)
    @given(
        st.lists(st.binary(max_size=300), max_size=6),
        st.booleans(),
        st.data(),
    )
    def test_validIsDelivered(
        self, bodies: list[bytes], chunked: bool, data: st.DataObject
    ) -> None:
        """
        Whatever bodies a client sends well formed, arrive as they are.
        """
        stream = []
        for body in bodies:
            if chunked:
                stream.append(
                    b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                at = 0
                while at < len(body):
                    size = data.draw(st.integers(1, len(body) - at))
                    stream.append(b"%x\r\n%s\r\n" % (size, body[at : at + size]))
                    at += size
                stream.append(b"0\r\n\r\n")
            else:
                stream.append(
                    b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body)
                )
        wire, echo = self.run_(b"".join(stream), data.draw(cuts()), False)
        self.assertEqual(bodies, [one.body for one in echo.seen])
        self.assertEqual([200] * len(bodies), wire.statuses)

    @examples(150)
    @given(st.lists(streams(), max_size=3), st.lists(st.integers(0, 90), max_size=6))
    def test_anyOrderOfEvents(self, pieces: list[bytes], waits: list[int]) -> None:
        """
        Bytes, waiting, a client that stops reading, and the end of input, in
        any order, leave nothing behind.
        """
        self.wires.clear()
        self.sites.clear()
        wire = self.connect(self.site(Echo()))
        queue = list(pieces)
        for number, wait in enumerate(waits):
            if wait % 7 == 0:
                wire.stall()
            elif wait % 7 == 1:
                wire.drain()
            elif queue:
                wire.send(queue.pop())
            wire.advance(wait, step=5)
            if number == 4:
                wire.halfClose()
        # Whether it reads or not: a client that does nothing more is dropped.
        wire.advance(LONG, step=5)
        self.assertTrue(wire.closed, "it hangs")
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual([], self.flushLoggedErrors())
        self.events.clear()
