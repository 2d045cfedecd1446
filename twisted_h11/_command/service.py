"""
The service of C{twistd h11web}: it opens the ports, reports a port that can not be
opened, and closes the ports without cutting requests off.

A port that can not be opened must end the process with one line on stderr and a
status other than zero, and leave no pid file.  twistd removes its pid file, and
reports to the process that started the daemon, if C{privilegedStartService} raises an
C{Exception}; the interpreter ends without a traceback for a C{SystemExit}.
L{StartError} is both.

Some endpoints fail only when the reactor runs, where an exception would not end the
process: then the reactor is stopped, and the status is set while the interpreter
exits.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twisted_h11._boundary.descriptors import raise_descriptor_limit
from twisted_h11._command.endpoints import describe_port, explain
from twisted_h11._command.notify import Notifier
from twisted_h11._command.stopping import stop
from twisted_h11.server import LogFileError
from twisted_h11.service import SiteService

__all__ = ["ListeningService", "StartError"]


class StartError(SystemExit, Exception):
    """
    The server can not start.  If the start of a service raises it, twistd ends without
    a traceback and with a status of 1, and removes its pid file.

    @since: 0.1
    """

    def __init__(self, message: str) -> None:
        SystemExit.__init__(self, message)
        # Python prints a code that is text to sys.stderr, which may be the log by now.
        self.code = 1


def _fail_at_exit() -> None:
    """
    Make the exit status of this process 1, although the reactor ends normally.
    """

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
        os._exit(1)

    atexit.register(leave)


def _unlock(path: Any) -> None:
    """
    Remove the lock that Twisted leaves if it can not make a UNIX socket.

    @param path: the path of the socket, or a port number.
    """
    if isinstance(path, str | bytes):
        lock = os.fsdecode(path) + ".lock"
        with suppress(OSError):
            if os.readlink(lock) == str(os.getpid()):
                os.unlink(lock)


class ListeningService(SiteService):
    """
    Listens on several endpoints with one factory, and ends the process if one of them
    can not be opened.

    Stopping the service closes the ports first, and then drains the connections.

    @ivar failed: whether a port did not open after the start.

    @since: 0.1
    """

    def __init__(
        self,
        listen: Sequence[tuple[str, IStreamServerEndpoint]],
        factory: Factory[Any],
        drain: Callable[[], Deferred[None]] | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param listen: the endpoints, each with its description or another name.
        @param factory: the factory of the ports, usually a site.
        @param drain: called when no port is open any more.  The service has
            stopped when its Deferred fires.
        @param reactor: stopped when a port fails to open after the start.
            By default the global one.
        """
        self.listen = list(listen)
        self.factory = factory
        super().__init__(
            [(endpoint, factory) for _, endpoint in self.listen],
            reactor=reactor,
            names=[name for name, _ in self.listen],
        )
        self._drain = drain or (lambda: succeed(None))
        self.failed = False
        self._failAtExit = _fail_at_exit

    def privilegedStartService(self) -> None:
        """
        Raise the limit of open files to its maximum, and open all ports.

        @raise StartError: if a port can not be opened.
        """
        raise_descriptor_limit()
        super().privilegedStartService()

    def check(self, more: Callable[[], object] = lambda: None) -> None:
        """
        Check that all ports can be opened: open them, and close them again.

        @param more: called while they are open, for ports that are open together.
        @raise StartError: if a port can not be opened.
        """
        self.privilegedStartService()
        try:
            more()
        finally:
            self.closeNow()

    def opened(self, name: str, port: Any) -> None:
        """
        See L{SiteService}.
        """
        getHost = getattr(port, "getHost", None)
        self._log.info(
            "Listening on {where}",
            where=describe_port(name, getHost and getHost()),
            endpoint=name,
        )

    def failedToOpen(self, name: str, failure: Failure) -> Exception:
        """
        Report on stderr and in the log why a port did not open.
        """
        assert failure.value is not None
        reason = explain(failure.value)
        if isinstance(failure.value, CannotListenError):
            _unlock(failure.value.port)
        if failure.check(LogFileError):
            # The site opens its log when the first port opens.
            what, problem = "write the access log", reason
            self._log.error("Can not write the access log {reason}", reason=reason)
        else:
            what, problem = "listen on", f"{name}: {reason}"
            self._log.error(
                "Can not listen on {endpoint}: {reason}",
                endpoint=name,
                reason=reason,
            )
        if sys.__stderr__ is not None:
            line = f"twistd h11web: can not {what} {problem}"
            print(line, file=sys.__stderr__, flush=True)
        return StartError(problem)

    def failedLater(self) -> None:
        """
        A port failed to open after the start: end the process.
        """
        self.failed = True
        self._failAtExit()
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            # The reactor is about to run, as twistd starts services first; or it is
            # stopping, because of another failure.
            self._reactor.callWhenRunning(partial(stop, self._reactor))

    def tell(self, notifier: Notifier) -> None:
        """
        Notify systemd or the parent when the server listens, and when it stops.
        """

        def listening() -> None:
            self.whenListening().addCallbacks(
                lambda _: notifier.ready(), lambda _: None
            )

        self._drain = notifier.around(self._drain)
        self._reactor.callWhenRunning(listening)

    def drainSites(self) -> Deferred[None]:
        """
        Call the C{drain} that the service was given, if any.
        """
        return self._drain()
