"""
The workers of a server: keeping them alive, replacing them, and ending them.

L{ProcessMonitor} runs the workers, starts those again that have ended, with growing
delays if they end soon, and kills those that do not end when told to.  This module adds
the states of workers: whether a worker is ready, and whether it still responds; and it
replaces a worker only when its successor is ready.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.runner.procmon import ProcessMonitor

from twisted_h11._boundary.variables import WORKER
from twisted_h11._command.hearing import Hearing
from twisted_h11._command.notified import NotifySockets
from twisted_h11._command.notify import REPLACE
from twisted_h11._command.replacing import Leaving, Turns
from twisted_h11._command.spawning import Spawner
from twisted_h11._command.steps import SteppedCall
from twisted_h11._command.worker_place import State, Worker

__all__ = ["Workers"]

# A worker that ends sooner (in seconds) is started again with growing delays.
_SOON = 10.0
_LEAST_DELAY = 0.2
_MOST_DELAY = 30.0


class Workers:
    """
    All workers.

    @ivar onReady: called once, when all workers are ready for the first time.
    @ivar onFailure: called with a reason when a worker ends before any was ready.

    @param reactor: the reactor.
    @param count: the number of workers.
    @param startTimeout: seconds within which a worker has to be ready.
    @param timeout: seconds within which a worker has to send C{WATCHDOG=1}.
    @param environ: the workers' environment, without the variables of each worker.
    @param directory: the workers' working directory.
    @param sockets: the sockets for the workers' notifications.
    @param grace: seconds within which workers end when they are told to.
    """

    _log = Logger()
    # Stopping reads this of a site.
    connectionCount = 0

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
        self._hearing = Hearing(reactor, sockets, timeout, self._silent)
        self._spawner = Spawner(reactor, self._began, self._ended, self._begins)
        self._monitor = _monitor(self._spawner, grace)
        self._workers: dict[str, Worker] = {}
        self._current: dict[int, Worker] = {}
        self._made = 0
        self._turns = Turns(self._replace)
        self._wasReady = False
        self._allReady = False
        self._stopping: Deferred[None] | None = None
        self._leaving = Leaving(self._workers)
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
        Start all workers.

        @param logsOutput: whether the workers' output is logged: a daemon has no
            standard output.
        @param command: the command that runs a worker.
        @param descriptors: the sockets that are passed to the workers.
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
        told = partial(self._told, worker)
        # What fails later fails again in _begins, which is tried again.
        address = self._sockets.open(worker.name, told, later=self._wasReady)
        environ = {
            **self._environ,
            WORKER: str(number),
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(int(self._timeout * 1e6)),
        }
        self._monitor.addProcess(
            worker.name, self._command, env=environ, cwd=self._directory
        )
        return worker

    # -- events of a worker ---------------------------------------------------------

    def _begins(self, name: str) -> None:
        self._hearing.restore(self._workers[name])

    def _began(self, name: str, process: Any) -> None:
        worker = self._workers[name]
        worker.began(process, self._reactor.seconds())
        late = partial(self._kill, worker, "was not ready")
        worker.await_(SteppedCall(self._reactor, self._startTimeout, late))

    def _told(self, worker: Worker, line: str) -> None:
        if worker.process is None:
            # The process has ended meanwhile.
            return
        if line == "STOPPING=1":
            self._leaving.add(worker.name)
            if worker.state is not State.LEAVING:
                self._leavesByItself(worker)
            self._leaving.look()
        elif line == "READY=1" and worker.state is State.STARTING:
            self._log.info("Worker {worker} is ready", worker=str(worker))
            self._hearing.awaitBeat(worker)
            worker.ready()
            self._ready(worker)
        elif line == "WATCHDOG=1" and worker.state is State.READY:
            self._hearing.awaitBeat(worker)
        elif line == REPLACE and worker.state is State.READY:
            self._turns.add(worker.number)

    def _leavesByItself(self, worker: Worker) -> None:
        """
        A worker ends without having been told to, by a signal for example: start
        another one in its place at once.
        """
        if self._current[worker.number] is worker:
            self._retire(worker)
            if worker.successor is None:
                self._current[worker.number] = self._add(worker.number)

    def _silent(self, worker: Worker) -> None:
        self._kill(worker, "gave no sign of life")

    def _ready(self, worker: Worker) -> None:
        self._wasReady = True
        old, worker.replaces = worker.replaces, None
        if old is not None:
            self._current[worker.number] = worker
            if old.state is not State.LEAVING:
                self._retire(old)
            self._turns.next()
        if not self._allReady and all(
            one.state is State.READY for one in self._current.values()
        ):
            self._allReady = True
            self.onReady()

    def _kill(self, worker: Worker, why: str) -> None:
        self._log.error(
            "Worker {worker} {why} in time: it is killed", worker=str(worker), why=why
        )
        worker.signal(signal.SIGKILL)

    def _ended(self, name: str, reason: str) -> None:
        worker = self._workers[name]
        told = str(worker)
        worker.ended()
        if worker.state is State.LEAVING:
            self._forget(worker)
            return
        self._leaving.discard(name)
        old = worker.replaces
        if old is not None and old.state is not State.LEAVING:
            old.successor = None
            self._log.error(
                "Worker {worker} {reason} before it was ready: the old ones stay",
                worker=told,
                reason=reason,
            )
            self._turns.clear()
            self._retire(worker)
            return
        if old is not None:
            # The old worker has left meanwhile, so this one stays in its place.
            worker.replaces = None
            self._current[worker.number] = worker
            self._turns.next()
        if not self._wasReady:
            self._log.error(
                "Worker {worker} {reason} before it was ready",
                worker=told,
                reason=reason,
            )
            self.onFailure(f"worker {told} {reason} before it was ready")
        else:
            self._log.warn(
                "Worker {worker} {reason}; it is started again",
                worker=told,
                reason=reason,
            )

    # -- replacement ----------------------------------------------------------------

    def replaceAll(self) -> None:
        """
        Replace all workers, one after the other: each is told to end when its successor
        is ready.  If a successor ends before it is ready, the remaining workers stay.
        """
        if self._stopping is None:
            for number in self._current:
                # A successor that is starting now may have read the old files.
                self._turns.add(number, again=True)

    def _replace(self, number: int) -> None:
        self._add(number, self._current[number])

    def _retire(self, worker: Worker) -> None:
        """
        Tell a worker to end, without another process in its place.
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
        self._leaving.discard(worker.name)
        self._sockets.close(worker.name)
        self._leaving.look()

    # -- the end --------------------------------------------------------------------

    def drain(self, grace: float, idle: float = 0.0) -> Deferred[None]:
        """
        Tell all workers to end.

        @return: fires when all have ended.
        """
        if self._stopping is None:
            self._stopping = self._leaving.whenEnded()
            self._stopping.addCallback(lambda _: self._sockets.end())
            self._turns.clear()
            for worker in list(self._workers.values()):
                if worker.state is not State.LEAVING:
                    self._retire(worker)
            self._monitor.stopService()
            self._leaving.look()
        return self._stopping

    def whenLeaving(self) -> Deferred[None]:
        """
        Return a Deferred that fires when no worker listens any more.
        """
        return self._leaving.whenLeft()

    def killAll(self) -> None:
        """
        Kill all workers.  May be called in any thread.
        """
        for worker in list(self._workers.values()):
            worker.kill()
        self._sockets.remove()

    def flushLog(self) -> None:
        """
        Do nothing, where a site writes its access log: a parent has none.
        """

    # -- signals and the report -------------------------------------------------------

    def signalAll(self, number: int) -> None:
        """
        Pass a signal on to all workers.
        """
        for worker in self._workers.values():
            worker.passOn(number)

    def report(self) -> None:
        """
        Write the states of all workers to the log.
        """
        now = self._reactor.seconds()
        lines = [f"  {one.describe(now)}" for one in self._workers.values()]
        self._log.info(
            "Report: {count} workers\n{lines}", count=len(lines), lines="\n".join(lines)
        )


def _monitor(spawner: Spawner, grace: float) -> ProcessMonitor:
    """
    The monitor that starts workers again.
    """
    monitor = ProcessMonitor(spawner)
    monitor.threshold = _SOON  # type: ignore[assignment]
    monitor.minRestartDelay = _LEAST_DELAY  # type: ignore[assignment]
    monitor.maxRestartDelay = _MOST_DELAY  # type: ignore[assignment]
    # Workers end by themselves when the grace is over.
    monitor.killTime = grace + 1  # type: ignore[assignment]
    return monitor
