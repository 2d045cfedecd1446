"""
The examples answer what nobody should send, too, and end in good order.
"""

from __future__ import annotations

import io
import runpy
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.optional import need
from tests.support.ports import free_port
from tests.support.times import end_no_turn
from twisted_h11.client import readBody
from twisted_h11.testing import MemoryAgent

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


def example(name: str) -> dict[str, Any]:
    """
    The names of an example.
    """
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


class OddInputTests(SynchronousTestCase):
    """
    Each without a traceback.
    """

    def ask(self, resource: Any, body: bytes, path: bytes = b"/") -> tuple[int, bytes]:
        """
        POST a body, and wait for a minute.
        """
        agent = MemoryAgent(resource)
        self.addCleanup(agent.close)
        asked = agent.request(b"POST", b"http://example.com" + path, None, body)
        agent.clock.advance(60)
        agent.flush()
        response = self.successResultOf(asked)
        return response.code, self.successResultOf(readBody(response))

    def test_coroutine(self) -> None:
        """
        What is no number of tenths gets 400, and a negative one does not wait.
        """
        slow = example("server_async")["Slow"]
        self.assertEqual((400, b"Not a number.\n"), self.ask(slow(Clock()), b"five"))
        clock = Clock()
        agent = MemoryAgent(slow(clock))
        self.addCleanup(agent.close)
        asked = agent.request(b"POST", b"http://example.com/", None, b"-5")
        clock.advance(0)
        agent.flush()
        self.assertEqual(200, self.successResultOf(asked).code)

    def test_klein(self) -> None:
        """
        What is no list of numbers gets 400.
        """
        need("klein")
        resource = example("howto/klein_app")["resource"]
        for body in (b"", b"x", b"3", b'["a"]', b"\xff", b"[" * 100_000):
            code, answer = self.ask(resource(), body, b"/sum")
            self.assertEqual(400, code, body[:10])
            self.assertIn(b"not a list of numbers", answer)

    def test_rawEvents(self) -> None:
        """
        HEAD has no body, and CONNECT opens no tunnel.
        """
        end_no_turn(self)
        factory = example("howto/raw_events")["H11Factory"]
        count = example("howto/raw_events")["Count"]
        for method, begins, ends in (
            (b"GET / HTTP/1.1", b"HTTP/1.1 200 ", b"\r\n\r\n0 bytes\n"),
            (b"HEAD / HTTP/1.1", b"HTTP/1.1 200 ", b"Content-Length: 8\r\n\r\n"),
            (b"CONNECT a:1 HTTP/1.1", b"HTTP/1.1 501 ", b"\r\n\r\n0 bytes\n"),
        ):
            protocol = factory(count).buildProtocol(IPv4Address("TCP", "a", 1))
            transport = StringTransport()
            protocol.makeConnection(transport)
            protocol.dataReceived(method + b"\r\nHost: a\r\n\r\n")
            self.assertTrue(transport.value().startswith(begins), method)
            self.assertTrue(transport.value().endswith(ends), method)

    def test_stopping(self) -> None:
        """
        A server that stops need not wait for those who listen to its events.
        """
        triggers: list[Any] = []
        self.patch(
            reactor, "addSystemEventTrigger", lambda *what: triggers.append(what)
        )
        agent = MemoryAgent(example("howto/events")["Events"](Clock()))
        self.addCleanup(agent.close)
        asked = agent.request(b"GET", b"http://example.com/")
        body = readBody(self.successResultOf(asked))
        self.assertNoResult(body)
        ((phase, event, close),) = triggers
        close()
        agent.flush()
        self.assertEqual(("before", "shutdown"), (phase, event))
        late = agent.request(b"GET", b"http://example.com/")
        for ended in (body, readBody(self.successResultOf(late))):
            self.assertEqual(b"retry: 2000\n\n", self.successResultOf(ended))

    def test_events(self) -> None:
        """
        Nobody listens by HEAD, and an event is not long: a hundred are kept for a
        client that does not read.
        """
        self.patch(reactor, "addSystemEventTrigger", lambda *what: None)
        events = example("howto/events")["Events"](Clock())
        agent = MemoryAgent(events)
        self.addCleanup(agent.close)
        asked = agent.request(b"HEAD", b"http://example.com/")
        agent.flush()
        self.assertEqual(200, self.successResultOf(asked).code)
        self.assertEqual(set(), events.listeners)
        self.assertEqual(200, self.ask(events, b"x" * 10_000)[0])
        self.assertEqual(413, self.ask(events, b"x" * 10_001)[0])

    def test_whoAmI(self) -> None:
        """
        A client on a UNIX socket has no host.
        """

        class Asking:
            def getRequestHostname(self) -> bytes:
                return b"a"

            def getClientAddress(self) -> UNIXAddress:
                return UNIXAddress(None)

        who = example("howto/whoami")["WhoAmI"]()
        self.assertEqual(b"somebody here asks for a\n", who.render_GET(Asking()))


class RefusedTests(TestCase):
    """
    An example of the client, and a server that is not there.
    """

    async def test_timeouts(self) -> None:
        """
        It says what failed.
        """
        url = f"http://127.0.0.1:{free_port()}/"
        out = io.StringIO()
        with redirect_stdout(out):
            done: Deferred[None] = example("client_timeouts")["main"](reactor, url)
            await done
        self.assertRegex(out.getvalue(), "^failed: .*refused")
