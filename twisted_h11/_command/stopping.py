"""
Ending C{twistd h11web} in time, whatever its threads do.

Connections and the threads of a WSGI application get a time of grace.  But Twisted
waits longer: it joins the threads of the reactor and of all thread pools, and a thread
that sleeps, or waits for the reactor itself, is never joined.  A resource that does not
return keeps the reactor from handling the signal at all.  So a thread watches from the
signal on, and ends the process if it still runs some time after the grace.

A second signal, or SIGQUIT, ends the process at once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from twisted_h11._boundary.opening import read_file
from twisted_h11._boundary.twisted_private import end_well
from twisted_h11._command.unix_ports import remove_sockets
from twisted_h11.wsgi import WSGIResource

__all__ = ["Stopping", "leave", "stop"]

# How many seconds after the grace the process is ended, and how many seconds writing
# the log may take then.
_LATE = 0.3
_LOG_TIME = 0.2


def leave(pidfile: str | None, status: int) -> None:
    """
    End the process at once, without any clean-up but that of the UNIX sockets and the
    pid file.

    @param pidfile: the path of twistd's pid file; it is removed if this process wrote
        it.
    """
    remove_sockets()
    if pidfile:
        with contextlib.suppress(OSError, ValueError):
            written = int(read_file(pidfile, 20))
            if written == os.getpid():
                os.unlink(pidfile)
    os._exit(status)


def stop(reactor: Any) -> None:
    """
    End in good order, unless that has begun.

    @param reactor: the reactor.
    """
    with contextlib.suppress(ReactorNotRunning):
        reactor.stop()


def _ignore_signals() -> None:
    """
    Let no other signal end the process while the interpreter ends, which takes a while:
    the exit status would be another one.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):
            signal.signal(number, signal.SIG_IGN)


class Stopping:
    """
    Ends a site and its application.

    @ivar status: called for the exit status of the process.

    @param site: a L{Site<twisted_h11.server.Site>}.
    @param root: its root; a L{WSGIResource} has threads.
    @param grace: how many seconds requests may go on.
    @param leave: ends the process with an exit status if it does not end by itself;
        C{None} to leave the process alone.
    @param idle: for how many seconds idle connections wait for another request.
    @param patient: whether to ignore a second signal.
    @param late: how many seconds after the grace the process is ended.
    """

    _log = Logger()

    def __init__(
        self,
        site: Any,
        root: Any,
        grace: float,
        leave: Callable[[int], object] | None = None,
        reactor: Any = None,
        idle: float = 0.0,
        patient: bool = False,
        late: float = _LATE,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self._site = site
        self._wsgi = root if isinstance(root, WSGIResource) else None
        self._grace = grace
        self._leave = leave
        self._idle = idle
        self._patient = patient
        self._late = late
        self._reactor = reactor
        self._timer: IDelayedCall | None = None
        self._deadline = 0.0
        self._aborted = 0
        # The reactor's thread and the watch may both log what was cut.
        self._telling = threading.Lock()
        self._watched = False
        self.status: Callable[[], int] = lambda: 0

    @property
    def hasBegun(self) -> bool:
        """
        Whether the process was told to end.
        """
        return self._watched

    def heedEarlySignals(self) -> None:
        """
        End at once by SIGTERM and SIGQUIT, and remove the pid file.  To be called
        before the reactor runs and has handlers of its own.
        """
        for number in (signal.SIGTERM, signal.SIGQUIT):
            with contextlib.suppress(ValueError):
                signal.signal(number, self._quit)

    def heedSignals(self) -> None:
        """
        Start the watch at a signal that ends the process.  To be called when the
        reactor runs and has its own handlers.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if callable(handler):
                # Python allows signal handlers in the main thread only.
                with contextlib.suppress(ValueError):
                    signal.signal(number, partial(self._signalled, handler))

    def _signalled(
        self, handler: Callable[..., object], number: int, frame: object
    ) -> None:
        if self._watched:
            if not self._patient:
                self._quit(number, frame)
            return
        self._beginWatch()
        handler(number, frame)

    def _quit(self, number: int, frame: object) -> None:
        # End without the reactor, which may hang.
        self.endNow(f"Ended at once by {signal.Signals(number).name}")

    def _beginWatch(self) -> None:
        if not self._watched:
            self._watched = True
            # The reactor has no handlers any more when it has stopped.
            atexit.register(_ignore_signals)
            watch = threading.Thread(target=self._watch, name="h11web", daemon=True)
            watch.start()

    def drain(self) -> Deferred[None]:
        """
        Drain the connections and the WSGI threads.  All ports must be closed before.

        @return: fires when all requests have ended, or were cut.
        """
        if self._leave is not None:
            self._beginWatch()
            end_well(self._reactor)
        self._deadline = self._reactor.seconds() + self._grace
        self._timer = self._reactor.callLater(self._grace, self._graceOver)
        drained: Deferred[None] = self._site.drain(self._grace, self._idle)
        return drained.addCallback(self._connectionsGone)

    def _graceOver(self) -> None:
        # The site's own timer runs next, and aborts the connections.
        self._timer = None
        self._aborted = self._site.connectionCount

    def _connectionsGone(self, _: object) -> Deferred[None] | None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._wsgi is None:
            self._over([])
            return None
        left = max(self._deadline - self._reactor.seconds(), 0)
        return self._wsgi.drain(left).addCallback(self._over)

    def _over(self, requests: list[str]) -> None:
        """
        Log what was cut, if anything was.
        """
        cut = []
        if self._aborted:
            cut.append(f"{self._aborted} connections")
        if requests:
            cut.append(f"{len(requests)} WSGI requests: {', '.join(requests)}")
        if cut:
            self._tell(self._graceIsOver(), "; ".join(cut))

    def _graceIsOver(self) -> str:
        return f"The grace of {self._grace:g} seconds is over"

    def _tell(self, why: str, cut: str) -> None:
        """
        Log what was cut, once.
        """
        if self._telling.acquire(blocking=False):
            self._log.warn("{why}; cut off: {cut}", why=why, cut=cut)

    # -- in a thread of its own ---------------------------------------------------

    def _watch(self) -> None:
        """
        Wait for the end of the process, and end it when it is late.
        """
        time.sleep(self._grace + self._late)
        self.endNow(self._graceIsOver())

    def endNow(self, why: str) -> None:
        """
        Write the last lines of the logs and end the process.  May be called in any
        thread.

        @param why: the reason, for the log.
        """
        # Writing to a log may be what hangs, so it is done in threads.
        ends = [
            threading.Thread(target=call, daemon=True)
            for call in (self._site.flushLog, partial(self._lastWords, why))
        ]
        for one in ends:
            one.start()
        until = time.monotonic() + _LOG_TIME
        for one in ends:
            one.join(max(until - time.monotonic(), 0))
        if self._leave is not None:
            self._leave(self.status())

    def _lastWords(self, why: str) -> None:
        names = [
            thread.name
            for thread in threading.enumerate()
            if not thread.daemon and thread is not threading.main_thread()
        ]
        count = self._site.connectionCount
        cut = [f"{count} connections"] if count else []
        if names:
            cut.append(f"threads: {', '.join(names)}")
        self._tell(why, "; ".join(cut) or "what runs")
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
