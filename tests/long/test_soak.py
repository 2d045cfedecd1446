"""
A minute of everybody there is.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.soak.__main__ import main
from tests.soak.report import judge
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
        status = main([*arguments, "--chart", str(chart)])
        found = judge(json.loads(output.read_text("utf-8")))
        self.assertEqual((0, []), (status, found))
        self.assertIn("<svg", chart.read_text("utf-8"))
