"""
The status page in a real browser.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from typing import Any
from urllib.request import urlopen

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from websockets.sync.client import connect

from tests.support.long_cases import unnamed
from tests.support.optional import find_program
from twisted_h11.client import Agent, HTTPConnectionPool, readBody
from twisted_h11.metrics import Metrics, StatusResource
from twisted_h11.server import Site

skip = unnamed()

CHROMIUM = find_program("chromium") or find_program("chromium-browser")

SOON = 40.0

SHOWN = """document.getElementById("total") && ({
  total: document.getElementById("total").textContent,
  rate: document.getElementById("rate").textContent,
  state: document.getElementById("state").textContent,
  text: document.body.innerText,
  wide: document.documentElement.scrollWidth > window.innerWidth,
  page: getComputedStyle(document.body).backgroundColor,
})"""


class Browser:
    """
    Headless Chromium, told what to do by its own protocol.  Used in a thread.
    """

    def __init__(self, profile: str, size: str, isDark: bool) -> None:
        assert CHROMIUM is not None
        self.said = b""
        self.process = subprocess.Popen(
            [
                CHROMIUM,
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-quic", "--disable-background-networking"),
                *("--disable-component-update", "--disable-sync"),
                f"--blink-settings=preferredColorScheme={0 if isDark else 1}",
                f"--window-size={size}",
                f"--user-data-dir={profile}",
                "--remote-debugging-port=0",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._number = 0
        try:
            port = self._port()
            with urlopen(f"http://127.0.0.1:{port}/json/list") as pages:
                (page,) = [p for p in json.load(pages) if p["type"] == "page"]
            self._socket = connect(page["webSocketDebuggerUrl"], max_size=None)
        except BaseException:
            self.close()
            raise

    def _port(self) -> int:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line)
            if found is not None:
                return int(found[1])
        raise RuntimeError("Chromium has ended")

    def call(self, method: str, **params: Any) -> Any:
        """
        Call a method of the protocol.
        """
        self._number += 1
        said = {"id": self._number, "method": method, "params": params}
        self._socket.send(json.dumps(said))
        while True:
            answer = json.loads(self._socket.recv(timeout=SOON))
            if answer.get("method") == "Log.entryAdded":
                self.said += json.dumps(answer).encode("ascii")
            if answer.get("id") == self._number:
                return answer["result"]

    def shown(self) -> Any:
        """
        What the page shows; C{None} before it is there.
        """
        result = self.call("Runtime.evaluate", expression=SHOWN, returnByValue=True)
        return result["result"].get("value")

    def close(self) -> None:
        """
        End it.
        """
        self.process.kill()
        self.process.communicate()


class BrowserTests(TestCase):
    """
    The page as wide as a desk and as a hand, light and dark.
    """

    timeout = 120
    if CHROMIUM is None:
        skip = "Chromium is not installed"

    def look(self, port: int, size: str, isDark: bool) -> list[dict[str, Any]]:
        """
        Open the page, and look at it until its numbers have changed.

        @return: what it has shown first and last.
        """
        browser = Browser(os.path.abspath(self.mktemp()), size, isDark)
        try:
            browser.call("Log.enable")
            browser.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
            end = time.monotonic() + SOON
            seen: list[dict[str, Any]] = []
            while time.monotonic() < end:
                now = browser.shown()
                if now and now["total"] not in ("", "-") and now["rate"] != "-":
                    seen.append(now)
                    if now["total"] != seen[0]["total"]:
                        break
                time.sleep(0.1)
            self.assertEqual(browser.said, b"")
            return [seen[0], seen[-1]]
        finally:
            browser.close()

    async def test_page(self) -> None:
        """
        It shows what was counted, as text and within the window, and its numbers change
        while there are requests.
        """
        metrics = Metrics()
        site = Site(Resource(), accessLog=False, metrics=metrics)
        status = Site(StatusResource(metrics), accessLog=False)
        ports: Any = []
        for one in (site, status):
            endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
            ports.append(await endpoint.listen(one))
        pool = HTTPConnectionPool(reactor)
        agent = Agent(reactor, pool=pool)
        url = b"http://127.0.0.1:%d/%%3Cb%%3E" % ports[0].getHost().port
        colours = set()
        try:
            for size, isDark in (("1280,900", False), ("390,844", True)):
                looking = deferToThread(
                    self.look, ports[1].getHost().port, size, isDark
                )
                while not looking.called:
                    await readBody(await agent.request(b"GET", url))
                first, last = await looking
                total = [int(one["total"].replace(",", "")) for one in (first, last)]
                self.assertLess(total[0], total[1])
                self.assertEqual(last["state"], "is serving")
                self.assertIn("/%3Cb%3E", last["text"])
                self.assertIn("4xx", last["text"])
                self.assertFalse(last["wide"])
                colours.add(last["page"])
        finally:
            await pool.closeCachedConnections()
            for port in ports:
                await port.stopListening()
            for one in (site, status):
                await one.drain(5)
        self.assertEqual(len(colours), 2)
