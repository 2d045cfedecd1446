"""
The page on troubleshooting has the words that the package says.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted_h11
from twisted_h11.client import ClientSettings, PoolSettings
from twisted_h11.limits import Limits

PACKAGE = Path(twisted_h11.__file__).parent
PAGE = PACKAGE.parent / "docs" / "troubleshooting.rst"

# Said by others.
THEIRS = {"Unknown command: h11web", "can not listen on : Address already in use"}


def said() -> str:
    """
    All text in the source of the package, that of f-strings joined.
    """
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [p.value for p in node.values if isinstance(p, ast.Constant)]
                found.append("".join(map(str, parts)))
    return "\n".join(found)


class PageTests(SynchronousTestCase):
    """
    Twenty messages and more.
    """

    def test_words(self) -> None:
        """
        Every message is in the package; what stands for a name is left out.
        """
        text = said()
        messages = []
        for line in PAGE.read_text("utf-8").split("\n"):
            if line.startswith("``"):
                for message in re.findall(r"``([^`]+)``", line):
                    if not message.isdecimal():
                        messages.append(message.replace("...", "").strip())
        self.assertGreaterEqual(len(messages), 20)
        wrong = [m for m in messages if m not in THEIRS and m not in text]
        self.assertEqual([], wrong)

    def test_settings(self) -> None:
        """
        The limits and settings that it names are there.
        """
        known = set().union(*map(dir, (Limits, ClientSettings, PoolSettings)))
        named = re.findall(
            r"``((?:max|min|head|queue|rate)[A-Z]\w+)``", PAGE.read_text("utf-8")
        )
        self.assertGreater(len(named), 5)
        self.assertEqual([], [name for name in named if name not in known])
