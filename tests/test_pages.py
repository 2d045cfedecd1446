"""
What the pages of the documentation show is there, and works.

C{tests/long/test_pages.py} does what the pages say from beginning to end.
"""

from __future__ import annotations

import ast
import doctest
import re
import shutil
import tempfile
import textwrap
from pathlib import Path
from unittest import TestResult

from twisted.trial.unittest import SynchronousTestCase

from tests.support.optional import find_program
from tests.support.pages import DOCS, Reader, read_page, walkable_pages

TOP = DOCS.parent
EXAMPLES = DOCS / "examples"


def pages() -> list[Path]:
    """
    All that is written, but what was built.
    """
    found = [page for page in DOCS.rglob("*.rst") if "_build" not in page.parts]
    return sorted([*found, TOP / "README.rst", TOP / "CONTRIBUTING.rst"])


class ExampleTests(SynchronousTestCase):
    """
    The files in docs/examples.
    """

    def test_everyOneIsRun(self) -> None:
        """
        Each is saved by a page that the tests walk through, or named by a test.
        """
        walked = {
            block.text
            for page in walkable_pages()
            for block in read_page(page)
            if block.kind == "save"
        }
        tests = "".join(
            path.read_text("utf-8")
            for path in (TOP / "tests").rglob("*.py")
            if path.name not in ("test_pages.py", "pages.py")
        )
        for path in sorted(EXAMPLES.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.name.removesuffix(".py")
                self.assertTrue(
                    path.read_text("utf-8") in walked
                    or re.search(rf"[\"'/]{re.escape(name)}(\.py)?[\"'/]", tests),
                    f"nothing runs {path.relative_to(TOP)}",
                )

    def test_everyOneIsShown(self) -> None:
        """
        Each is on a page, or named by one.
        """
        text = "".join(page.read_text("utf-8") for page in pages())
        for path in sorted(EXAMPLES.rglob("*.py")):
            self.assertIn(path.name, text)

    def test_first(self) -> None:
        """
        The two that are seen first are short.
        """
        for name in ("count.py", "send.py"):
            lines = (EXAMPLES / name).read_text("utf-8").split("\n")
            self.assertLessEqual(sum(bool(line.strip()) for line in lines), 11)


class PageTests(SynchronousTestCase):
    """
    The pages themselves.
    """

    def test_walk(self) -> None:
        """
        The first page does what it says.  (The others are long cases.)
        """
        if find_program("curl") is None:
            self.skipTest("curl is not installed")
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.assertEqual(2, Reader(self, folder).do(DOCS / "index.rst"))

    def test_somethingToDo(self) -> None:
        """
        Tutorials and how-to pages have something to run, and look at what it says.
        """
        for page in walkable_pages():
            if page != DOCS / "howto" / "index.rst":
                blocks = read_page(page)
                said = [said for block in blocks for _, said in block.commands]
                self.assertTrue(any(said), page)

    def test_files(self) -> None:
        """
        The files of the project that a page names are there.
        """
        named = re.compile(
            r"``((?:docs|tests|twisted_h11|newsfragments|\.ci)/[\w./-]+)``"
        )
        for page in pages():
            for name in named.findall(page.read_text("utf-8")):
                there = (TOP / name).exists() or (TOP / f"{name}.py").exists()
                self.assertTrue(there, f"{page.name}: {name}")

    def test_python(self) -> None:
        """
        What is shown as Python is Python.
        """
        count = 0
        for page in pages():
            for code in re.findall(
                r"^\.\. code-block:: python\n\n((?:(?: +.*)?\n)+)",
                page.read_text("utf-8") + "\n",
                re.MULTILINE,
            ):
                ast.parse(textwrap.dedent(code), str(page))
                count += 1
        self.assertGreater(count, 5)

    def test_shells(self) -> None:
        """
        Commands work in zsh as well, which looks for files with the names of words
        that have a question mark or a bracket and are not quoted, and finds none.
        """
        typed = re.compile(
            r"^ +(?:[$#] (.*)|((?:curl|pip|python3?|\.venv/\S+) .*))$"
            r"|``((?:curl|pip|python3?) [^`]*)``",
            re.MULTILINE,
        )
        count = 0
        for page in pages():
            for words in typed.findall(page.read_text("utf-8")):
                command = "".join(words)
                bare = re.sub(r"'[^']*'|\"[^\"]*\"|<<<.*", "", command)
                self.assertNotRegex(bare, r"[?\[]", f"{page.name}: {command}")
                count += 1
        self.assertGreater(count, 100)

    def test_proxies(self) -> None:
        """
        What is shown for a proxy sets or removes both fields that the server would
        believe if a client had sent them.
        """
        setting = re.compile(
            r"^ *(?:proxy_set_header|http-request (?:set|del)-header) +"
            r"X-Forwarded-(Proto|Host)\b",
            re.MULTILINE,
        )
        count = 0
        for page in [*pages(), *EXAMPLES.rglob("*.conf"), *EXAMPLES.rglob("*.cfg")]:
            found = setting.findall(page.read_text("utf-8"))
            self.assertEqual(found.count("Proto"), found.count("Host"), page.name)
            count += len(found)
        self.assertGreater(count, 9)

    def test_prompts(self) -> None:
        """
        What is shown at Python's prompt is what Python says.
        """
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        result = TestResult()
        for page in pages():
            text = page.read_text("utf-8")
            test = doctest.DocTestParser().get_doctest(
                text, {}, page.name, str(page), 0
            )
            if test.examples:
                doctest.DocTestCase(test, flags).run(result)
        self.assertGreater(result.testsRun, 0)
        self.assertEqual([], [text for _, text in [*result.failures, *result.errors]])
