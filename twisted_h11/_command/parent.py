"""
The parent of several workers: it opens the sockets, and keeps the workers running.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from twisted_h11._boundary.explain import explain
from twisted_h11._boundary.variables import METRICS_DIRECTORY
from twisted_h11._command.handed import OpeningReactor
from twisted_h11._command.notified import NotifySockets
from twisted_h11._command.notify import Notifier
from twisted_h11._command.service import ListeningService, StartError
from twisted_h11._command.signals import Signals
from twisted_h11._command.stopping import Stopping, leave
from twisted_h11._command.workers import Workers

__all__ = ["ParentService", "make_parent"]

# How many seconds the parent waits for the workers to stop listening.
_LISTENING = 0.5

# Workers end by themselves when the grace is over; this many seconds later they are
# killed.
_LATE = 0.7

# The options of twistd that are passed to a worker.  It inherits the user and the umask
# from its parent, and gets the log separately.
_SAME = ("reactor", "rundir", "prefix")


class ParentService(Service):
    """
    Opens the sockets, and runs the workers that serve them.

    @param config: the options.
    @param reactor: the reactor.
    @param notifier: notifies when all workers are ready, and when none listens.
    """

    _log = Logger()

    def __init__(self, config: Any, reactor: Any, notifier: Notifier) -> None:
        self._config = config
        self._reactor = reactor
        self._opening: OpeningReactor = config["opening"]
        self._sockets = NotifySockets(reactor)
        self._directory = os.getcwd()
        self._environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LISTEN_", "WATCHDOG_")) and name != "NOTIFY_SOCKET"
        }
        grace = config["grace"]
        self.workers = Workers(
            reactor,
            config["workers"],
            config["worker-start-timeout"],
            config["worker-timeout"],
            self._environ,
            self._directory,
            self._sockets,
            grace,
        )
        status = [] if config["status"] is None else [config["status"]]
        self.listening = ListeningService([*status, *config["listen"]], Factory())
        self.stopping = Stopping(
            self.workers,
            None,
            grace,
            self._leave,
            idle=config["drain-idle"],
            late=_LATE,
        )
        self.stopping.status = lambda: int(self.listening.failed)
        self._drain = notifier.around(self.stopping.drain)
        self.workers.onReady = notifier.ready
        self.workers.onFailure = self._failed

    def privilegedStartService(self) -> None:
        """
        Open the sockets.

        @raise StartError: if a socket can not be opened.
        """
        super().privilegedStartService()
        self.listening.privilegedStartService()

    def startService(self) -> None:
        """
        Start the workers, after privileges were dropped.

        @raise StartError: if that is not possible.
        """
        super().startService()
        self.listening.startService()
        try:
            self._startWorkers()
        except (OSError, CannotListenError) as error:
            raise self._canNotStart(explain(error)) from None

    def _startWorkers(self) -> None:
        names = self._opening.names(os.environ)
        descriptors = self._opening.descriptors(len(names))
        more = ["h11web"] * (len(descriptors) - len(names))
        self._environ["LISTEN_FDS"] = str(len(descriptors))
        self._environ["LISTEN_FDNAMES"] = ":".join([*names, *more])
        if self._config["status"] is not None:
            self._environ[METRICS_DIRECTORY] = self._sockets.makeFolder("metrics")
        isDaemon = not self._config.parent.get("nodaemon")
        self.workers.start(self._command(len(names)), descriptors, isDaemon)

    def stopService(self) -> Deferred[None]:
        """
        Tell the workers to end, and close the sockets when they have stopped
        listening, or have not done so for half a second.
        """
        super().stopService()
        done = self._drain()
        # Closing a socket here closes it for the workers, too, so wait for them.
        leaving = self.workers.whenLeaving().addTimeout(_LISTENING, self._reactor)
        closed = leaving.addErrback(lambda _: None).addCallback(
            lambda _: self.listening.stopService()
        )
        return closed.addCallback(lambda _: done)

    def _command(self, handed: int) -> list[str]:
        """
        The command that runs a worker.
        """
        command = self._config.parent
        words = [sys.executable, "-m", "twisted_h11._command.worker"]
        words += [str(os.getpid()), str(handed), "--nodaemon", "--pidfile="]
        words += [f"--{name}={command[name]}" for name in _SAME if command.get(name)]
        log = self._config["programLog"]
        if command.get("syslog"):
            words.append("--syslog")
        elif log is not None and log.path != "/dev/stdout":
            words.append(f"--logfile={log.path}")
        elif self._config["logger"]:
            words.append(f"--logger={self._config['logger']}")
        elif command.get("logfile"):
            words.append(f"--logfile={command['logfile']}")
        return [*words, "h11web", *self._config.given]

    def _failed(self, reason: str) -> None:
        if self.stopping.hasBegun or self.listening.failed:
            # Whoever has told us to end has told the worker, too; or another worker
            # has failed before.
            return
        _say(reason)
        self.listening.failedLater()

    def _canNotStart(self, reason: str) -> StartError:
        problem = f"can not start workers, with sockets in TMPDIR or /tmp: {reason}"
        self._log.error("Workers: {problem}", problem=problem)
        _say(problem)
        self.workers.killAll()
        self.listening.closeNow()
        return StartError(problem)

    def _leave(self, status: int) -> None:
        self.workers.killAll()
        leave(self._config.parent.get("pidfile"), status)


def _say(problem: str) -> None:
    """
    Write why the server does not start to the standard error, which may be closed.
    """
    if sys.__stderr__ is not None:
        print(f"twistd h11web: {problem}", file=sys.__stderr__, flush=True)


def make_parent(config: Any, logs: Any) -> IService:
    """
    Make the service of a parent.

    @param config: the options.
    @param logs: its logs.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    service: Any = ParentService(config, loop, Notifier(loop, os.environ))
    workers = service.workers
    signals = Signals(loop)
    signals.add(signal.SIGHUP, workers.replaceAll)
    signals.add(signal.SIGUSR1, logs.reopen)
    signals.add(signal.SIGUSR1, partial(workers.signalAll, signal.SIGUSR1))
    signals.add(signal.SIGUSR2, workers.report)
    signals.add(signal.SIGUSR2, partial(workers.signalAll, signal.SIGUSR2))
    service.stopping.heedEarlySignals()
    loop.callWhenRunning(service.stopping.heedSignals)
    signals.install()
    made: IService = service
    return made
