"""
After each test nothing may be left over.

L{LeakChecks} is mixed into a test case.  With the collector off for the whole
test, it looks afterwards for delayed calls on the test's clock, for channels
and requests that are still in memory (a reference cycle keeps them), for open
descriptors, threads and temporary files.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import weakref
from typing import Any

from twisted.internet.task import Clock

__all__ = ["LeakChecks", "open_descriptors"]


def open_descriptors() -> dict[int, str]:
    """
    The open descriptors of this process, and what each is.
    """
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the one of the listing itself
    return found


class LeakChecks:
    """
    Mix-in for a test case: what L{watch} saw must be gone when it ends.

    @ivar clock: the time of the test.
    """

    clock: Clock
    fail: Any
    addCleanup: Any
    mktemp: Any

    def beginLeakChecks(self) -> None:
        """
        Note the state before the test.  Call it first in C{setUp}.
        """
        self.clock = Clock()
        self._watched: list[tuple[str, weakref.ref[Any]]] = []
        gc.disable()
        self._threadsBefore = {thread.ident for thread in threading.enumerate()}
        self._descriptorsBefore = open_descriptors()
        self._temporaryBefore = tempfile.tempdir
        folder = self.mktemp()
        os.makedirs(folder)
        tempfile.tempdir = os.path.abspath(folder)

    def watch(self, name: str, thing: Any) -> None:
        """
        C{thing} must be gone when the test is over.
        """
        self._watched.append((name, weakref.ref(thing)))

    def endLeakChecks(self) -> None:
        """
        Fail the test for whatever is left.
        """
        folder, tempfile.tempdir = tempfile.tempdir, self._temporaryBefore
        alive = [(name, ref()) for name, ref in self._watched]
        alive = [(name, thing) for name, thing in alive if thing is not None]
        holders = [
            f"{name} {type(thing).__name__} held by "
            + ", ".join(sorted({type(h).__name__ for h in gc.get_referrers(thing)}))
            for name, thing in alive
        ]
        del alive
        gc.enable()
        problems = [f"still in memory: {text}" for text in holders]
        for call in self.clock.getDelayedCalls():
            problems.append(f"a delayed call is left: {call}")
        for number, path in open_descriptors().items():
            if self._descriptorsBefore.get(number) != path and not _harmless(path):
                problems.append(f"a descriptor is left open: {number} {path}")
        for thread in threading.enumerate():
            if thread.ident not in self._threadsBefore and not _pooled(thread):
                problems.append(f"a thread is left: {thread.name}")
        assert folder is not None
        for name in os.listdir(folder):
            problems.append(f"a temporary file is left: {name}")
        if problems:
            self.fail("\n".join(problems))


def _harmless(path: str) -> bool:
    """
    Whether a new descriptor belongs to the reactor or the test runner.
    """
    # A reactor that runs has a pipe for signals.
    return path.startswith(("anon_inode:", "pipe:", "/dev/")) or path.endswith(
        "/test.log"
    )


def _pooled(thread: threading.Thread) -> bool:
    """
    Whether C{thread} is one of the reactor's pool, which it keeps.
    """
    return "PoolThread" in thread.name
