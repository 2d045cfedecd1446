"""
What the pages of the documentation say is done, word for word, in an empty folder.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.support.long_cases import LongTestCase
from tests.support.optional import find_program, need
from tests.support.pages import Reader, walkable_pages

# What a page needs, and need not be there.
MODULES = {
    "django": ["django"],
    "flask": ["flask"],
    "klein": ["klein"],
    "reverse_proxy": ["python_multipart"],
    "websocket_chat": ["twisted.web.websocket", "wsproto", "websockets.sync.client"],
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


for _page in walkable_pages():
    if _page.stem != "index" or _page.parent.name != "howto":
        setattr(PageTests, f"test_{_page.stem}", _test(_page))
