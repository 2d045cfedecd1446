"""
The site about a site.
"""

from __future__ import annotations

import builtins
import json
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

from twisted.internet import reactor

from tests.support.server_cases import GET, ServerTestCase, get
from twisted_h11.metrics import Metrics, StatusResource

net: Any = reactor


class StatusTests(ServerTestCase):
    """
    L{StatusResource}.
    """

    def setUp(self) -> None:
        """
        Make both sites.
        """
        super().setUp()
        self.calls = set(net.getDelayedCalls())
        self.metrics = Metrics()
        self.draining = False
        self.main = self.site(metrics=self.metrics)
        resource = StatusResource(self.metrics, lambda: self.draining, self.clock)
        self.status = self.site(resource)

    def ask(self, target: bytes) -> Any:
        """
        One request to the status site: its response.
        """
        return self.connect(self.status).send(get(target)).settle(0).responses[-1]

    def test_health(self) -> None:
        """
        200 while it serves, 503 when it is about to end.
        """
        response = self.ask(b"/health")
        self.assertEqual((response.status, response.body), (200, b"ok\n"))
        self.draining = True
        response = self.ask(b"/health")
        self.assertEqual((response.status, response.body), (503, b"draining\n"))
        self.assertEqual(response.get(b"Cache-Control"), b"no-store")

    def test_metrics(self) -> None:
        """
        The text that Prometheus reads, with its media type.
        """
        self.connect(self.main).send(GET * 5)
        response = self.ask(b"/metrics")
        self.assertTrue(
            response.get(b"Content-Type").startswith(b"text/plain; version=")
        )
        line = b'twisted_h11_requests_total{method="GET",status="2xx"} 5.0\n'
        self.assertIn(line, response.body)

    def test_withoutLibrary(self) -> None:
        """
        Where the library is missing the answer says what to install.
        """
        load = builtins.__import__

        def fails(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.startswith("prometheus_client"):
                raise ImportError(name)
            return load(name, *args, **kwargs)

        self.patch(builtins, "__import__", fails)
        response = self.ask(b"/metrics")
        self.assertEqual(response.status, 501)
        self.assertIn(b"twisted-h11[metrics]", response.body)

    def test_page(self) -> None:
        """
        The page has nothing from elsewhere, and its policy allows just what is in it.
        """
        response = self.ask(b"/")
        page = response.body.decode("utf-8")
        policy = response.get(b"Content-Security-Policy").decode("ascii")
        self.assertTrue(policy.startswith("default-src 'none'"))
        for tag in ("style", "script"):
            (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
            digest = b64encode(sha256(text.encode("utf-8")).digest()).decode("ascii")
            self.assertIn(f"{tag}-src 'sha256-{digest}'", policy)
        self.assertEqual(re.findall(r"(?:src|href)=\"(?!metrics)", page), [])
        self.assertNotIn("http", re.sub(r"xmlns=\S+", "", page))
        self.assertNotIn("innerHTML", page)

    def test_events(self) -> None:
        """
        A watcher gets the numbers at once and each second, until the site drains; then
        nothing is left.
        """
        wire = self.connect(self.status).send(get(b"/events"))
        self.connect(self.main).send(GET * 3)
        wire.advance(1)
        text = bytes(wire.transport.output).decode("ascii")
        self.assertIn("text/event-stream", text)
        events = [json.loads(data) for data in re.findall(r"data: (.*)\n", text)]
        self.assertEqual([event["requests"] for event in events], [0, 3])
        self.assertEqual(events[1]["classes"], {"2xx": 3})
        self.assertEqual(len(events[1]["newest"]), 3)
        self.assertEqual(len(events[1]["durations"]), len(events[1]["bounds"]) + 1)
        self.draining = True
        wire.advance(1)
        self.assertTrue(wire.responses[-1].complete)

    def test_clock(self) -> None:
        """
        Unless it is told otherwise the time is that of the global reactor.
        """
        self.status = self.site(StatusResource(self.metrics))
        before = net.seconds()
        wire = self.connect(self.status).send(get(b"/events"))
        [data] = re.findall(rb"data: (.*)\n", bytes(wire.transport.output))
        self.assertTrue(before <= json.loads(data)["time"] <= net.seconds())
        [call] = set(net.getDelayedCalls()) - self.calls
        wire.vanish()
        self.assertFalse(call.active())

    def test_gone(self) -> None:
        """
        Nothing is told when nobody watches any more.
        """
        wire = self.connect(self.status).send(get(b"/events"))
        wire.vanish()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_head(self) -> None:
        """
        HEAD of the events ends, and takes no place of a page.
        """
        wire = self.connect(self.status)
        wire.methods = [b"HEAD", b"GET"]
        wire.send(get(b"/events", method=b"HEAD"), get(b"/health"))
        self.assertEqual([200, 200], wire.statuses)
        self.assertEqual(b"text/event-stream", wire.responses[0].get(b"Content-Type"))
        self.assertFalse(self.metrics.isWatched)

    def test_most(self) -> None:
        """
        So many may watch.
        """
        wires = [self.connect(self.status).send(get(b"/events")) for _ in range(20)]
        self.assertEqual(self.ask(b"/events").status, 503)
        wires[0].vanish()
        again = self.connect(self.status).send(get(b"/events"))
        self.assertIn(b"200 OK", bytes(again.transport.output))
