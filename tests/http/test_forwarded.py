"""
Reading what proxies say: C{Forwarded} and C{X-Forwarded-*}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._http.forwarded import (
    Malformed,
    read_forwarded,
    read_host,
    read_node,
    read_scheme,
    unmapped,
)


class ForwardedTests(SynchronousTestCase):
    """
    The C{Forwarded} field, RFC 7239 section 4.
    """

    def test_read(self) -> None:
        """
        Elements and their parameters are told apart, in however many lines they come.
        """
        for lines, expected in (
            ([b"for=192.0.2.1"], [{b"for": b"192.0.2.1"}]),
            (
                [b"For=192.0.2.43, for=198.51.100.17"],
                [{b"for": b"192.0.2.43"}, {b"for": b"198.51.100.17"}],
            ),
            (
                [b"for=192.0.2.60;proto=http;by=203.0.113.43"],
                [{b"for": b"192.0.2.60", b"proto": b"http", b"by": b"203.0.113.43"}],
            ),
            (
                [b'for="[2001:db8:cafe::17]:4711"', b"for=_gazonk , proto=https"],
                [
                    {b"for": b"[2001:db8:cafe::17]:4711"},
                    {b"for": b"_gazonk"},
                    {b"proto": b"https"},
                ],
            ),
            ([b"for=unknown ; host=a"], [{b"for": b"unknown", b"host": b"a"}]),
            ([b'host="a,b;c=d"'], [{b"host": b"a,b;c=d"}]),
            ([b'host="a\\"b\\\\"'], [{b"host": b'a"b\\'}]),
            ([b", ;for=a;;, ,", b""], [{b"for": b"a"}]),
            ([b'secret="";for=a'], [{b"secret": b"", b"for": b"a"}]),
        ):
            self.assertEqual(expected, read_forwarded(lines), lines)

    def test_malformed(self) -> None:
        """
        What is not of the grammar is refused, not mended.
        """
        for line in (
            b"192.0.2.1",
            b"for",
            b"for=",
            b"for =a",
            b"for= a",
            b"for=a b",
            b"for=a for=b",
            b"for=[::1]",
            b"host=a:80",
            b'for="a',
            b'for=a"',
            b'for="a"b',
            b'for="a\\"',
            b"for=a;for=b",
            b"for=a;FOR=b",
            b"=a",
            b"for=\xe4",
        ):
            self.assertRaises(Malformed, read_forwarded, [line])

    def test_quotesEndInTheirLine(self) -> None:
        """
        A client that leaves a quote open does not swallow what the proxy adds.
        """
        lines = [b'for="', b'for="[2001:db8::1]"']
        self.assertRaises(Malformed, read_forwarded, lines)
        self.assertRaises(Malformed, read_forwarded, [b", ".join(lines)])

    @given(st.binary(max_size=60))
    def test_anything(self, data: bytes) -> None:
        """
        Any bytes are read or refused.
        """
        for read in (lambda d: read_forwarded([d]), read_node, read_host, read_scheme):
            try:
                read(data)
            except Malformed as error:
                self.assertTrue(str(error).isascii())


class NodeTests(SynchronousTestCase):
    """
    Addresses, RFC 7239 section 6, and those of C{X-Forwarded-For}.
    """

    def test_read(self) -> None:
        """
        Addresses with and without ports, and those that are not told.
        """
        for text, expected in (
            (b"192.0.2.1", ("192.0.2.1", 0)),
            (b"192.0.2.1:80", ("192.0.2.1", 80)),
            (b"192.0.2.1:_p", ("192.0.2.1", 0)),
            (b"[2001:db8::1]", ("2001:db8::1", 0)),
            (b"[2001:DB8:0::1]:65535", ("2001:db8::1", 65535)),
            (b"2001:db8::1", ("2001:db8::1", 0)),
            (b"::1", ("::1", 0)),
            (b"[::ffff:192.0.2.1]:8", ("192.0.2.1", 8)),
            (b"unknown", (None, 0)),
            (b"Unknown", (None, 0)),
            (b"_hidden", (None, 0)),
            (b"_SEVKISEK:_9", (None, 0)),
            (b"unknown:80", (None, 0)),
        ):
            self.assertEqual(expected, tuple(read_node(text)), text)

    def test_malformed(self) -> None:
        """
        Anything else is no address.
        """
        for text in (
            b"",
            b"localhost",
            b"192.0.2",
            b"192.0.2.256",
            b"192.0.2.01",
            b"192.0.2.1:",
            b"192.0.2.1:65536",
            b"192.0.2.1:-1",
            b"192.0.2.1/8",
            b"[192.0.2.1]",
            b"[::1",
            b"::1]",
            b"[::1%lo]",
            b"fe80::1%eth0",
            b":::1",
            b"1:2",
            b"_",
            b"unknownish",
            b" 192.0.2.1",
            b"192.0.2.1\n",
            b"'192.0.2.1'",
        ):
            self.assertRaises(Malformed, read_node, text)

    def test_unmapped(self) -> None:
        """
        Each address has one spelling.
        """
        self.assertEqual("127.0.0.1", unmapped("::ffff:127.0.0.1"))
        self.assertEqual("fe80::1", unmapped("FE80:0::1%eth0"))


class OtherTests(SynchronousTestCase):
    """
    Schemes, hosts and lists.
    """

    def test_scheme(self) -> None:
        """
        The schemes of HTTP, in any case, and those of WebSockets.
        """
        for text, secure in (
            (b"http", False),
            (b"HTTPS", True),
            (b"ws", False),
            (b"wss", True),
        ):
            self.assertEqual(secure, read_scheme(text))
        for text in (b"", b"ftp", b"https://", b"on"):
            self.assertRaises(Malformed, read_scheme, text)

    def test_host(self) -> None:
        """
        A host is judged as C{Host} is.
        """
        for text, expected in (
            (b"example.com", ("example.com", None)),
            (b"example.com:", ("example.com", None)),
            (b"example.com:8080", ("example.com", 8080)),
            (b"example.com:65535", ("example.com", 65535)),
            (b"[2001:db8::1]", ("2001:db8::1", None)),
            (b"[2001:db8::1]:443", ("2001:db8::1", 443)),
        ):
            self.assertEqual(expected, read_host(text))
        for text in (
            *(b"", b":80", b"a b", b"a/b", b"a@b", b"a?b", b"a,b", b"a:b", b"a:65536"),
            *(b"::1", b"a\r\nb", b"<script>", b"a:123456", b'"a"', b"\xe4"),
        ):
            self.assertRaises(Malformed, read_host, text)
