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

from twisted.application.service import Service
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    maybeDeferred,
    succeed,
)
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_h11._boundary.descriptors import raise_descriptor_limit
from twisted_h11._command.endpoints import describe_port, explain
from twisted_h11.server import LogFileError

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


class ListeningService(Service):
    """
    Listens on several endpoints with one factory.

    Stopping it closes the ports first and drains the connections then.

    @ivar failed: whether a port did not open after the start.

    @since: 0.1
    """

    _log = Logger()

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
        if reactor is None:
            from twisted.internet import reactor
        self.listen = list(listen)
        self.factory = factory
        self.ports: list[Any] = []
        self._drain = drain
        self._reactor = reactor
        self._waiting: list[Deferred[Any]] = []
        self._opened = False
        self.failed = False
        self._failAtExit = _fail_at_exit

    def privilegedStartService(self) -> None:
        """
        Open all ports, with as many descriptors as this process may have.

        @raise StartError: for one that can not be opened.
        """
        super().privilegedStartService()
        if self._opened:
            return
        self._opened = True
        raise_descriptor_limit()
        for description, endpoint in self.listen:
            self._open(description, endpoint)

    def startService(self) -> None:
        """
        Open all ports, unless L{privilegedStartService} has done it.
        """
        super().startService()
        if not self._opened:
            self.privilegedStartService()

    def _open(self, description: str, endpoint: IStreamServerEndpoint) -> None:
        """
        Open one port.
        """
        failedNow: list[Failure] = []
        starting = True

        def opened(port: Any) -> None:
            self.ports.append(port)
            getHost = getattr(port, "getHost", None)
            self._log.info(
                "Listening on {where}",
                where=describe_port(description, getHost and getHost()),
                endpoint=description,
            )

        def failed(failure: Failure) -> None:
            if failure.check(CancelledError):
                return
            if starting:
                failedNow.append(failure)
            else:
                self._failedLater(description, failure)

        waiting: Deferred[Any] = maybeDeferred(endpoint.listen, self.factory)
        self._waiting.append(waiting)
        waiting.addCallbacks(opened, failed)
        starting = False
        if failedNow:
            error = StartError(self._report(description, failedNow[0]))
            self._abandon()
            raise error

    def check(self) -> None:
        """
        See whether all ports can be opened: open them, and close them again.

        @raise StartError: for one that can not be opened.
        """
        self.privilegedStartService()
        self._abandon()

    def _abandon(self) -> None:
        """
        Close what is open already, so that no UNIX socket is left behind.

        A port closes in a later turn of the reactor, which will not run when
        twistd ends here.
        """
        stopped = self.stopService()
        turns = 0
        while not (self._reactor.running or stopped.called or turns == 10):
            # That of asyncio has no default for the delay.
            self._reactor.iterate(0)
            turns += 1

    def _report(self, description: str, failure: Failure) -> str:
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
            what, problem = "listen on", f"{description}: {reason}"
            self._log.error(
                "Can not listen on {endpoint}: {reason}",
                endpoint=description,
                reason=reason,
            )
        if sys.__stderr__ is not None:
            line = f"twistd h11web: can not {what} {problem}"
            print(line, file=sys.__stderr__, flush=True)
        return problem

    def _failedLater(self, description: str, failure: Failure) -> None:
        """
        A port failed to open after the start: end the process.
        """
        self._report(description, failure)
        self.failed = True
        self._failAtExit()
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            # It is about to start: twistd starts services first.
            self._reactor.callWhenRunning(self._reactor.stop)

    def stopService(self) -> Deferred[None]:
        """
        Close the ports, then drain the connections.

        @return: fires when all connections are gone.
        """
        super().stopService()
        waiting, self._waiting = self._waiting, []
        ports, self.ports = self.ports, []
        self._opened = False
        for pending in waiting:
            pending.cancel()
        closing = []
        for port in ports:
            # What stdio: gives is no port.
            close = getattr(port, "stopListening", None)
            if close is not None:
                closing.append(maybeDeferred(close))

        def drain(_: object) -> Deferred[None]:
            return succeed(None) if self._drain is None else self._drain()

        done: Deferred[Any] = DeferredList(closing, consumeErrors=True)
        return done.addCallback(drain)
