"""
The law of readers of single fields, with a few generated fields.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.fields_law import (
    check_coding,
    check_forwarded,
    check_proxy_header,
    check_range,
)
from tests.fuzz.law import BrokenLaw
from twisted_h11._http import forwarded, negotiation
from twisted_h11._server import ranges
from twisted_h11._wire import proxy_header

few = settings(max_examples=60, deadline=None)


def made_of(*parts: bytes) -> some.SearchStrategy[bytes]:
    """
    Bytes made of parts, and of any other byte.
    """
    part = some.one_of(some.sampled_from(parts), some.binary(max_size=2))
    return some.lists(part, max_size=12).map(b"".join)


V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
V1 = b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"


class LawTests(SynchronousTestCase):
    """
    The law holds, and a reader that breaks it is found.
    """

    @few
    @given(
        some.one_of(some.just(V1), some.just(V2 + b"abcdefghijkl"), some.just(b"")),
        made_of(b"PROXY ", b"TCP6", b" ", b"\r\n", b"::1", b"65536", V2),
    )
    def test_proxyHeader(self, head: bytes, rest: bytes) -> None:
        """
        A PROXY header says the same, however it arrives.
        """
        check_proxy_header(head + rest)

    @few
    @given(some.binary(max_size=1), made_of(b"bytes=", b"-", b",", b"0", b"12", b" "))
    def test_range(self, size: bytes, rest: bytes) -> None:
        """
        Settled ranges are in the file and apart.
        """
        check_range(size + b"bytes=" + rest)

    @few
    @given(made_of(b"for=", b'"', b"\\", b";", b",", b"a", b"[::1]", b"\n", b"by=_x"))
    def test_forwarded(self, data: bytes) -> None:
        """
        Nothing is read that is not there.
        """
        check_forwarded(data)

    @few
    @given(made_of(b"gzip", b"br", b"*", b";q=", b"0.5", b"0", b",", b"\n", b" "))
    def test_coding(self, data: bytes) -> None:
        """
        Only what is offered and taken is chosen.
        """
        check_coding(data)

    def test_faults(self) -> None:
        """
        A fault in each reader breaks the law.
        """
        read = proxy_header.read_header
        found = read(V1, 600)
        assert found is not None
        self.patch(proxy_header, "read_header", lambda data, longest: found)
        self.assertRaises(BrokenLaw, check_proxy_header, V1)
        self.patch(ranges, "settled", lambda value, size: value)
        self.assertRaises(BrokenLaw, check_range, b"\x09bytes=0-5,3-7")
        self.patch(forwarded, "read_forwarded", lambda values: [{b"for": b"b"}])
        self.assertRaises(BrokenLaw, check_forwarded, b"for=a")
        self.patch(negotiation, "choose_coding", lambda values, offered: b"br")
        self.assertRaises(BrokenLaw, check_coding, b"gzip")
