"""
A worker: a C{twistd h11web} that listens on the sockets of its parent.

The parent runs C{python -m twisted_h11._command.worker PARENT HANDED -n ... h11web ...}
where C{PARENT} is the parent's process id, and C{HANDED} how many of the descriptors
that C{LISTEN_FDS} counts were passed to the parent itself.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
from typing import Any

from twisted_h11._boundary.private import FOLDER

__all__ = ["Inherited", "end_alone", "inherited", "main"]


class Inherited:
    """
    What a worker inherits from its parent.

    @ivar descriptors: the descriptors of the sockets that the parent has opened.
    @ivar folder: the parent's folder for its workers.
    """

    def __init__(self, parent: int, descriptors: list[int], folder: str = "") -> None:
        self._parent = parent
        self.descriptors = descriptors
        self.folder = folder

    def isOrphaned(self) -> bool:
        """
        Whether the parent is gone.
        """
        return os.getppid() != self._parent


_inherited: list[Inherited] = []


def inherited() -> Inherited | None:
    """
    What this process inherits from its parent; C{None} if it is not a worker.
    """
    return _inherited[-1] if _inherited else None


def end_alone(reactor: Any) -> None:
    """
    End this worker in an orderly way: its parent is gone and can not replace it, nor
    remove the folder of its workers.

    @param reactor: the reactor.
    """
    from twisted.logger import Logger

    from twisted_h11._command.stopping import stop

    Logger().error("The parent of this worker is gone: it ends")
    had = inherited()
    if had is not None and os.path.basename(had.folder).startswith(FOLDER):
        # All workers do so at their end: another one may have made it again.
        atexit.register(shutil.rmtree, had.folder, ignore_errors=True)
    stop(reactor)


def begin(parent: int, handed: int) -> None:
    """
    Take over the parent's descriptors.  To be called before Twisted is imported, which
    reads C{LISTEN_PID}.
    """
    count = int(os.environ["LISTEN_FDS"])
    descriptors = list(range(3 + handed, 3 + count))
    folder = os.path.dirname(os.environ.get("NOTIFY_SOCKET", ""))
    _inherited.append(Inherited(parent, descriptors, folder))
    os.environ["LISTEN_PID"] = str(os.getpid())
    # A terminal sends SIGINT to the parent, too, which then signals its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """
    Run twistd.
    """
    # This module is loaded twice: by its name, and as the main program.
    from twisted_h11._command import worker

    worker.begin(int(sys.argv[1]), int(sys.argv[2]))
    sys.argv[:3] = ["twistd"]
    from twisted.scripts.twistd import run

    run()


if __name__ == "__main__":
    main()
