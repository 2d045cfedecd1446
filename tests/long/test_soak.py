"""
A minute of everybody there is.
"""

from __future__ import annotations

from pathlib import Path

from tests.soak.__main__ import main
from tests.support.long_cases import LongTestCase


class SoakTests(LongTestCase):
    """
    One minute of C{python -m tests.soak}.
    """

    def test_minute(self) -> None:
        """
        No answer is wrong, no good request fails, memory and descriptors are flat, no
        traceback is in the log, and nothing is left.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        output, chart = folder / "soak.json", folder / "soak.svg"
        arguments = ["--seconds", "60", "--output", str(output)]
        self.assertEqual(0, main([*arguments, "--chart", str(chart)]))
        self.assertIn("<svg", chart.read_text("utf-8"))
