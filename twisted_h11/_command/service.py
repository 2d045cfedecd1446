"""
The service of C{twistd h11web}: ports that open or say why not, and that close
without cutting off anybody who is being served.

A port that can not be opened must end the process with one line on stderr, a
status other than zero, and no pid file left behind.  twistd removes its pid
file, and tells the process that started the daemon, for an C{Exception} out of
C{privilegedStartService}; the interpreter ends without a traceback for a
C{SystemExit}.  L{StartError} is both.

Some endpoints fail only later, with the reactor running, when there is nobody
left to catch an exception: then the reactor is stopped, and the status is set
while the interpreter exits.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twisted_h11._boundary.descriptors import raise_descriptor_limit
from twisted_h11._command.endpoints import describe_port, explain
from twisted_h11._command.notify import Notifier
from twisted_h11.server import LogFileError
from twisted_h11.service import SiteService

__all__ = ["ListeningService", "StartError"]


class StartError(SystemExit, Exception):
    """
    The server can not start.  Raised out of a service's start, it ends twistd
    tidily, without a traceback and with a status of 1.

    @since: 0.1
    """

    def __init__(self, message: str) -> None:
        SystemExit.__init__(self, message)
        # A code that is text would be printed to sys.stderr: by now that may
        # be the log.
        self.code = 1


def _fail_at_exit() -> None:
    """
    Make the status of this process 1, however orderly it ends.
    """

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
        os._exit(1)

    atexit.register(leave)


class ListeningService(SiteService):
    """
    Listens on several endpoints with one factory, and ends the process when it can
    not.

    Stopping it closes the ports first and drains the connections then.

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
        @param factory: what to listen with.
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
        Open all ports, with as many descriptors as this process may have.

        @raise StartError: for one that can not be opened.
        """
        raise_descriptor_limit()
        super().privilegedStartService()

    def check(self) -> None:
        """
        See whether all ports can be opened: open them, and close them again.

        @raise StartError: for one that can not be opened.
        """
        self.privilegedStartService()
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
        Say on stderr and in the log why a port did not open.
        """
        assert failure.value is not None
        reason = explain(failure.value)
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
            # It is about to start: twistd starts services first.
            self._reactor.callWhenRunning(self._reactor.stop)

    def tell(self, notifier: Notifier) -> None:
        """
        Tell whoever has started this when it listens, and when it does no longer.
        """

        def listening() -> None:
            self.whenListening().addCallbacks(
                lambda _: notifier.ready(), lambda _: None
            )

        self._drain = notifier.around(self._drain)
        self._reactor.callWhenRunning(listening)

    def drainSites(self) -> Deferred[None]:
        """
        Drain the connections, and whatever else the command has.
        """
        return self._drain()
