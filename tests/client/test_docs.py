"""
The client's pages say what the code does, and their examples run.
"""

from __future__ import annotations

import io
import runpy
import sys
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource

from tests.support.settings_table import settings_table
from twisted_h11 import client
from twisted_h11._command.fetch_options import make_parser
from twisted_h11.client import ClientSettings, PoolSettings
from twisted_h11.server import Site

net: Any = reactor
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


class PageTests(SynchronousTestCase):
    """
    The pages.
    """

    def test_tables(self) -> None:
        """
        The tables of the settings are those that the fields make.  (To renew
        them: C{python -m tests.support.settings_table}.)
        """
        for page, settings in (("client", ClientSettings), ("pool", PoolSettings)):
            text = (DOCS / f"{page}.rst").read_text(encoding="utf-8")
            self.assertIn(settings_table(settings), text)

    def test_names(self) -> None:
        """
        All public names exist.
        """
        for name in client.__all__:
            self.assertTrue(hasattr(client, name), name)

    def test_options(self) -> None:
        """
        The page on the command lists its options.
        """
        text = (DOCS / "fetch.rst").read_text(encoding="utf-8")
        for action in make_parser()._actions:
            if action.dest not in ("help", "version", "url"):
                self.assertIn(f"``{action.option_strings[0]}", text)


class Root(Resource):
    """
    What the examples talk to.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        Something.
        """
        return b"hello"

    def render_POST(self, request: Any) -> bytes:
        """
        How much it was.
        """
        return b"%d bytes" % (len(request.content.read()),)


class ExampleTests(TestCase):
    """
    The examples.
    """

    timeout = 20

    @inlineCallbacks
    def run_example(self, name: str, *arguments: str) -> Any:
        """
        What an example prints.
        """
        port = net.listenTCP(0, Site(Root()), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        path = DOCS / "examples" / f"{name}.py"
        example = runpy.run_path(str(path))
        url = f"http://127.0.0.1:{port.getHost().port}/"
        out = io.StringIO()
        with redirect_stdout(out):
            yield example["main"](net, url, *arguments)
        yield deferLater(net, 0.02)
        return out.getvalue()

    @inlineCallbacks
    def test_examples(self) -> Any:
        """
        Each example prints what its page says.
        """
        name = self.mktemp()
        Path(name).write_bytes(b"x" * 100_000)
        for example, arguments, expected in [
            ("client_get", [], "200 OK\n5 bytes\n"),
            ("client_upload", [name], "200 b'100000 bytes'\n"),
            (
                "client_stream",
                [],
                "5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e7",
            ),
            ("client_timeouts", [], "5 bytes\n"),
        ]:
            printed = yield self.run_example(example, *arguments)
            self.assertTrue(printed.startswith(expected), (example, printed))

    @inlineCallbacks
    def test_treq(self) -> Any:
        """
        treq's, where it is installed.
        """
        try:
            import treq
        except ImportError:
            self.skipTest("treq is not installed")
        printed = yield self.run_example("client_treq")
        self.assertEqual("200 hello\n", printed)
        del treq

    def test_testing(self) -> None:
        """
        The test of the example passes.
        """
        path = str(DOCS / "examples")
        sys.path.insert(0, path)
        self.addCleanup(sys.path.remove, path)
        suite = unittest.defaultTestLoader.loadTestsFromName("client_testing")
        result = unittest.TestResult()
        suite.run(result)
        self.assertTrue(result.testsRun and result.wasSuccessful(), result)
