"""
C{twistd h11web} as a process: what it prints, how it ends, and what it leaves
behind.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
from typing import Any
from urllib.request import urlopen

from twisted.trial.unittest import SkipTest

from tests.support.command_cases import SOON, TWISTD, CommandTestCase
from tests.support.long_cases import unnamed

skip = unnamed()

FROZEN = """
import gc
from twisted.web.resource import Resource


class Frozen(Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"%d" % gc.get_freeze_count()
"""

LATE_PLUGIN = """
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


class Late:
    def listen(self, factory):
        waiting = Deferred()
        reactor.callLater(0, waiting.errback, ValueError("the tunnel is gone"))
        return waiting


@implementer(IPlugin, IStreamServerEndpointStringParser)
class Parser:
    prefix = "late"

    def parseStreamServer(self, reactor, *arguments):
        return Late()


parser = Parser()
"""


def needs_pidfd() -> None:
    """
    Skip a test where a process that is not a child can not be waited for.
    """
    if not hasattr(os, "pidfd_open"):
        raise SkipTest("this platform has no pidfd_open")


class WrongTests(CommandTestCase):
    """
    Processes that end at once.
    """

    def test_option(self) -> None:
        """
        A wrong option is one line on stderr, nothing on stdout, and no file.
        """
        self.assertEqual(
            (1, "", "twistd h11web: --path nope: No such file or directory\n"),
            self.run_("-n", "h11web", "--path", "nope"),
        )
        self.assertEqual([], self.files())

    def test_portInUse(self) -> None:
        """
        A port in use is one line on stderr, no traceback, no pid file and no
        socket of a port that was opened before.
        """
        port = self.port()
        for reactor in ([], ["--reactor", "asyncio"]):
            status, out, err = self.run_(
                *("-n", *reactor, "h11web", "-p", str(port), "--interface"),
                *("127.0.0.1", "--listen", "unix:first", "--logfile", "access.log"),
            )
            self.assertEqual(1, status)
            self.assertEqual(
                f"twistd h11web: can not listen on port {port} of 127.0.0.1: "
                "Address already in use\n",
                err,
            )
            self.assertNotIn("Traceback", out)
            self.assertEqual(["access.log"], self.files())

    def test_noPrivileges(self) -> None:
        """
        If twistd ends after the ports were opened, no socket is left: it can not take
        another user.
        """
        with open(os.path.join(self.directory, "sitecustomize.py"), "w") as file:
            file.write("import os\n\n\ndef setgid(number):\n    raise OSError(1)\n\n\n")
            file.write("os.setgid = os.setuid = setgid\n")
        before = self.files()
        status, out, _ = self.run_(
            *("-n", "--uid", "0", "--gid", "1", "--pidfile="),
            *("h11web", "--listen", "unix:s"),
        )
        self.assertEqual(1, status)
        self.assertIn("Listening on unix:s", out)
        self.assertEqual(before, [one for one in self.files() if "cache" not in one])

    def test_portInUseWithLog(self) -> None:
        """
        With twistd's own log in a file the line is on stderr just so, and in
        the log.
        """
        description = f"tcp:{self.port()}:interface=127.0.0.1"
        status, out, err = self.run_("-nl", "x.log", "h11web", "-p", description)
        self.assertEqual(1, status)
        self.assertEqual("", out)
        reason = f"an not listen on {description}: Address already in use\n"
        self.assertEqual(f"twistd h11web: c{reason}", err)
        self.assertIn(f"C{reason}", self.read("x.log"))
        self.assertNotIn("Traceback", self.read("x.log"))
        self.assertEqual(["x.log"], self.files())

    def test_otherPorts(self) -> None:
        """
        An address of another machine, a port out of range and a socket in a
        missing directory are one line each.
        """
        for arguments, reason in (
            (["-p", "0", "--interface", "192.0.2.1"], "port 0 of 192.0.2.1: "),
            (["-p", "tcp:70000"], "tcp:70000: bind(): port must be 0-65535."),
            (["-p", "unix:nope/x"], "unix:nope/x: "),
        ):
            status, out, err = self.run_("-n", "h11web", *arguments)
            self.assertEqual(1, status)
            self.assertEqual(1, err.count("\n"))
            self.assertIn(f"twistd h11web: can not listen on {reason}", err)
            self.assertNotIn("Traceback", out)
            self.assertEqual([], self.files())

    def test_later(self) -> None:
        """
        An endpoint that fails with the reactor running ends the process the
        same way.
        """
        plugins = os.path.join(self.directory, "twisted", "plugins")
        os.makedirs(plugins)
        with open(os.path.join(plugins, "late_endpoint.py"), "w") as file:
            file.write(LATE_PLUGIN)
        status, out, err = self.run_("-n", "h11web", "--listen", "late:")
        self.assertEqual(
            (1, "twistd h11web: can not listen on late:: the tunnel is gone\n"),
            (status, err),
        )
        self.assertNotIn("Traceback", out)
        self.assertNotIn("twistd.pid", self.files())

    def test_daemon(self) -> None:
        """
        As a daemon it is twistd's own report, and the log.
        """
        needs_pidfd()
        status, out, err = self.run_(
            "h11web", "-p", str(self.port()), "--interface", "127.0.0.1"
        )
        self.assertEqual((1, ""), (status, out))
        self.assertIn("Address already in use", err)
        self.assertIn("Please look at log file", err)
        # The report comes before the daemon has cleaned up.
        try:
            daemon = os.pidfd_open(int(self.read("twistd.pid")))
        except (FileNotFoundError, ProcessLookupError):
            pass
        else:
            select.select([daemon], [], [], SOON)
            os.close(daemon)
        self.assertEqual(["twistd.log"], self.files())
        self.assertIn("Address already in use", self.read("twistd.log"))


class ServingTests(CommandTestCase):
    """
    Processes that serve.
    """

    def bound(self, log: str) -> str | None:
        """
        The URL in the line that says where it listens.
        """
        found = re.search(r"Listening on (http://127\.0\.0\.1:[1-9]\d*/)", log)
        return None if found is None else found[1]

    def test_foreground(self) -> None:
        """
        Port 0 takes a free port, the log says which, there the welcome
        answers, and SIGTERM ends it all with a status of 0.
        """
        process = self.popen("-n", "h11web", "-p", "0", "--interface", "127.0.0.1")
        assert process.stdout is not None
        url = next(filter(None, map(self.bound, process.stdout)))
        with urlopen(url + "x?a=b", timeout=SOON) as response:
            self.assertEqual("/x?a=b", json.load(response)["target"])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=SOON)
        self.assertEqual("", err)
        self.assertNotIn("Traceback", out)
        self.assertEqual(0, process.returncode)
        self.assertEqual([], self.files())

    def test_closedStreams(self) -> None:
        """
        A daemon starts with closed standard streams, and no file of the server gets
        their descriptors.
        """
        needs_pidfd()
        shell = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
        arguments = ("h11web", "-p", "0", "--interface", "127.0.0.1")
        process = subprocess.run(
            [*shell, *TWISTD, *arguments],
            cwd=self.directory,
            env=self.environment,
            timeout=SOON,
            check=False,
        )
        log = self.read("twistd.log")
        self.assertEqual(0, process.returncode, log)
        daemon = os.pidfd_open(int(self.read("twistd.pid")))
        self.addCleanup(os.close, daemon)
        url = self.bound(log)
        assert url is not None
        with urlopen(url, timeout=SOON) as response:
            self.assertEqual(200, response.status)
        signal.pidfd_send_signal(daemon, signal.SIGTERM)
        select.select([daemon], [], [], SOON)
        self.assertEqual(["twistd.log"], self.files())

    def test_frozen(self) -> None:
        """
        What exists at the start is exempt from garbage collection, in a process of its
        own as in a worker.
        """
        with open(os.path.join(self.directory, "frozen.py"), "w") as file:
            file.write(FROZEN)
        for words in ((), ("--workers", "1")):
            process = self.popen(
                *("-n", "h11web", "-p", "0", "--interface", "127.0.0.1"),
                *("--class", "frozen:Frozen", *words),
            )
            assert process.stdout is not None
            url = next(filter(None, map(self.bound, process.stdout)))
            with urlopen(url, timeout=SOON) as response:
                self.assertGreater(int(response.read()), 10_000)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SOON)
            self.assertEqual(0, process.returncode)

    def served(self, process: subprocess.Popen[str]) -> str:
        """
        Wait until it listens, and ask for something.

        @return: all that it printed.
        """
        assert process.stdout is not None
        before = []
        for line in process.stdout:
            before.append(line)
            url = self.bound(line)
            if url is not None:
                break
        else:
            raise self.failureException("".join(before))
        with urlopen(url + "something", timeout=SOON) as response:
            self.assertEqual(200, response.status)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=SOON)
        self.assertEqual("", err)
        return "".join(before) + out

    def test_logToStandardOutput(self) -> None:
        """
        The access log can be the standard output, a pipe too, by its name or as
        C{-}.
        """
        for name in ("-", "/dev/stdout"):
            process = self.popen(
                *("-n", "h11web", "-p", "0", "--interface", "127.0.0.1", "-l", name)
            )
            out = self.served(process)
            self.assertIn('"GET /something HTTP/1.1" 200', out)
            self.assertNotIn("Traceback", out)
            self.assertEqual([], self.files())

    def test_logToPipe(self) -> None:
        """
        It can be a named pipe that somebody reads; where nobody does, one line says
        that it can not be written, and not that a port could not be opened.
        """
        path = os.path.join(self.directory, "log.pipe")
        os.mkfifo(path)
        listen = ("-n", "h11web", "-p", "0", "--interface", "127.0.0.1", "-l", path)
        status, out, err = self.run_(*listen)
        self.assertEqual(1, status)
        self.assertIn(f"twistd h11web: can not write the access log {path}: ", err)
        self.assertEqual(1, err.count("\n"))
        self.assertNotIn("Traceback", out)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.served(self.popen(*listen))
        self.assertIn(b'"GET /something HTTP/1.1" 200', os.read(reader, 10_000))

    def test_daemon(self) -> None:
        """
        When the command returns, the daemon listens.
        """
        needs_pidfd()
        self.assertEqual(
            (0, "", ""),
            self.run_("h11web", "-p", "0", "--interface", "127.0.0.1", "-l", "a.log"),
        )
        daemon = os.pidfd_open(int(self.read("twistd.pid")))
        self.addCleanup(os.close, daemon)
        self.addCleanup(self.end, daemon)
        url = self.bound(self.read("twistd.log"))
        assert url is not None
        with urlopen(url, timeout=SOON) as response:
            self.assertEqual(200, response.status)
        self.end(daemon)
        self.assertEqual(["a.log", "twistd.log"], self.files())
        self.assertIn('"GET / HTTP/1.1" 200', self.read("a.log"))

    def end(self, daemon: int) -> None:
        """
        End a daemon that may have ended, and wait for it.
        """
        try:
            send: Any = signal.pidfd_send_signal
            send(daemon, signal.SIGTERM)
        except ProcessLookupError:
            return
        select.select([daemon], [], [], SOON)
