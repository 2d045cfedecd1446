"""
The page on security names what there is.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted_h11
from twisted_h11.tap import Options

PAGE = Path(twisted_h11.__file__).parent.parent / "docs" / "security.rst"

# Options of curl's, in the commands that check something.
OF_CURL = {"data-binary", "parallel", "tls-max"}


class OptionTests(SynchronousTestCase):
    """
    The checklist.
    """

    def test_options(self) -> None:
        """
        Every option that is named is one of the command's.
        """
        known = {name.rstrip("=") for name in Options().longOpt}
        named = set(
            re.findall(r"``[^`\n]*?--([a-z][a-z0-9-]+)", PAGE.read_text("utf-8"))
        )
        self.assertGreater(len(named), 8)
        self.assertEqual(set(), named - known - OF_CURL)
