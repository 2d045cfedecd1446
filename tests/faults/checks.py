"""
What a fault must not leave behind.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogEvent, globalLogPublisher
from zope.interface import directlyProvides, providedBy

from tests.support.leaks import open_descriptors

__all__ = ["SOON", "Broken", "ClockedReactor", "Leftovers", "Problem", "Run", "net"]

net: Any = reactor

SOON = 5.0
"""
How long the kernel may take, in real seconds, until what was sent has arrived.
"""

# What an injected fault may leave in the log as an error.
EXPECTED: tuple[type[BaseException], ...] = (OSError, EOFError)


class Problem(Exception):
    """
    A row has left something behind, or ended wrongly.
    """


class Broken(Exception):
    """
    What an application raises here.
    """


class ClockedReactor:
    """
    The real reactor, with the time of a clock.
    """

    def __init__(self, clock: Clock) -> None:
        self.callLater = clock.callLater
        self.seconds = clock.seconds
        self.getDelayedCalls = clock.getDelayedCalls
        directlyProvides(self, providedBy(net))

    def __getattr__(self, name: str) -> Any:
        return getattr(net, name)


class Leftovers:
    """
    The state before a row, to compare with the state after it.

    @ivar folder: for temporary files, all of which must be gone.
    @ivar clock: the time of the row.
    @ivar collects: whether the collector may run before objects are looked for.
    """

    collects = False

    def __init__(self) -> None:
        self.clock = Clock()
        self.folder = tempfile.mkdtemp(prefix="faults-")
        self.files = tempfile.mkdtemp(prefix="faults-")
        self._before, tempfile.tempdir = tempfile.tempdir, self.folder
        self._descriptors = open_descriptors()
        self._calls = set(net.getDelayedCalls())
        self._watched: list[tuple[str, weakref.ref[Any]]] = []
        self._logged: list[str] = []
        observer: Any = self._observe
        globalLogPublisher.addObserver(observer)

    def _observe(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None and not issubclass(failure.type, (*EXPECTED, Broken)):
            text = failure.getTraceback(detail="brief")
            self._logged.append(f"{failure.type.__name__} in the log: {text[-700:]}")

    def watch(self, name: str, thing: Any) -> None:
        """
        C{thing} must be gone in the end.
        """
        self._watched.append((name, weakref.ref(thing)))

    def _left(self) -> list[str]:
        problems = [
            f"{name} is still in memory" for name, ref in self._watched if ref()
        ]
        problems += [f"on the clock: {call}" for call in self.clock.getDelayedCalls()]
        for call in net.getDelayedCalls():
            if call not in self._calls:
                problems.append(f"on the reactor: {call}")
        for number, path in open_descriptors().items():
            if self._descriptors.get(number) != path and not path.startswith(
                ("anon_inode:", "pipe:", "/dev/")
            ):
                problems.append(f"a descriptor: {number} {path}")
        problems += [f"a spool: {name}" for name in os.listdir(self.folder)]
        return problems

    async def look(self, real: bool) -> list[str]:
        """
        What is left; the reactor, if there is one, has some turns to let it go.
        """
        if self.collects:
            gc.collect()
        problems = self._left()
        deadline = net.seconds() + SOON / 5
        while real and problems and net.seconds() < deadline:
            await deferLater(net, 0.001)
            problems = self._left()
        return problems + self._logged

    def close(self) -> None:
        """
        As it was.
        """
        observer: Any = self._observe
        globalLogPublisher.removeObserver(observer)
        tempfile.tempdir = self._before
        shutil.rmtree(self.folder)
        shutil.rmtree(self.files)


class Run:
    """
    One row that is being run.

    @ivar stage: where the fault comes.
    @ivar transport: C{memory}, C{tcp}, C{tls} or C{unix}.
    @ivar problems: what was wrong.
    @ivar happened: whether the fault has come.
    @ivar afterwards: what happens when the connection is gone.
    @ivar undo: what is to be done when it is over.
    """

    def __init__(self, row: Any, left: Leftovers) -> None:
        self.stage: str = row.stage
        self.transport: str = row.transport
        self.real = row.transport != "memory"
        self.left = left
        # A failure of TLS knows the frames of Twisted's that know it.
        left.collects = row.transport == "tls"
        self.clock = left.clock
        self.problems: list[str] = []
        self.undo: list[Callable[[], object]] = []
        self.happened: Callable[[], object] = lambda: True
        self.afterwards: list[Callable[[], object]] = []
        self.awaitUndo: list[Callable[[], Deferred[Any] | None]] = []

    def patch(self, thing: Any, name: str, value: Any) -> None:
        """
        Until the row is over.
        """
        old = getattr(thing, name)
        setattr(thing, name, value)
        self.undo.append(lambda: setattr(thing, name, old))

    async def turn(self) -> None:
        """
        No time passes, but what was sent arrives.
        """
        for _ in range(4):
            self.clock.advance(0)
            if self.real:
                await deferLater(net, 0)
            else:
                self.pump()

    def pump(self) -> None:
        """
        In memory, do what a reactor does.
        """

    async def until(self, condition: Callable[[], object], what: str) -> bool:
        """
        Wait for what must come without time passing on the clock.
        """
        deadline = net.seconds() + SOON
        for _ in range(1_000_000 if self.real else 20):
            if condition():
                return True
            await self.turn()
            if net.seconds() > deadline:
                break
        if condition():
            return True
        self.problems.append(f"not in time: {what}")
        return False
