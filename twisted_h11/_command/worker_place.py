"""
A worker's place, and the state of its process.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from enum import Enum
from typing import Any

from twisted.internet.error import ProcessExitedAlready

from twisted_h11._command.steps import SteppedCall

__all__ = ["State", "Worker"]


class State(Enum):
    """
    The state of a worker.
    """

    STARTING = "not ready yet"
    READY = "ready"
    LEAVING = "told to end"


class Worker:
    """
    The place of a worker.  A process that has failed is followed by another one in the
    same place.

    @ivar name: its name in the
        L{ProcessMonitor<twisted.runner.procmon.ProcessMonitor>}.
    @ivar number: the number in C{H11WEB_WORKER}; its successor has the same.
    @ivar state: the state of the process.
    @ivar process: the process, while there is one.
    @ivar pid: the id of its last process.
    @ivar successor: the worker that is to replace this one, or C{None}.
    @ivar replaces: the worker that this one is to replace, or C{None}.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.state = State.STARTING
        self.process: Any = None
        self.pid: int | None = None
        self.successor: Worker | None = None
        self.replaces: Worker | None = None
        self._since = 0.0
        self._timer: SteppedCall | None = None
        self._missed: set[int] = set()

    def __str__(self) -> str:
        return f"{self.number} (process {self.pid or '-'})"

    def began(self, process: Any, now: float) -> None:
        """
        A process has been started.

        @param now: the time, in seconds.
        """
        self.process = process
        self.pid = process.pid
        self.state = State.STARTING
        self._since = now

    def ready(self) -> None:
        """
        The process has notified that it is ready: send the signals that had to wait.
        """
        self.state = State.READY
        for number in self._missed:
            self.signal(number)
        self._missed.clear()

    def ended(self) -> None:
        """
        The process has ended; unless it was told to, another one will follow.
        """
        self.process = None
        self.await_(None)
        if self.state is not State.LEAVING:
            self.state = State.STARTING
            self._missed.clear()

    def await_(self, timer: SteppedCall | None) -> None:
        """
        Replace the time-out of the worker; C{None} for no time-out.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = timer

    def signal(self, number: int) -> None:
        """
        Send a signal to the process, once there is one.
        """
        with suppress(ProcessExitedAlready, OSError):
            self.process.signalProcess(number)

    def passOn(self, number: int) -> None:
        """
        Send a signal as soon as the process is ready and has a handler for it.
        """
        if self.state is State.STARTING:
            self._missed.add(number)
        else:
            self.signal(number)

    def kill(self) -> None:
        """
        Kill the process.  May be called in any thread.
        """
        if self.process is not None and self.pid is not None:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def describe(self, now: float) -> str:
        """
        Describe the state of the worker, for the log.

        @param now: the time, in seconds.
        """
        return f"worker {self}: {self.state.value}, since {now - self._since:.0f} s"
