"""
What a client will take, and what it has.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._http.negotiation import (
    choose_coding,
    none_match,
)


class CodingTests(SynchronousTestCase):
    """
    RFC 9110 section 12.5.3.
    """

    def test_table(self) -> None:
        """
        The coding with the highest weight is taken, of equal ones our best.
        """
        for accepted, chosen in (
            ([], None),
            ([b""], None),
            ([b"gzip"], b"gzip"),
            ([b"GZIP"], b"gzip"),
            ([b"x-gzip"], b"gzip"),
            ([b"br, gzip"], b"br"),
            ([b"gzip, br"], b"br"),
            ([b"gzip", b"br"], b"br"),
            ([b"br;q=0.5, gzip;q=0.8"], b"gzip"),
            ([b"br ; q=0.5 , gzip"], b"gzip"),
            ([b"gzip, br;q=1"], b"br"),
            ([b"gzip;q=0"], None),
            ([b"gzip;q=0.000"], None),
            ([b"*"], b"br"),
            ([b"*;q=0"], None),
            ([b"*, br;q=0"], b"gzip"),
            ([b"gzip;q=0.5, identity"], None),
            ([b"gzip;q=0.5, identity;q=0.5"], b"gzip"),
            ([b"identity;q=0, gzip"], b"gzip"),
            ([b"deflate"], None),
            ([b"gzip;q=2"], None),
            ([b"gzip;q=0.1234"], None),
            ([b"gzip;q=-1, br;q=nan"], None),
            ([b"gzip;level=9"], None),
            ([b"gzip gzip"], None),
            ([b"," * 10_000 + b"gzip"], None),
            ([b"," * 99 + b"gzip"], b"gzip"),
            ([b"," * 100 + b"gzip"], None),
        ):
            self.assertEqual(
                choose_coding(accepted, (b"br", b"gzip")), chosen, accepted
            )

    @given(some.lists(some.binary(max_size=40), max_size=3))
    def test_anything(self, values: list[bytes]) -> None:
        """
        No field is an error.
        """
        self.assertIn(choose_coding(values, (b"gzip",)), (None, b"gzip"))
        none_match(values, b'"x"')


class EntityTagTests(SynchronousTestCase):
    """
    RFC 9110 section 13.1.2.
    """

    def test_table(self) -> None:
        """
        Tags are compared weakly, in a list, and C{*} is all of them.
        """
        for values, matches in (
            ([b'"a"'], True),
            ([b'W/"a"'], True),
            ([b'"b", "a"'], True),
            ([b'"b","a"'], True),
            ([b'"b"', b'W/"a"'], True),
            ([b"*"], True),
            ([b" * "], True),
            ([b'"b"'], False),
            ([b'"A"'], False),
            ([b'"x, "a"'], False),
            ([b'"x,a"'], False),
            ([b'"x""a"'], False),
            ([b'!"a"'], False),
            ([b"a"], False),
            ([b'w/"a"'], False),
            ([b""], False),
        ):
            for etag in (b'"a"', b'W/"a"'):
                self.assertEqual(none_match(values, etag), matches, values)
