"""
What the strict layer says of a request head that is in order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from ipaddress import IPv6Address

from twisted.trial.unittest import SynchronousTestCase

from tests.support.server_cases import get
from twisted_h11._http.abnf import is_authority_form, is_host, is_request_line
from twisted_h11._http.fastpath import read_request
from twisted_h11._http.strict_requests import (
    Refused,
    check_partial_head,
    check_request_head,
)
from twisted_h11.limits import Limits


class HeadTests(SynchronousTestCase):
    """
    L{check_request_head}.
    """

    def test_table(self) -> None:
        """
        Whether the connection may be used again, whether the client waits for a 100,
        the length of the body, and whether the response may be chunked.
        """
        for line, version, expected in (
            (b"A: b", b"1.1", (True, False, 0, True)),
            (b"A: b", b"1.0", (False, False, 0, False)),
            (b"Connection: keep-alive", b"1.1", (True, False, 0, True)),
            (b"Connection: keep-alive", b"1.0", (False, False, 0, False)),
            (b"Connection: a, Close", b"1.1", (False, False, 0, True)),
            (b"Connection: closed", b"1.1", (True, False, 0, True)),
            (b"Expect: 100-Continue", b"1.1", (True, True, 0, True)),
            (b"Expect: 100-continue", b"1.0", (False, False, 0, False)),
            (b"Expect: other", b"1.0", (False, False, 0, False)),
            (b"Content-Length: 12", b"1.1", (True, False, 12, True)),
            (b"Transfer-Encoding: Chunked", b"1.1", (True, False, None, True)),
        ):
            head = check_request_head(get(b"/", line, version=version), Limits())
            self.assertEqual(
                expected,
                (
                    head.keepAlive,
                    head.expectsContinue,
                    head.length,
                    head.chunkedAllowed,
                ),
                (line, version),
            )

    def test_codings(self) -> None:
        """
        Several C{Transfer-Encoding} fields are one list: 501 for codings that are not
        known, 400 for what is none, and for a body whose end they do not say.
        """
        for values, status in (
            ((b"gzip", b"chunked"), 501),
            ((b"gzip;a=b", b"br"), 501),
            ((b"chunked", b"chunked"), 400),
            ((b"chunked", b"gzip"), 400),
            ((b"gzip", b""), 400),
            ((b"", b"chunked"), 400),
            ((b"gzip,", b"chunked"), 400),
        ):
            lines = [b"Transfer-Encoding: " + value for value in values]
            raw = get(b"/", *lines)
            refused = self.assertRaises(Refused, check_request_head, raw, Limits())
            self.assertEqual(status, refused.status, values)

    def test_fields(self) -> None:
        """
        The fields as they were received, without the white space around their values.
        """
        text = bytes(range(33, 127)) + b"!"
        head = check_request_head(get(b"/", b"x-A:\t " + text + b" \t"), Limits())
        self.assertEqual([(b"Host", b"example.com"), (b"x-A", text)], head.fields)


def isAddress(text: str) -> bool:
    """
    Whether C{ipaddress} reads a text as an IPv6 address.
    """
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


class BeginningTests(SynchronousTestCase):
    """
    L{check_partial_head}.
    """

    def status(self, data: bytes, scanned: int = 0) -> int | None:
        """
        The status with which a beginning is refused, if it is.
        """
        try:
            check_partial_head(data, 0, scanned, Limits())
        except Refused as refused:
            return refused.status
        return None

    def trickled(self, data: bytes) -> int | None:
        """
        The same, byte by byte.
        """
        for count in range(len(data)):
            status = self.status(data[: count + 1], count)
            if status is not None:
                return status
        return None

    def lines(self) -> Iterator[bytes]:
        """
        Beginnings of request lines with some changes.
        """
        yield from (b"@ / HTTP/2.0", b"G / HTTP/2.0a")
        choose = random.Random(4)
        odd = (b"", b"", b" ", b"\t", b"a", b"/", b"1", b"2", b"@", b"\xe9")
        for _ in range(5000):
            line = choose.choice((b"G /a HTTP/1.1", b"G /a HTTP/1.0", b"GE / HTTP/2.0"))
            line = line[: choose.randrange(1, 14)]
            for _ in range(choose.randrange(3)):
                at = choose.randrange(len(line) + 1)
                end = at + choose.randrange(2)
                line = line[:at] + choose.choice(odd) + line[end:]
            if line:
                yield line

    def begins(self, data: bytes) -> bool:
        """
        Whether a valid request line begins so, of any version until that is complete.
        """
        whole = b"G /a HTTP/1.1"
        for end in [whole[at:] for at in range(len(whole) + 1)]:
            match = is_request_line(data + end)
            if match and (end or match.group(3) in (b"HTTP/1.0", b"HTTP/1.1")):
                return True
        return False

    def test_line(self) -> None:
        """
        What no valid request line begins with is refused at once, and nothing else, in
        one piece or byte by byte.
        """
        for line in self.lines():
            possible = self.begins(line)
            self.assertEqual(possible, self.status(line) is None, line)
            self.assertEqual(possible, self.trickled(line) is None, line)

    def test_end(self) -> None:
        """
        A line has the same status as a whole, and with its CR or before.
        """
        found = set()
        for line in self.lines():
            status = self.status(line + b"\r\n")
            self.assertEqual(status, self.status(line + b"\r"), line)
            self.assertEqual(status, self.trickled(line + b"\r"), line)
            found.add(status)
        self.assertEqual({None, 400, 505}, found)


class AddressTests(SynchronousTestCase):
    """
    IPv6 addresses, of L{is_host} and L{is_authority_form} (RFC 3986 section 3.2.2).
    """

    def check(self, text: str) -> None:
        """
        The patterns and C{ipaddress} agree about a text.
        """
        expected = isAddress(text)
        host = b"[" + text.encode() + b"]"
        self.assertEqual(expected, is_host(host) is not None, text)
        self.assertEqual(expected, is_host(host + b":80") is not None, text)
        self.assertEqual(expected, is_authority_form(host + b":80") is not None, text)

    def test_shapes(self) -> None:
        """
        Each number of groups, with each place for the two colons, and an IPv4 address
        at the end or without one, is judged as by C{ipaddress}.
        """
        for groups in range(10):
            for last in ("1", "12345", "1.2.3.4", "1.2.3.256", "1.2.3", "01.2.3.4", ""):
                parts = ["abcD"] * groups + [last]
                self.check(":".join(parts))
                for at in range(groups + 2):
                    self.check(f"{':'.join(parts[:at])}::{':'.join(parts[at:])}")

    def test_random(self) -> None:
        """
        So are texts of the characters of an address.
        """
        choose = random.Random(7)
        for _ in range(5000):
            length = choose.randrange(1, 12)
            self.check("".join(choose.choice("::::1aF.") for _ in range(length)))

    def test_counts(self) -> None:
        """
        No count of groups in the patterns is taken for text.
        """
        for text in ("a:{0,-1}a::1:1:1:1:1:1:1", "::a:{-1}1:1"):
            self.check(text)

    def test_heads(self) -> None:
        """
        A head with a malformed address is refused, on the fast path too.
        """
        for bad in (b"[:::]", b"[1]", b"[.]", b"[::12345]", b"[::1.2.3.999]"):
            for target in (b"/", b"http://a/"):
                head = get(target, host=bad)
                self.assertRaises(Refused, check_request_head, head, Limits())
                self.assertIsNone(read_request(head, 0, Limits(), None), bad)
            head = get(b"http://" + bad + b"/")
            self.assertRaises(Refused, check_request_head, head, Limits())
