"""
Reading the header of the PROXY protocol, in both versions.
"""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._wire.proxy_header import BadHeader, read_header

MOST = 4096
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, content: bytes) -> bytes:
    """
    A header of version 2.
    """
    length = len(content).to_bytes(2, "big")
    return SIGNATURE + bytes((0x20 | command, family)) + length + content


INET = socket.inet_aton("192.0.2.1") + socket.inet_aton("10.0.0.1") + b"\x1f\x90\0\x50"
INET6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "::ffff:10.0.0.1")
    + b"\x1f\x90\0\x50"
)
UNIX = b"/run/a".ljust(108, b"\0") + b"".ljust(108, b"\0")
# A path ends at its first zero byte, an abstract name begins with one.
UNIX_REST = b"/run/a\0rest".ljust(108, b"\0") + b"\0a\0b".ljust(108, b"\0")

CLIENT, OURS = IPv4Address("TCP", "192.0.2.1", 8080), IPv4Address("TCP", "10.0.0.1", 80)
CLIENT6 = IPv6Address("TCP", "2001:db8::1", 8080)

GOOD = [
    (b"PROXY TCP4 192.0.2.1 10.0.0.1 8080 80\r\n", CLIENT, OURS),
    (b"PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 8080 80\r\n", CLIENT6, OURS),
    (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", None, None),
    (b"PROXY UNKNOWN\r\n", None, None),
    (b"PROXY UNKNOWN ffff::1 junk that nobody reads 1 2\r\n", None, None),
    (v2(1, 0x11, INET), CLIENT, OURS),
    (v2(1, 0x11, INET + b"\x04\0\x01x\x20\0\x05\x01\0\0\0\0"), CLIENT, OURS),
    (v2(1, 0x21, INET6), CLIENT6, OURS),
    (v2(1, 0x31, UNIX), UNIXAddress(b"/run/a"), UNIXAddress(None)),
    (v2(1, 0x31, UNIX_REST), UNIXAddress(b"/run/a"), UNIXAddress(b"\0a\0b")),
    (v2(1, 0x12, INET), IPv4Address("UDP", "192.0.2.1", 8080), None),
    (v2(1, 0x00, b""), None, None),
    (v2(1, 0x00, b"junk"), None, None),
    (v2(1, 0x10, INET), None, None),
    (v2(0, 0x00, b""), None, None),
    (v2(0, 0x11, INET), None, None),
    (v2(0, 0x11, b"x"), None, None),
]

BAD = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXY TCP4\r\n",
    b"PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n",
    b"PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 -1 2\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 1_0 2\r\n",
    b"PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n",
    b"PROXY TCP4 localhost 10.0.0.1 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n\r\n",
    b"PROXY TCP4 192.0.2.1\t10.0.0.1 1 2\r\n",
    b"PROXY UNKNOWN \x1b[2J\r\n",
    b"PROXY UNKNOWN" + b"x" * 200 + b"\r\n",
    b"PROXY TCP4 " + b"1" * 100,
    b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    SIGNATURE + b"\x11\x11\0\x0c" + INET,
    SIGNATURE + b"\x31\x11\0\x0c" + INET,
    v2(2, 0x11, INET),
    v2(15, 0x11, INET),
    v2(1, 0x41, INET),
    v2(1, 0x13, INET),
    v2(1, 0x11, b""),
    v2(1, 0x11, INET[:11]),
    v2(1, 0x21, INET),
    v2(1, 0x31, UNIX[:215]),
    SIGNATURE + b"\x21\x11\xff\xff",
    SIGNATURE + b"\x20\x00\x10\x00",
]


class HeaderTests(SynchronousTestCase):
    """
    What is one, and what is none.
    """

    def test_good(self) -> None:
        """
        Addresses are told, where there are some, and where the header ends; not before
        it has ended.
        """
        for data, source, destination in GOOD:
            header = read_header(data + b"GET", MOST)
            assert header is not None
            if source is not None:
                self.assertEqual(source, header.source, data)
            if destination is not None:
                self.assertEqual(destination, header.destination, data)
            if b"UNKNOWN" in data or (data[:1] == b"\r" and source is None):
                self.assertEqual((None, None), header[:2], data)
            self.assertEqual(len(data), header.end)
            for end in range(len(data)):
                self.assertIsNone(read_header(data[:end], MOST), data[:end])

    def test_bad(self) -> None:
        """
        Anything else is refused, and never begins to be a header again.
        """
        for data in BAD:
            self.assertRaises(BadHeader, read_header, data, MOST)
            self.assertRaises(BadHeader, read_header, data + b"\r\n" * 50, MOST)

    def test_early(self) -> None:
        """
        It is refused with the first byte that does not fit.
        """
        for data in (b"G", b"PROXX", b"\r\n\r\n\0\r\nQUIT\r"):
            self.assertIsNone(read_header(data[:-1], MOST) if data[:-1] else None)
            self.assertRaises(BadHeader, read_header, data, MOST)

    def test_longest(self) -> None:
        """
        The length is bounded, by what it says of itself and by what has come.
        """
        header = v2(1, 0x11, INET + b"\0" * 100)
        self.assertIsNotNone(read_header(header, len(header)))
        self.assertRaises(BadHeader, read_header, header, len(header) - 1)
        self.assertRaises(BadHeader, read_header, header[:16], len(header) - 1)
        line = GOOD[0][0]
        self.assertIsNotNone(read_header(line, len(line)))
        self.assertRaises(BadHeader, read_header, line, len(line) - 1)

    @given(st.binary(max_size=80), st.sampled_from((b"", b"PROXY ", SIGNATURE)))
    def test_anything(self, data: bytes, before: bytes) -> None:
        """
        Any bytes are read, refused or waited for; once refused, whatever follows.
        """
        try:
            header = read_header(before + data, MOST)
        except BadHeader:
            self.assertRaises(BadHeader, read_header, before + data + b"x", MOST)
        else:
            if header is not None:
                again = read_header(before + data + b"x", MOST)
                self.assertEqual(header, again)
