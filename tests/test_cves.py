"""
The table of other programs' CVEs in the documentation.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client_corpus import load_client_cases
from tests.support.corpus import load_cases

TABLE = Path(__file__).parent.parent / "docs" / "evidence" / "cves.inc"


def read_table(text: str) -> list[list[str]]:
    """
    The rows of a list-table, without its head.
    """
    rows = re.findall(r"^   \* - (.*(?:\n     - .*)*)", text, re.MULTILINE)
    return [re.split(r"\n     - ", row) for row in rows][1:]


class TableTests(SynchronousTestCase):
    """
    What the table promises.
    """

    def setUp(self) -> None:
        """
        Read it.
        """
        self.rows = read_table(TABLE.read_text("utf-8"))

    def test_cases(self) -> None:
        """
        Each case or test that is named exists.
        """
        known = {f"{case.file[:-4]}: {case.title}" for case in load_cases()}
        known |= {
            f"client {case.file[:-4]}: {case.title}" for case in load_client_cases()
        }
        named = [name for row in self.rows for name in row[3].split("; ")]
        self.assertGreater(len(named), 30)
        for name in named:
            if name.startswith("tests."):
                self.assertTrue(callable(namedAny(name)), name)
            else:
                self.assertIn(name, known)

    def test_numbers(self) -> None:
        """
        Each number is that of a CVE, and stands there once.
        """
        numbers = [row[0] for row in self.rows]
        self.assertEqual(sorted(set(numbers)), sorted(numbers))
        for number in numbers:
            self.assertRegex(number, r"\ACVE-[0-9]{4}-[0-9]{4,7}\Z")
