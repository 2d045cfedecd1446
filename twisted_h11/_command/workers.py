"""
The workers of a server: kept alive, replaced, and ended.

L{ProcessMonitor} runs them, starts those again that have ended, later and later if they
end soon, and kills those that do not end when they are told to.  Here is what it does
not know: whether a worker is ready, whether it still does anything, and that a new one
is to be ready before an old one is told to end.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.runner.procmon import ProcessMonitor

from twisted_h11._command.notified import NotifySockets
from twisted_h11._command.notify import REPLACE
from twisted_h11._command.spawning import Spawner

__all__ = ["State", "Worker", "Workers"]

# A worker that ends sooner than that is started again later and later.
_SOON = 10.0
_LEAST_DELAY = 0.2
_MOST_DELAY = 30.0


class State(Enum):
    """
    How far a worker is.
    """

    STARTING = "not ready yet"
    READY = "ready"
    LEAVING = "told to end"


class Worker:
    """
    One place for a process, in which processes follow each other that have failed.

    @ivar name: what L{ProcessMonitor} knows it by.
    @ivar number: in C{H11WEB_WORKER}; its successor has the same.
    @ivar state: how far it is.
    @ivar process: its process, while there is one.
    @ivar pid: the id of its last process.
    @ivar since: when the process began.
    @ivar successor: what is to take its place.
    @ivar replaces: whose place it is to take.
    @ivar missed: signals that it is to get when it has handlers for them.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.state = State.STARTING
        self.process: Any = None
        self.pid: int | None = None
        self.since = 0.0
        self.successor: Worker | None = None
        self.replaces: Worker | None = None
        self.timer: IDelayedCall | None = None
        self.missed: set[int] = set()

    def __str__(self) -> str:
        return f"{self.number} (process {self.pid or '-'})"

    def await_(self, timer: IDelayedCall | None) -> None:
        """
        Wait for something else from now on, or for nothing.
        """
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = timer


class Workers:
    """
    All workers.

    @ivar onReady: called once, when all are ready for the first time.
    @ivar onFailure: called with a reason when one ends before any was ready.

    @param reactor: the reactor.
    @param count: how many there are.
    @param startTimeout: seconds in which a worker has to be ready.
    @param timeout: seconds in which it has to give a sign of life.
    @param environ: their environment, but for what each has of its own.
    @param directory: where they run.
    @param sockets: where they tell how they are.
    """

    _log = Logger()
    # As of a site: see Stopping.
    _connections = ()

    def __init__(
        self,
        reactor: Any,
        count: int,
        startTimeout: float,
        timeout: float,
        environ: Mapping[str, str],
        directory: str,
        sockets: NotifySockets,
        grace: float,
    ) -> None:
        self._reactor = reactor
        self._command: list[str] = []
        self._count = count
        self._startTimeout = startTimeout
        self._timeout = timeout
        self._environ = environ
        self._directory = directory
        self._sockets = sockets
        self._spawner = Spawner(reactor, self._began, self._ended)
        self._monitor = monitor = ProcessMonitor(self._spawner)
        monitor.threshold = _SOON  # type: ignore[assignment]
        monitor.minRestartDelay = _LEAST_DELAY  # type: ignore[assignment]
        monitor.maxRestartDelay = _MOST_DELAY  # type: ignore[assignment]
        # They end by themselves when the grace is over.
        monitor.killTime = grace + 1  # type: ignore[assignment]
        self._workers: dict[str, Worker] = {}
        self._current: dict[int, Worker] = {}
        self._made = 0
        self._toReplace: deque[int] = deque()
        self._wasReady = False
        self._allReady = False
        self._stopping: Deferred[None] | None = None
        self._leaving: Deferred[None] | None = None
        self._left: set[str] = set()
        self.onReady: Callable[[], object] = lambda: None
        self.onFailure: Callable[[str], object] = lambda reason: None

    # -- the start ----------------------------------------------------------------

    def start(
        self,
        command: Sequence[str],
        descriptors: Sequence[int],
        logsOutput: bool = False,
    ) -> None:
        """
        Start all.

        @param logsOutput: whether what they write goes to our log: that of a daemon
            goes nowhere.
        @param command: what runs a worker.
        @param descriptors: the sockets that they get.
        """
        self._command = list(command)
        self._spawner.descriptors = list(descriptors)
        self._spawner.logsOutput = logsOutput
        self._monitor.startService()
        for number in range(1, self._count + 1):
            self._current[number] = self._add(number)

    def _add(self, number: int, replaces: Worker | None = None) -> Worker:
        self._made += 1
        worker = Worker(f"{number}.{self._made}", number)
        worker.replaces = replaces
        if replaces is not None:
            replaces.successor = worker
        self._workers[worker.name] = worker
        address = self._sockets.open(worker.name, lambda line: self._told(worker, line))
        environ = {
            **self._environ,
            "H11WEB_WORKER": str(number),
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(int(self._timeout * 1e6)),
        }
        self._monitor.addProcess(
            worker.name, self._command, env=environ, cwd=self._directory
        )
        return worker

    # -- what becomes of one --------------------------------------------------------

    def _began(self, name: str, process: Any) -> None:
        worker = self._workers[name]
        worker.process = process
        worker.pid = process.pid
        worker.state = State.STARTING
        worker.since = self._reactor.seconds()
        worker.await_(
            self._reactor.callLater(
                self._startTimeout, self._kill, worker, "was not ready"
            )
        )

    def _told(self, worker: Worker, line: str) -> None:
        if worker.process is None:
            # Of one that has ended meanwhile.
            return
        if line == "STOPPING=1":
            self._left.add(worker.name)
            if worker.state is not State.LEAVING:
                self._leavesByItself(worker)
            self._lookLeft()
        elif worker.state is State.LEAVING:
            return
        elif line == "READY=1" and worker.state is State.STARTING:
            worker.state = State.READY
            self._log.info("Worker {worker} is ready", worker=str(worker))
            self._awaitBeat(worker)
            for number in worker.missed:
                self._signal(worker, number)
            worker.missed.clear()
            self._ready(worker)
        elif line == "WATCHDOG=1" and worker.state is State.READY:
            self._awaitBeat(worker)
        elif line == REPLACE and worker.state is State.READY:
            self._replaceSoon(worker.number)

    def _leavesByItself(self, worker: Worker) -> None:
        """
        Somebody else has told a worker to end: have another one in its place at once.
        """
        if self._current[worker.number] is worker:
            self._retire(worker)
            if worker.successor is None:
                self._current[worker.number] = self._add(worker.number)

    def _awaitBeat(self, worker: Worker) -> None:
        worker.await_(
            self._reactor.callLater(
                self._timeout, self._kill, worker, "gave no sign of life"
            )
        )

    def _ready(self, worker: Worker) -> None:
        self._wasReady = True
        old, worker.replaces = worker.replaces, None
        if old is not None:
            self._current[worker.number] = worker
            if old.state is not State.LEAVING:
                self._retire(old)
            self._toReplace.popleft()
            self._replaceNext()
        if not self._allReady and all(
            one.state is State.READY for one in self._current.values()
        ):
            self._allReady = True
            self.onReady()

    def _kill(self, worker: Worker, why: str) -> None:
        self._log.error(
            "Worker {worker} {why} in time: it is killed",
            worker=str(worker),
            why=why,
        )
        self._signal(worker, signal.SIGKILL)

    def _signal(self, worker: Worker, number: int) -> None:
        if worker.process is not None:
            with suppress(ProcessExitedAlready, OSError):
                worker.process.signalProcess(number)

    def _ended(self, name: str, reason: str) -> None:
        worker = self._workers[name]
        told = str(worker)
        state, worker.process = worker.state, None
        worker.await_(None)
        if state is State.LEAVING:
            self._forget(worker)
            return
        self._left.discard(name)
        worker.missed.clear()
        old = worker.replaces
        if old is not None and old.state is not State.LEAVING:
            old.successor = None
            self._log.error(
                "Worker {worker} {reason} before it was ready: the old ones stay",
                worker=told,
                reason=reason,
            )
            self._toReplace.clear()
            self._retire(worker)
            return
        if old is not None:
            # It has left meanwhile: so this one goes on in its place.
            worker.replaces = None
            self._current[worker.number] = worker
            self._toReplace.popleft()
            self._replaceNext()
        if not self._wasReady:
            self._log.error(
                "Worker {worker} {reason} before it was ready",
                worker=told,
                reason=reason,
            )
            self.onFailure(f"worker {told} {reason} before it was ready")
        else:
            worker.state = State.STARTING
            self._log.warn(
                "Worker {worker} {reason}; it is started again",
                worker=told,
                reason=reason,
            )

    # -- replacement ----------------------------------------------------------------

    def replaceAll(self) -> None:
        """
        Replace one after the other: each is told to end when its successor is ready.
        If that ends before it is, all others stay.
        """
        if self._stopping is None:
            for number in self._current:
                # One that is being replaced now may have begun before the occasion.
                self._replaceSoon(number, again=True)

    def _replaceSoon(self, number: int, again: bool = False) -> None:
        waiting = list(self._toReplace)[1:] if again else self._toReplace
        if self._stopping is None and number not in waiting:
            self._toReplace.append(number)
            if len(self._toReplace) == 1:
                self._replaceNext()

    def _replaceNext(self) -> None:
        if self._toReplace and self._stopping is None:
            number = self._toReplace[0]
            self._add(number, self._current[number])

    def _retire(self, worker: Worker) -> None:
        """
        Tell a worker to end; nothing follows it in its place.
        """
        worker.await_(None)
        worker.state = State.LEAVING
        name = worker.name
        pending = self._monitor.restart.pop(name, None)
        if pending is not None and pending.active():
            pending.cancel()
        self._monitor.removeProcess(name)
        if worker.process is None:
            self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        del self._workers[worker.name]
        self._left.discard(worker.name)
        self._sockets.close(worker.name)
        self._lookLeft()

    # -- the end --------------------------------------------------------------------

    def drain(self, grace: float, idle: float = 0.0) -> Deferred[None]:
        """
        Tell all to end.

        @return: fires when they have.
        """
        if self._stopping is None:
            self._stopping = Deferred()
            self._toReplace.clear()
            for worker in list(self._workers.values()):
                if worker.state is not State.LEAVING:
                    self._retire(worker)
            self._monitor.stopService()
            self._lookLeft()
        return self._stopping

    def whenLeaving(self) -> Deferred[None]:
        """
        Wait until no worker listens any more.
        """
        if self._left.issuperset(self._workers):
            return succeed(None)
        self._leaving = Deferred()
        return self._leaving

    def _lookLeft(self) -> None:
        leaving, stopping = self._leaving, self._stopping
        if leaving is not None and self._left.issuperset(self._workers):
            self._leaving = None
            leaving.callback(None)
        if stopping is not None and not self._workers and not stopping.called:
            self._sockets.end()
            stopping.callback(None)

    def killAll(self) -> None:
        """
        End all at once; in any thread.
        """
        for worker in list(self._workers.values()):
            if worker.process is not None and worker.pid is not None:
                with suppress(OSError):
                    os.kill(worker.pid, signal.SIGKILL)
        self._sockets.remove()

    def flushLog(self) -> None:
        """
        As of a site: there is no access log here.
        """

    # -- what others want of them -----------------------------------------------------

    def signalAll(self, number: int) -> None:
        """
        Pass a signal on to all.
        """
        for worker in self._workers.values():
            if worker.state is State.STARTING:
                # It might have no handler yet.
                worker.missed.add(number)
            else:
                self._signal(worker, number)

    def report(self) -> None:
        """
        Write to the log how they are.
        """
        now = self._reactor.seconds()
        lines = [
            f"  worker {worker}: {worker.state.value}, since {now - worker.since:.0f} s"
            for worker in self._workers.values()
        ]
        self._log.info(
            "Report: {count} workers\n{lines}", count=len(lines), lines="\n".join(lines)
        )
