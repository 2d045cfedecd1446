"""
What the pages of the documentation say is done, word for word, in an empty folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.support.long_cases import TOP, LongTestCase
from tests.support.optional import find_program, need
from tests.support.pages import DOCS, Reader, walkable_pages

# What a page needs, and need not be there.
MODULES = {
    "django": ["django"],
    "flask": ["flask"],
    "klein": ["klein"],
    "reverse_proxy": ["python_multipart"],
    "websocket_chat": ["wsproto", "websockets.sync.client"],
}
PROGRAMS = {"behind_nginx": "nginx"}


class PageTests(LongTestCase):
    """
    Each page.
    """


def _test(page: Path) -> Callable[[PageTests], None]:
    def test(self: PageTests) -> None:
        for module in MODULES.get(page.stem, []):
            need(module)
        for program in ("curl", PROGRAMS.get(page.stem, "curl")):
            if find_program(program) is None:
                raise SkipTest(f"{program} is not installed")
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        count = Reader(self, folder).do(page)
        self.say(f"{page.name}: {count} commands")

    test.__doc__ = f"C{{{page.name}}} says what happens."
    return test


class NewcomerTests(LongTestCase):
    """
    Pages that begin with a clone of the project, and nothing else.
    """

    def do(self, name: str) -> None:
        """
        Do what a page says, environment and all, in a clone of its own.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        clone = os.path.join(folder, "clone")
        leftovers = (".git", ".venv", "_trial_temp*", "build", "*.egg-info", "_build")
        shutil.copytree(TOP, clone, ignore=shutil.ignore_patterns(*leftovers))
        reader = Reader(self, clone)
        count = reader.do(DOCS / name, setup=True)
        self.assertTrue(reader.environment["PATH"].startswith(reader.folder))
        self.say(f"{name}: {count} commands, from a clone")

    def test_server(self) -> None:
        """
        From an empty folder to a server that streams uploads, with a test and settings.
        """
        self.do("tutorial_server.rst")


for _page in walkable_pages():
    if _page.stem != "index" or _page.parent.name != "howto":
        setattr(PageTests, f"test_{_page.stem}", _test(_page))
