"""
Bytes that would keep h11 busy are refused before it sees them.
"""

from __future__ import annotations

import time
from typing import Any

import h11
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.client_streams import cut
from tests.support.times import confirmed
from twisted_h11.protocol import H11Factory, H11Protocol

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\n"

# The beginning, what is repeated, the end.
HOSTILE = [
    (HEAD + b"a:", b" ", b"\0\r\n\r\n"),
    (HEAD + b"a:b", b"\t", b"\0\r\n\r\n"),
    (HEAD + b"a:", b" ", b"\x0b\r\n\r\n"),
    (HEAD + b"a:", b" ", b"\rb\r\n\r\n"),
    (HEAD + CHUNKED + b"5;", b" ", b"\n\r\nhello\r\n"),
    (HEAD + CHUNKED + b"5;", b" ", b"\0\r\nhello\r\n"),
    (HEAD + CHUNKED + b"0\r\na:", b" ", b"\0\r\n\r\n"),
    (HEAD + CHUNKED + b"1\r\na\r\n0\r\na:b", b" ", b"\x0c\r\n\r\n"),
]


class Recorder(H11Protocol):
    """
    Keeps the events, and answers nothing.
    """

    maxIncompleteEventSize = 1024 * 1024

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []
        self.errors: list[h11.RemoteProtocolError] = []

    def eventReceived(self, event: h11.Event) -> None:
        """
        Keep it.
        """
        self.events.append(event)

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        """
        Keep it.
        """
        self.errors.append(error)


class Client(Recorder):
    """
    The same as a client.
    """

    role = h11.CLIENT


def connected(kind: type[Recorder]) -> Any:
    """
    A protocol with a transport.
    """
    protocol: Any = H11Factory(kind, reactor=Clock()).buildProtocol(None)
    protocol.makeConnection(StringTransport())
    return protocol


class HostileTests(SynchronousTestCase):
    """
    What a peer may send to an L{H11Protocol}.
    """

    def feed(self, data: bytes, size: int, kind: type[Recorder] = Recorder) -> Any:
        """
        The protocol after it was given C{data} in pieces.
        """
        protocol = connected(kind)
        if kind is Client:
            protocol.sendEvent(
                h11.Request(method="GET", target="/", headers=[("Host", "a")])
            )
            protocol.sendEvent(h11.EndOfMessage())
        for start in range(0, len(data), size):
            protocol.dataReceived(data[start : start + size])
        return protocol

    def test_quick(self) -> None:
        """
        Hostile white space costs no more than its length, and is an error.
        """
        for kind in (Recorder, Client):
            for begin, repeated, end in HOSTILE:
                if kind is Client:
                    begin = begin.replace(HEAD, RESPONSE)
                for size, count in ((10**6, 60_000), (1, 3_000)):
                    data = begin + repeated * count + end

                    def seconds(
                        data: bytes = data, size: int = size, kind: Any = kind
                    ) -> float:
                        begun = time.process_time()
                        protocol = self.feed(data, size, kind)
                        taken = time.process_time() - begun
                        self.assertEqual(1, len(protocol.errors), data[:100])
                        return taken

                    self.assertLess(confirmed(seconds, 1), 1, begin)

    def test_pipelined(self) -> None:
        """
        Nor does it behind the message that is being answered.
        """
        hostile = HEAD + b"a:" + b" " * 60_000 + b"\0\r\n\r\n"

        def seconds() -> float:
            protocol = connected(Recorder)
            protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + hostile)
            protocol.sendEvent(
                h11.Response(status_code=200, headers=[("Content-Length", "0")])
            )
            protocol.sendEvent(h11.EndOfMessage())
            begun = time.process_time()
            protocol.startNextCycle()
            taken = time.process_time() - begun
            self.assertEqual(1, len(protocol.errors))
            return taken

        self.assertLess(confirmed(seconds, 1), 1)

    def test_default(self) -> None:
        """
        A server answers it with 400.
        """
        protocol: Any = H11Factory(H11Protocol, reactor=Clock()).buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(HEAD + b"a:" + b" " * 9_000 + b"\0\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 400 "))

    def test_bodiless(self) -> None:
        """
        What follows a response without a body is not taken for its chunks.
        """
        for method, status in ((b"HEAD", 200), (b"GET", 204), (b"GET", 304)):
            protocol = connected(Client)
            protocol.sendEvent(
                h11.Request(method=method, target="/", headers=[("Host", "a")])
            )
            protocol.sendEvent(h11.EndOfMessage())
            protocol.dataReceived(b"HTTP/1.1 %d X\r\n" % status + CHUNKED + b"zz\n")
            self.assertEqual([], protocol.errors)
            self.assertIs(h11.EndOfMessage, type(protocol.events[-1]))

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                [
                    HEAD,
                    CHUNKED,
                    b"Content-Length: 3\r\n\r\n",
                    b"\r\n",
                    b"\n",
                    b"\r",
                    b"\0",
                    b"a: b\x0bc\r\n",
                    b"a: b \tc \r\n",
                    b"3\r\nabc\r\n",
                    b"3;x=\x01\r\nabc\r\n",
                    b"3\nabc\r\n",
                    b"0\r\n",
                    b"abc",
                    b"A: b\n c\r\n",
                ]
            ),
            max_size=8,
        ),
        st.lists(st.integers(1, 30), max_size=8),
    )
    def test_agreesWithH11(self, parts: list[bytes], cuts: list[int]) -> None:
        """
        Nothing is refused that h11 accepts, and the events are h11's.
        """
        data = HEAD + b"".join(parts)
        protocol = connected(Recorder)
        conn = h11.Connection(h11.SERVER, max_incomplete_event_size=1024 * 1024)
        expected: list[Any] = []
        refused = False
        for piece in cut(data, cuts):
            protocol.dataReceived(piece)
            if refused:
                continue
            conn.receive_data(piece)
            try:
                while isinstance(event := conn.next_event(), h11.Event):
                    expected.append(event)
            except h11.RemoteProtocolError:
                refused = True
        ours, theirs = kinds(protocol.events), kinds(expected)
        if protocol.errors:
            # What stands before it in the same segment may be lost.
            theirs = theirs[: len(ours)]
            if ours and isinstance(ours[-1], bytes):
                theirs[-1] = theirs[-1][: len(ours[-1])]
        self.assertEqual(theirs, ours)
        if protocol.errors and not refused:
            # Said as soon as the byte is here, not when its line ends.
            for _ in range(3):
                conn.receive_data(b"\r\nx\r\n\r\n")
                try:
                    while isinstance(conn.next_event(), h11.Event):
                        pass
                except h11.RemoteProtocolError:
                    refused = True
                    break
        self.assertEqual(refused, bool(protocol.errors), (data, protocol.errors))


def kinds(events: list[Any]) -> list[Any]:
    """
    The events, adjacent data joined.
    """
    found: list[Any] = []
    for event in events:
        if isinstance(event, h11.Data):
            if found and isinstance(found[-1], bytes):
                found[-1] += bytes(event.data)
            else:
                found.append(bytes(event.data))
        else:
            found.append(event)
    return found
