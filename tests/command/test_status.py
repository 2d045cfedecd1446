"""
The status site of C{twistd h11web}.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from typing import Any

from twisted.internet.error import CannotListenError

from tests.command.test_h11web_options import OptionsTestCase
from tests.support.command_loop import CommandLoopTestCase
from tests.support.server_cases import GET, get
from tests.support.wire import Wire
from twisted_h11._command.service import StartError


class OptionTests(OptionsTestCase):
    """
    The option.
    """

    def test_given(self) -> None:
        """
        Without it nothing counts, with it something does.
        """
        self.assertIsNone(self.parse()["metrics"])
        options = self.parse("--status-listen", "tcp:0")
        self.assertEqual(options["status"][0], "tcp:0")
        self.assertIsNotNone(options["metrics"])

    def test_library(self) -> None:
        """
        The library for C{/metrics} is loaded at once: in another root there is none.
        """
        library = import_module("prometheus_client.core")
        self.addCleanup(sys.modules.update, {"prometheus_client.core": library})
        del sys.modules["prometheus_client.core"]
        self.parse()
        self.assertNotIn("prometheus_client.core", sys.modules)
        self.parse("--status-listen", "tcp:0")
        self.assertIn("prometheus_client.core", sys.modules)

    def test_wrong(self) -> None:
        """
        What is no endpoint is told in one line.
        """
        for description in ("9000", "tcp:x", "nonsense:5"):
            message = self.refused("--status-listen", description)
            self.assertTrue(message.startswith(f"--status-listen {description}: "))
        message = self.refused("--personal", "--status-listen", "tcp:0")
        self.assertIn("exclude each other", message)

    def test_noDirectory(self) -> None:
        """
        So is a place for the numbers of workers that can not be used.
        """
        self.patch(os, "environ", {"H11WEB_METRICS_DIRECTORY": "/none/at/all"})
        message = self.refused("--status-listen", "tcp:0")
        self.assertRegex(message, "^--status-listen: .*No such file or directory$")


class ServiceTests(CommandLoopTestCase):
    """
    What is served, and for how long.
    """

    arguments = ("--port=tcp:8080", "--status-listen=tcp:9000")

    def health(self) -> tuple[int, bytes]:
        """
        How the server says that it is.
        """
        wire = Wire(self.loop.ports[9000].factory, self.loop)
        response = wire.send(get(b"/health")).only()
        wire.vanish()
        return response.status, response.body

    def test_life(self) -> None:
        """
        It is there until the last connection of the site has ended, and says meanwhile
        that this is about to be.
        """
        service = self.make(*self.arguments)
        service.privilegedStartService()
        self.assertEqual({8080, 9000}, set(self.loop.ports))
        service.startService()
        self.assertEqual((200, b"ok\n"), self.health())
        web = Wire(self.loop.ports[8080].factory, self.loop).send(GET)
        stopped = service.stopService()
        self.assertEqual((503, b"draining\n"), self.health())
        closed = [self.loop.ports[number].closed for number in (8080, 9000)]
        self.assertEqual([True, False], closed)
        self.assertNoResult(stopped)
        web.vanish()
        self.loop.advance(0)
        self.successResultOf(stopped)
        self.assertTrue(self.loop.ports[9000].closed)
        self.assertEqual([], self.loop.getDelayedCalls())

    def test_notStarted(self) -> None:
        """
        What was not started can be stopped.
        """
        self.successResultOf(self.make(*self.arguments).stopService())

    def test_siteFails(self) -> None:
        """
        If the site can not listen, the status site does not go on listening.
        """

        def refuse(port: int, *args: Any, **kwargs: Any) -> Any:
            if port == 8080:
                raise CannotListenError("", port, OSError(98, "in use"))
            return listen(port, *args, **kwargs)

        listen = self.loop.listenTCP
        self.patch(self.loop, "listenTCP", refuse)
        self.patch(sys, "__stderr__", io.StringIO())
        service = self.make(*self.arguments)
        self.assertRaises(StartError, service.privilegedStartService)
        self.assertTrue(self.loop.ports[9000].closed)
        self.successResultOf(service.stopService())

    def test_check(self) -> None:
        """
        C{--check} opens its port, too, and closes it.
        """
        stdout = io.StringIO()
        self.patch(sys, "stdout", stdout)
        error = self.assertRaises(SystemExit, self.make, "--check", *self.arguments)
        self.assertEqual(0, error.code)
        fine = "twistd h11web: everything is as it should be\n"
        self.assertEqual(fine, stdout.getvalue())
        self.assertEqual({8080, 9000}, set(self.loop.ports))
        self.assertTrue(all(port.closed for port in self.loop.ports.values()))
