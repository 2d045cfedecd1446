"""
The table of vulnerabilities of others names what is tried.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

import twisted_h11
from tests.support.corpus import load_cases

TOP = Path(twisted_h11.__file__).parent.parent
TABLE = TOP / "docs" / "evidence" / "cves.inc"


class TableTests(SynchronousTestCase):
    """
    Numbers, and where each is tried.
    """

    def test_rows(self) -> None:
        """
        Each number has a case in the corpus, or a test that is there; and each number
        of the corpus is in the table.
        """
        rows = re.findall(
            r"\* - (CVE-\d{4}-\d+)\n.*\n.*\n +- (.*)", TABLE.read_text("utf-8")
        )
        known = {
            number
            for case in load_cases()
            for number in re.findall(r"CVE-\d{4}-\d+", case.title)
        }
        self.assertGreater(len(rows), 40)
        for number, where in rows:
            for name in where.split(", "):
                if name == "corpus":
                    self.assertIn(number, known)
                else:
                    namedAny("tests." + name.strip("`"))
        self.assertEqual(set(), known - {number for number, _ in rows})
