"""
The reactor with which a L{ProcessMonitor<twisted.runner.procmon.ProcessMonitor>}
starts workers: it passes sockets to them, and reports when a process begins and ends.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.error import (
    CannotListenError,
    ProcessExitedAlready,
    ProcessTerminated,
)
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.explain import explain
from twisted_h11._command.handed import FIRST

__all__ = ["Spawner"]


class _Watched(ProcessProtocol):
    """
    Passes the events of a process on to the monitor's protocol, and reports its end.
    """

    def __init__(self, protocol: Any, ended: Callable[[str, str], object]) -> None:
        self._protocol = protocol
        self._ended = ended

    def connectionMade(self) -> None:
        """
        The process has begun.
        """
        self._protocol.makeConnection(self.transport)

    def notStarted(self, error: Exception) -> None:
        """
        The process could not be started: report it as ended.
        """
        self._ended(self._protocol.name, f"could not be started ({explain(error)})")
        self._protocol.processEnded(Failure(ProcessTerminated(127)))

    def outReceived(self, data: bytes) -> None:
        """
        Pass the output of the process on; the monitor logs it.
        """
        self._protocol.outReceived(data)

    def errReceived(self, data: bytes) -> None:
        """
        See L{outReceived}.
        """
        self._protocol.errReceived(data)

    def processExited(self, reason: Failure) -> None:
        """
        The process has ended.  Its own child processes may still write.
        """
        self._ended(self._protocol.name, _explain(reason.value))
        self._protocol.processEnded(reason)


class _NotStarted:
    """
    A process that could not be started.
    """

    pid = None

    def closeStdin(self) -> None:
        """
        Do nothing.
        """

    def signalProcess(self, number: Any) -> None:
        """
        @raise ProcessExitedAlready: always.
        """
        raise ProcessExitedAlready


@implementer(IReactorProcess, IReactorTime)
class Spawner:
    """
    The part of a reactor that a monitor needs.

    @ivar descriptors: the processes get these as the descriptors from 3 on.
    @ivar logsOutput: whether the output of the processes is logged; otherwise they
        inherit the standard output and error of this process.

    @param reactor: the reactor.
    @param began: called with the name of a process, and its transport.
    @param ended: called with the name of a process that has ended, and how.
    @param begins: called with the name of a process before it is started; if it raises
        L{OSError} or L{CannotListenError}, the process could not be started.
    """

    def __init__(
        self,
        reactor: Any,
        began: Callable[[str, Any], object],
        ended: Callable[[str, str], object],
        begins: Callable[[str], object] = lambda name: None,
    ) -> None:
        self._reactor = reactor
        self._begins = begins
        self._began = began
        self._ended = ended
        self.descriptors: list[int] = []
        self.logsOutput = False

    def seconds(self) -> float:
        """
        See L{IReactorTime}.
        """
        now: float = self._reactor.seconds()
        return now

    def callLater(self, delay: float, callable: Any, *args: Any, **kw: Any) -> Any:
        """
        See L{IReactorTime}.
        """
        return self._reactor.callLater(delay, callable, *args, **kw)

    def getDelayedCalls(self) -> Any:
        """
        See L{IReactorTime}.
        """
        return self._reactor.getDelayedCalls()

    def spawnProcess(
        self,
        processProtocol: Any,
        executable: Any,
        args: Any = (),
        env: Any = None,
        path: Any = None,
        uid: Any = None,
        gid: Any = None,
        usePTY: Any = False,
        childFDs: Any = None,
    ) -> Any:
        """
        See L{IReactorProcess}.
        """
        output = {1: "r", 2: "r"} if self.logsOutput else {1: 1, 2: 2}
        handed: dict[int, Any] = dict(enumerate(self.descriptors, FIRST))
        watched = _Watched(processProtocol, self._ended)
        try:
            self._begins(processProtocol.name)
            process = self._reactor.spawnProcess(
                watched,
                executable,
                args,
                env=env,
                path=path,
                childFDs={0: "w", **output, **handed},
            )
        except (OSError, CannotListenError) as error:
            # The monitor would log a traceback; only the end of the process matters.
            process = _NotStarted()
            watched.makeConnection(process)
            self._reactor.callLater(0, watched.notStarted, error)
        # A worker has no input.
        process.closeStdin()
        self._began(processProtocol.name, process)
        return process


def _explain(error: Any) -> str:
    """
    Say how a process has ended.
    """
    number = getattr(error, "signal", None)
    if number is not None:
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = str(number)
        return f"was ended by {name}"
    return f"ended with status {getattr(error, 'exitCode', None)}"
