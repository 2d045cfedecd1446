"""
One place for a worker, and how far the process in it is.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from enum import Enum
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall

__all__ = ["State", "Worker"]


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

    @ivar name: what L{ProcessMonitor<twisted.runner.procmon.ProcessMonitor>} knows it
        by.
    @ivar number: in C{H11WEB_WORKER}; its successor has the same.
    @ivar state: how far it is.
    @ivar process: its process, while there is one.
    @ivar pid: the id of its last process.
    @ivar successor: what is to take its place.
    @ivar replaces: whose place it is to take.
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
        self._timer: IDelayedCall | None = None
        self._missed: set[int] = set()

    def __str__(self) -> str:
        return f"{self.number} (process {self.pid or '-'})"

    def began(self, process: Any, now: float) -> None:
        """
        It has a process.

        @param now: the time, in seconds.
        """
        self.process = process
        self.pid = process.pid
        self.state = State.STARTING
        self._since = now

    def ready(self) -> None:
        """
        The process has said that it is ready: it gets the signals that it has missed.
        """
        self.state = State.READY
        for number in self._missed:
            self.signal(number)
        self._missed.clear()

    def ended(self) -> None:
        """
        The process has ended; unless it was told to, another one is to follow.
        """
        self.process = None
        self.await_(None)
        if self.state is not State.LEAVING:
            self.state = State.STARTING
            self._missed.clear()

    def await_(self, timer: IDelayedCall | None) -> None:
        """
        Wait for something else from now on, or for nothing.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = timer

    def signal(self, number: int) -> None:
        """
        Send a signal to its process; not before there is one.
        """
        with suppress(ProcessExitedAlready, OSError):
            self.process.signalProcess(number)

    def passOn(self, number: int) -> None:
        """
        Send a signal that the process has a handler for; as soon as it is ready.
        """
        if self.state is State.STARTING:
            self._missed.add(number)
        else:
            self.signal(number)

    def kill(self) -> None:
        """
        End its process at once; in any thread.
        """
        if self.process is not None and self.pid is not None:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def describe(self, now: float) -> str:
        """
        How it is, for a person.

        @param now: the time, in seconds.
        """
        return f"worker {self}: {self.state.value}, since {now - self._since:.0f} s"
