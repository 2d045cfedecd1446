"""
The welcome in a real browser.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import serverFromString
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from tests.support.long_cases import unnamed
from tests.support.optional import find_program
from twisted_h11._command.welcome import Welcome
from twisted_h11.server import Site

skip = unnamed()

CHROMIUM = find_program("chromium") or find_program("chromium-browser")


class BrowserTests(TestCase):
    """
    Headless Chromium.
    """

    timeout = 60
    if CHROMIUM is None:
        skip = "Chromium is not installed"

    @inlineCallbacks
    def test_page(self) -> Generator[Deferred[Any], Any, None]:
        """
        The page shows the request of the browser, and its policy lets its
        style through.
        """
        assert CHROMIUM is not None
        site = Site(Welcome(), accessLog=False)
        endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
        port = yield endpoint.listen(site)
        try:
            out, err, _ = yield getProcessOutputAndValue(
                CHROMIUM,
                [
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--enable-logging=stderr",
                    "--log-level=0",
                    f"--user-data-dir={os.path.abspath(self.mktemp())}",
                    "--dump-dom",
                    f"http://127.0.0.1:{port.getHost().port}/x?q=%3Cscript%3E",
                ],
                env=os.environ,
            )
        finally:
            yield port.stopListening()
            yield site.drain(5)
        self.assertIn(b"It works", out)
        self.assertIn(b"<b>GET</b> /x?q=%3Cscript%3E", out)
        self.assertIn(b">Sec-Fetch-Mode</th>", out)
        self.assertIn(b"<td>&lt;script&gt;</td>", out)
        self.assertNotIn(b"Content Security Policy", err)
