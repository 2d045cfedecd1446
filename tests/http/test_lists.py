"""
Fields whose values are lists.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._http.lists import has_member, members, with_member


class ListTests(SynchronousTestCase):
    """
    Lists of tokens.
    """

    def test_with(self) -> None:
        """
        A member is added once, and not where all is listed.
        """
        self.assertEqual(with_member([], b"Accept-Encoding"), [b"Accept-Encoding"])
        self.assertEqual(with_member([b"Cookie"], b"A"), [b"Cookie, A"])
        self.assertEqual(with_member([b"B, a", b"c"], b"A"), [b"B, a", b"c"])
        self.assertEqual(with_member([b"*"], b"A"), [b"*"])

    def test_listed(self) -> None:
        """
        Case does not matter, and parts of members are none.
        """
        self.assertTrue(has_member([b"no-cache", b"No-Transform"], b"no-transform"))
        self.assertFalse(has_member([b"no-transformation"], b"no-transform"))

    def test_list(self) -> None:
        """
        Lines are one list, and what is empty does not count.
        """
        self.assertEqual([b"a", b"b", b"c"], members([b" a,\tb ,", b"", b",,c"]))

    def test_anything(self) -> None:
        """
        Only white space is no part of a member.
        """
        text = bytes({*range(33, 127)} - {*b","})
        self.assertEqual([text, b"!"], members([text, b" !\t"]))
