"""
A server that has its process for itself.
"""

from __future__ import annotations

import io
import os
import signal
from typing import Any

from twisted.logger import Logger, globalLogPublisher
from twisted.web.resource import Resource

from tests.support.command_loop import CommandLoopTestCase
from tests.support.server_cases import GET
from tests.support.wire import Wire
from twisted_h11 import tap
from twisted_h11._command import worker
from twisted_h11._command.notify import REPLACE, Notifier
from twisted_h11.server import add_request_id


class Logging(Resource):
    """
    Logs each request.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        Log it.
        """
        Logger().info("was asked for something")
        return b""


class ProcessTests(CommandLoopTestCase):
    """
    What it heeds, and when it ends.
    """

    def serve(self, *words: str) -> Any:
        """
        Start it.

        @return: a client.
        """
        self.service = self.make("--port=tcp:8080", *words)
        self.service.privilegedStartService()
        self.service.startService()
        self.loop.start()
        return Wire(self.loop.ports[8080].factory, self.loop)

    def test_told(self) -> None:
        """
        Whoever has started it is told when it listens, and when it does no longer.
        """
        told: list[str] = []
        self.patch(Notifier, "tell", lambda notifier, line: told.append(line))
        self.serve().vanish()
        self.assertEqual(["READY=1"], told)
        self.loop.stop()
        self.successResultOf(self.service.stopService())
        self.assertEqual(["READY=1", "STOPPING=1"], told)

    def test_maxRequests(self) -> None:
        """
        After so many requests it ends; a worker asks for its successor.
        """
        told: list[str] = []
        self.patch(Notifier, "tell", lambda notifier, line: told.append(line))
        self.patch(Notifier, "_beat", lambda notifier: None)
        for inherited in ([], [worker.Inherited(os.getppid(), [])]):
            self.patch(worker, "_inherited", inherited)
            del told[:]
            wire = self.serve("--max-requests=3")
            self.assertEqual(["READY=1"], told)
            wire.send(GET, GET)
            self.assertEqual((True, 1), (self.loop.running, len(told)))
            wire.send(GET)
            self.assertEqual([200] * 3, wire.statuses)
            self.assertEqual(bool(inherited), self.loop.running)
            self.assertEqual([REPLACE] if inherited else [], told[1:])

    def test_maxRequestsWhileStopping(self) -> None:
        """
        If it is about to end by then, nothing more happens, and the last request is
        logged as the others are.
        """
        wire = self.serve("--max-requests=2")
        site = self.loop.ports[8080].factory
        site.startFactory()
        self.addCleanup(site.stopFactory)
        site.logFile = access = io.StringIO()
        wire.send(GET)
        self.loop.stop()
        self.service.stopService()
        wire.send(GET)
        self.assertEqual([200] * 2, wire.statuses)
        self.assertEqual(2, access.getvalue().count("GET / HTTP/1.1"))
        self.assertEqual([], self.flushLoggedErrors())

    def test_freezes(self) -> None:
        """
        Once its reactor runs, all that exists is exempt from garbage collection; a
        service in another program leaves the collector alone.
        """
        service = self.make("--port=tcp:8080")
        service.privilegedStartService()
        service.startService()
        self.assertEqual([], self.frozen)
        self.loop.start()
        self.assertEqual(1, len(self.frozen))
        self.loop.stop()
        self.successResultOf(service.stopService())
        options = tap.Options()
        options.parseOptions(["--port=tcp:8081"])
        embedded = tap.makeService(options)
        embedded.privilegedStartService()
        embedded.startService()
        self.loop.start()
        self.assertIn(8081, self.loop.ports)
        self.assertEqual(1, len(self.frozen))
        self.successResultOf(embedded.stopService())

    def test_report(self) -> None:
        """
        SIGUSR2 has the log say what it does.
        """
        self.serve().send(GET)
        signal.raise_signal(signal.SIGUSR2)
        (report,) = self.lines("Report: ")
        self.assertIn("1 connections: 1 idle", report)

    def test_identifiers(self) -> None:
        """
        With C{--request-ids} its log tells the requests.
        """
        self.addCleanup(globalLogPublisher.removeObserver, add_request_id)
        for words in ((), ("--request-ids=on",)):
            del self.events[:]
            self.serve(f"--class={__name__}:Logging", *words).send(GET)
            (event,) = [e for e in self.events if e.get("log_namespace") == __name__]
            self.assertEqual(bool(words), "request_id" in event)
