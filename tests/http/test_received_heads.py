"""
Response heads as the client reads them, by the fast path and from h11's events.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._http.response_received import (
    CHUNKED,
    UNTIL_CLOSE,
    read_event,
    read_response,
    says_close,
)

# The status line and the fields; the length of the body, and whether the connection
# may be used again.
USUAL: list[tuple[bytes, bytes, int, bool]] = [
    (b"200 OK", b"Content-Length: 5\r\n", 5, True),
    (b"404 Not Found", b"content-length:\t5 \r\n", 5, True),
    (b"200", b"Content-Length: 0\r\n", 0, True),
    (b"200 ", b"Content-Length: 123456789012345678\r\n", 123456789012345678, True),
    (b"500 Oh no!", b"Connection: Close\r\nContent-Length: 5\r\n", 5, False),
    (b"200 OK", b"CONNECTION: Keep-Alive\r\nContent-Length: 5\r\n", 5, True),
    (b"200 OK", b"Transfer-Encoding: chunked\r\n", CHUNKED, True),
    (b"200 OK", b"transfer-encoding: chunked\r\nX: y\r\n", CHUNKED, True),
    (b"200 OK", b"", UNTIL_CLOSE, False),
    (b"200 OK", b"X-Cache-Status: a\r\nX-ForTen10: b\r\n", UNTIL_CLOSE, False),
    (b"200 OK", b"X-Served-By-Proxy: a\r\n", UNTIL_CLOSE, False),
    (b"200 OK", b"X: ! !\r\nY:\t! \r\n", UNTIL_CLOSE, False),
    (b"204 No Content", b"X: y\r\n", 0, True),
    (b"204 No Content", b"Content-Length: 5\r\n", 0, True),
    (b"205 Reset", b"Content-Length: 5\r\n", 5, True),
    (b"304 Not Modified", b"Content-Length: 5\r\n", 0, True),
    (b"305 Use Proxy", b"Content-Length: 5\r\n", 5, True),
]

UNUSUAL: list[tuple[bytes, bytes]] = [
    (b"100 Continue", b""),
    (b"200 OK", b"Content-Length: 5\r\nContent-Length: 5\r\n"),
    (b"200 OK", b"Content-Length: 5x\r\n"),
    (b"200 OK", b"Content-Length: 1234567890123456789\r\n"),
    (b"200 OK", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    (b"200 OK", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    (b"200 OK", b"Transfer-Encoding: gzip\r\n"),
    (b"200 OK", b"Connection: keep-alive, x\r\n"),
    (b"200 OK", b"A B: c\r\n"),
    (b"200 \x01", b""),
]


def event_of(raw: bytes, method: bytes) -> h11.Response:
    """
    What h11 reads.
    """
    conn = h11.Connection(h11.CLIENT)
    conn.send(h11.Request(method=method, target=b"a:1", headers=[(b"Host", b"a")]))
    conn.send(h11.EndOfMessage())
    conn.receive_data(raw)
    event = conn.next_event()
    assert isinstance(event, h11.Response)
    return event


class HeadTests(SynchronousTestCase):
    """
    L{read_response} and L{read_event}.
    """

    def test_usual(self) -> None:
        """
        What is usual is read without h11, to the same head.
        """
        for status, lines, length, persistent in USUAL:
            raw = b"HTTP/1.1 " + status + b"\r\n" + lines + b"\r\n"
            for method in (b"GET", b"HEAD"):
                head = read_response(raw + b"hello", method == b"HEAD")
                assert head is not None, raw
                self.assertEqual(int(status[:3]), head.code)
                self.assertEqual(status[4:], head.reason)
                self.assertEqual((1, len(raw)), (head.minor, head.size))
                bodiless = method == b"HEAD"
                self.assertEqual(0 if bodiless else length, head.length, raw)
                if not bodiless:
                    self.assertEqual(persistent, head.persistent, raw)
                self.assertEqual(head, read_event(event_of(raw, method), raw, method))

    def test_unusual(self) -> None:
        """
        What is not is left to h11.
        """
        for status, lines in UNUSUAL:
            raw = b"HTTP/1.1 " + status + b"\r\n" + lines + b"\r\n"
            self.assertIs(None, read_response(raw, False), raw)
        usual = b"HTTP/1.1 200 OK\r\n\r\n"
        self.assertIs(None, read_response(usual[:-1], False))
        self.assertIs(None, read_response(usual.replace(b"1.1", b"1.0"), False))

    def test_events(self) -> None:
        """
        Of what only h11 reads, the length and whether the connection may be used
        again follow from the version, the method and the fields.
        """
        both = b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"
        five = b"Content-Length: 5\r\n"
        rows: list[tuple[bytes, bytes, bytes, int, bool]] = [
            (b"1.0 200 OK", b"GET", five, 5, False),
            (b"1.1 200 OK", b"GET", both, CHUNKED, True),
            (b"1.1 200 OK", b"CONNECT", b"", 0, False),
            (b"1.1 299 OK", b"CONNECT", b"", 0, False),
            (b"1.1 300 No", b"CONNECT", five, 5, True),
            (b"1.1 407 No", b"CONNECT", five, 5, True),
            (b"1.1 200 OK", b"GET", five + b"Connection: closed\r\n", 5, False),
            (b"1.1 200 OK", b"GET", five + b"Connection: keep\r\n", 5, True),
            (b"2.1 200 OK", b"GET", five, 5, False),
            (b"1.2 200 OK", b"GET", five, 5, True),
        ]
        for line, method, lines, length, persistent in rows:
            raw = b"HTTP/" + line + b"\r\n" + lines + b"\r\n"
            head: Any = read_event(event_of(raw, method), raw, method)
            self.assertEqual((length, persistent), (head.length, head.persistent), raw)
            self.assertEqual((len(raw), int(line[2:3])), (head.size, head.minor))
            self.assertEqual(int(line[:1]), head.major)

    def test_close(self) -> None:
        """
        Close is said in any spelling, in any line, and by a word that contains it.
        """
        for values, says in (
            ([], False),
            ([b"keep-alive"], False),
            ([b"keep-alive", b"Close"], True),
            ([b"x, CLOSED"], True),
        ):
            fields = [(b"cOnnection", value) for value in values]
            self.assertEqual(says, says_close([*fields, (b"Other", b"close")]))
