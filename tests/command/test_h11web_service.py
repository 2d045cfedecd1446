"""
The service of C{twistd h11web}: what it serves with, and how it starts and
stops.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from typing import Any, cast

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.failure import Failure
from twisted.spread.pb import PBServerFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import demo, static
from zope.interface import implementer

from tests.support.wire import Wire
from twisted_h11 import tap
from twisted_h11._command.endpoints import describe_port
from twisted_h11._command.service import ListeningService, StartError
from twisted_h11._command.welcome import Welcome
from twisted_h11.server import SERVER_HEADER, LogFileError, Site


class Port:
    """
    A listening port in memory.
    """

    def __init__(self) -> None:
        self.closed: Deferred[None] | None = None

    def getHost(self) -> IPv4Address:
        """
        Where it listens.
        """
        return IPv4Address("TCP", "192.0.2.1", 4321)

    def stopListening(self) -> Deferred[None]:
        """
        Close it, when the test says so.
        """
        self.closed = Deferred()
        return self.closed


@implementer(IStreamServerEndpoint)
class Endpoint:
    """
    An endpoint that gives what it is told to.
    """

    def __init__(self, result: Deferred[Any]) -> None:
        self.result = result
        self.factories: list[object] = []

    def listen(self, factory: object) -> Deferred[Any]:
        """
        Listen, or fail to.
        """
        self.factories.append(factory)
        return self.result


class Reactor:
    """
    As much of a reactor as the service needs.
    """

    def __init__(self, running: bool) -> None:
        self.running = running
        self.calls: list[str] = []

    def stop(self) -> None:
        """
        Stop, if it runs.
        """
        if not self.running:
            raise ReactorNotRunning()
        self.calls.append("stop")

    def callWhenRunning(self, function: Any) -> None:
        """
        Run, for the purpose of this.
        """
        self.running = True
        function()

    def iterate(self, delay: float) -> None:
        """
        One turn.
        """
        self.calls.append("iterate")


def in_use(port: int = 80) -> CannotListenError:
    """
    What listening on a port in use raises.
    """
    return CannotListenError("", port, OSError(98, "Address already in use"))


class ServiceTestCase(SynchronousTestCase):
    """
    Catches stderr and the log.
    """

    def setUp(self) -> None:
        """
        Catch.
        """
        self.stderr = io.StringIO()
        self.patch(sys, "__stderr__", self.stderr)
        self.events: list[Any] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.reactor = Reactor(running=False)
        self.failed: list[bool] = []

    def service(self, *results: Deferred[Any], drain: Any = None) -> ListeningService:
        """
        A service that listens on endpoints with these results.
        """
        listen = [
            (f"test:{number}", cast(IStreamServerEndpoint, Endpoint(result)))
            for number, result in enumerate(results)
        ]
        service = ListeningService(listen, Factory(), drain, self.reactor)
        service._failAtExit = lambda: self.failed.append(True)
        return service


class StartTests(ServiceTestCase):
    """
    Opening the ports.
    """

    def test_once(self) -> None:
        """
        The ports are opened with privileges, and not again without.
        """
        service = self.service(succeed(Port()), succeed(Port()))
        service.privilegedStartService()
        service.startService()
        self.assertEqual(2, len(service.ports))
        for _, endpoint in service.listen:
            self.assertEqual([service.factory], cast(Any, endpoint).factories)

    def test_withoutPrivileges(self) -> None:
        """
        Where nobody calls C{privilegedStartService}, C{startService} opens them.
        """
        service = self.service(succeed(Port()))
        service.startService()
        self.assertEqual(1, len(service.ports))

    def test_logged(self) -> None:
        """
        The log says where it listens, with the port that was bound.
        """
        self.service(succeed(Port())).startService()
        self.assertEqual("http://192.0.2.1:4321/", self.events[-1]["where"])

    def test_failure(self) -> None:
        """
        A port that does not open is one line on stderr, one in the log, and an
        exception that twistd cleans up for and that ends in a status of 1.
        """
        service = self.service(fail(in_use()))
        error = self.assertRaises(StartError, service.privilegedStartService)
        self.assertIsInstance(error, Exception)
        self.assertIsInstance(error, SystemExit)
        self.assertEqual(1, error.code)
        self.assertEqual("test:0: Address already in use", str(error))
        self.assertEqual(
            "twistd h11web: can not listen on test:0: Address already in use\n",
            self.stderr.getvalue(),
        )
        self.assertEqual("Address already in use", self.events[-1]["reason"])

    def test_noAccessLog(self) -> None:
        """
        A log that can not be opened is said, and not that a port could not be; there
        may be nowhere to say it.
        """
        error = LogFileError(13, "Permission denied", "/x")
        for stderr in (self.stderr, None):
            self.patch(sys, "__stderr__", stderr)
            service = self.service(fail(error))
            self.assertRaises(StartError, service.privilegedStartService)
            self.assertEqual("/x: Permission denied", self.events[-1]["reason"])
        self.assertEqual(
            "twistd h11web: can not write the access log /x: Permission denied\n",
            self.stderr.getvalue(),
        )

    def test_lock(self) -> None:
        """
        The lock of a UNIX socket that can not be made is removed; that of another
        process stays.
        """
        path = self.mktemp()
        for pid, stays in ((os.getpid(), False), (1, True)):
            os.symlink(str(pid), f"{path}.lock")
            error = CannotListenError(None, path, OSError(98, "Address in use"))
            service = self.service(fail(error))
            self.assertRaises(StartError, service.privilegedStartService)
            self.assertEqual(stays, os.path.lexists(f"{path}.lock"))

    def test_failureClosesTheOthers(self) -> None:
        """
        When one port does not open, those before it are closed in the next
        turns of the reactor, which will not run otherwise.
        """
        port = Port()

        def iterate(delay: float) -> None:
            self.reactor.calls.append("iterate")
            if len(self.reactor.calls) == 2:
                assert port.closed is not None
                port.closed.callback(None)

        self.patch(self.reactor, "iterate", iterate)
        service = self.service(succeed(port), fail(in_use()))
        self.assertRaises(StartError, service.privilegedStartService)
        self.assertEqual(["iterate"] * 2, self.reactor.calls)

    def test_failureDrains(self) -> None:
        """
        What is closed when the site has drained, is closed too.
        """
        drained: Deferred[None] = Deferred()

        def iterate(delay: float) -> None:
            self.reactor.calls.append("iterate")
            if len(self.reactor.calls) == 2:
                drained.callback(None)

        self.patch(self.reactor, "iterate", iterate)
        service = self.service(fail(in_use()), drain=lambda: drained)
        self.assertRaises(StartError, service.privilegedStartService)
        self.assertEqual(["iterate"] * 2, self.reactor.calls)

    def test_failureGivesUpOnTheOthers(self) -> None:
        """
        A port that does not close does not keep the process.
        """
        service = self.service(succeed(Port()), fail(in_use()))
        self.assertRaises(StartError, service.privilegedStartService)
        self.assertEqual(["iterate"] * 10, self.reactor.calls)

    def test_laterFailure(self) -> None:
        """
        A port that fails to open with the reactor running stops it, and the
        status of the process will say so.
        """
        waiting: Deferred[Any] = Deferred()
        service = self.service(waiting)
        service.startService()
        self.reactor.running = True
        waiting.errback(ValueError("no onion today"))
        self.assertEqual(["stop"], self.reactor.calls)
        self.assertEqual([True], self.failed)
        self.assertIn("test:0: no onion today\n", self.stderr.getvalue())

    def test_laterFailures(self) -> None:
        """
        Several failures at a time are as one: the reactor is stopping already.
        """
        service = self.service()
        self.reactor.running = True
        service.failedLater()

        def refuse() -> None:
            raise ReactorNotRunning

        self.patch(self.reactor, "stop", refuse)
        service.failedLater()
        self.assertEqual(["stop"], self.reactor.calls)

    def test_statusOfLaterFailure(self) -> None:
        """
        However orderly the process ends then, its status is 1, and what was written is
        not lost.
        """
        leaving: list[Any] = []
        exits: list[int] = []
        self.patch(atexit, "register", leaving.append)
        self.patch(os, "_exit", exits.append)
        raw = io.BytesIO()
        self.patch(sys, "stdout", io.TextIOWrapper(raw))
        self.patch(sys, "__stdout__", None)
        waiting: Deferred[Any] = Deferred()
        listen: Any = [("test:0", Endpoint(waiting))]
        ListeningService(listen, Factory(), None, self.reactor).startService()
        waiting.errback(in_use())
        sys.stdout.write("said before")
        (leave,) = leaving
        self.assertEqual([], exits)
        leave()
        self.assertEqual(([1], b"said before"), (exits, raw.getvalue()))

    def test_failureBeforeTheReactorRuns(self) -> None:
        """
        The same just before the reactor runs stops it as soon as it does.
        """
        waiting: Deferred[Any] = Deferred()
        self.service(waiting).startService()
        waiting.errback(in_use())
        self.assertEqual(["stop"], self.reactor.calls)
        self.assertEqual([True], self.failed)


class StopTests(ServiceTestCase):
    """
    Closing the ports and draining the connections.
    """

    def test_order(self) -> None:
        """
        The connections are drained when all ports are closed; the service has
        stopped when they are gone.
        """
        port, drained = Port(), Deferred[None]()
        calls: list[str] = []

        def drain() -> Deferred[None]:
            calls.append("drain")
            return drained

        service = self.service(succeed(port), drain=drain)
        service.startService()
        stopped = service.stopService()
        self.assertEqual([], calls)
        assert port.closed is not None
        port.closed.callback(None)
        self.assertEqual(["drain"], calls)
        self.assertNoResult(stopped)
        drained.callback(None)
        self.successResultOf(stopped)

    def test_pending(self) -> None:
        """
        A port that is still opening is given up, without a complaint.
        """
        waiting: Deferred[Any] = Deferred()
        cancelled: list[Failure] = []

        def note(failure: Failure) -> Failure:
            cancelled.append(failure)
            return failure

        waiting.addErrback(note)
        service = self.service(waiting)
        service.startService()
        self.successResultOf(service.stopService())
        self.assertTrue(cancelled[0].check(CancelledError))
        self.assertEqual("", self.stderr.getvalue())

    def test_again(self) -> None:
        """
        A service that was stopped can be started again.
        """
        service = self.service(Deferred())
        service.startService()
        self.successResultOf(service.stopService())
        cast(Any, service.listen[0][1]).result = succeed(Port())
        service.startService()
        self.assertEqual(1, len(service.ports))


class DescribePortTests(SynchronousTestCase):
    """
    L{describe_port}.
    """

    def test_addresses(self) -> None:
        """
        IP addresses are URLs, UNIX sockets are named; what is unknown is
        called by its description.
        """
        four = IPv4Address("TCP", "0.0.0.0", 80)
        six = IPv6Address("TCP", "::1", 81)
        for description, host, expected in (
            ("tcp:80", four, "http://0.0.0.0:80/"),
            ("port 80", four, "http://0.0.0.0:80/"),
            ("tcp6:81", six, "http://[::1]:81/"),
            ("ssl:80", four, "https://0.0.0.0:80/"),
            ("haproxy:ssl:80", four, "https://0.0.0.0:80/"),
            ("haproxy:tcp:80", four, "http://0.0.0.0:80/"),
            ("tls:/x", six, "https://[::1]:81/"),
            ("unix:/x", UNIXAddress("/x"), "unix:/x"),
            ("stdio:", None, "stdio:"),
        ):
            self.assertEqual(expected, describe_port(description, host))


class MakeServiceTests(SynchronousTestCase):
    """
    L{tap.makeService}.
    """

    def make(self, *arguments: str) -> Any:
        """
        The factory that a command line listens with.
        """
        options = tap.Options()
        options.parseOptions(list(arguments))
        self.made = cast(MultiService, tap.makeService(options))
        [listening] = self.made
        return listening.factory

    def test_welcome(self) -> None:
        """
        Without a root it is the welcome.
        """
        site = self.make()
        self.assertIs(Site, type(site))
        self.assertIsInstance(site.resource, Welcome)
        self.assertEqual(SERVER_HEADER, site.serverHeader)
        self.assertTrue(site.accessLog)
        self.assertFalse(site.displayTracebacks)

    def test_settings(self) -> None:
        """
        The options reach the site.
        """
        site = self.make(
            *("--path", ".", "--index", "x.html", "--server-header", "off"),
            *("--no-access-log", "--display-tracebacks", "--max-field-count", "3"),
            *("--add-header", "X-A: b"),
        )
        self.assertIsInstance(site.resource, static.File)
        self.assertEqual(["x.html"], site.resource.indexNames)
        self.assertIsNone(site.serverHeader)
        self.assertFalse(site.accessLog)
        self.assertTrue(site.displayTracebacks)
        self.assertEqual(3, site.limits.maxFieldCount)
        self.assertEqual([(b"X-A", b"b")], list(site.extraHeaders))

    def test_logfile(self) -> None:
        """
        C{--logfile} is the path of the access log.
        """
        path = self.mktemp()
        self.assertTrue(self.make("--logfile", path).logPath.endswith(path))

    def test_grace(self) -> None:
        """
        Stopping drains the site for as long as C{--grace} and C{--drain-idle} say.
        """
        graces: list[tuple[float, float]] = []

        def drain(site: Site, timeout: float, idle: float) -> Deferred[None]:
            graces.append((timeout, idle))
            return succeed(None)

        self.patch(Site, "drain", drain)
        self.make("--grace", "7", "--drain-idle", "0.5")
        self.successResultOf(self.made.stopService())
        self.assertEqual([(7, 0.5)], graces)

    def test_addHeader(self) -> None:
        """
        C{--add-header} is in responses, those of the server itself included.
        """
        for request in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"nonsense\r\n\r\n"):
            site = self.make("--add-header", "X-A: b", "--no-access-log")
            site.reactor = clock = Clock()
            response = Wire(site, clock).send(request).responses[0]
            self.assertEqual([b"b"], response.all(b"x-a"))

    def test_personal(self) -> None:
        """
        C{--personal} publishes the site.
        """
        factory = self.make("--personal", "--class", "twisted.web.demo.Test")
        self.assertIsInstance(factory, PBServerFactory)
        self.assertIsInstance(factory.root.site.resource, demo.Test)

    def test_http2Plain(self) -> None:
        """
        C{--http2} without an endpoint that could choose it is one line, too.
        """
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        self.patch(sys.modules["twisted_h11._server.site"], "check_http2", lambda: None)
        for arguments in (
            [],
            ["-p", "81", "--interface", "::1"],
            ["--listen", "unix:/x", "--listen", "haproxy:tcp:1"],
        ):
            error = self.assertRaises(StartError, self.make, "--http2", *arguments)
            self.assertEqual(1, error.code)
            self.assertIn("--http2 needs TLS: --https 443 ", stderr.getvalue())

    def test_http2Missing(self) -> None:
        """
        C{--http2} without what it needs is one line and a status of 1.
        """
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)

        def refuse() -> None:
            raise ValueError("HTTP/2 needs more")

        self.patch(sys.modules["twisted_h11._server.site"], "check_http2", refuse)
        error = self.assertRaises(StartError, self.make, "--http2")
        self.assertEqual(1, error.code)
        self.assertEqual("twistd h11web: HTTP/2 needs more\n", stderr.getvalue())
