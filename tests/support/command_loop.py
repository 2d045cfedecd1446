"""
C{twistd h11web} without a process: all that it makes, in a reactor of the test.
"""

from __future__ import annotations

import gc
import os
import signal
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import (
    ProcessDone,
    ProcessExitedAlready,
    ProcessTerminated,
    ReactorNotRunning,
)
from twisted.internet.interfaces import IAddress, IReactorProcess, IReactorTime
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.scripts import twistd
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted import internet
from twisted_h11 import tap
from twisted_h11._command.stopping import Stopping

__all__ = ["CommandLoopTestCase", "Loop", "Port", "Process", "Reactor", "install"]

_SIGNALS = (
    *(signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT),
)


def install(case: Any, loop: Any) -> None:
    """
    Have the code of a test find another reactor.
    """
    # Then there is one.
    from twisted.internet import reactor  # noqa: F401

    case.patch(internet, "reactor", loop)


class Process:
    """
    One process.
    """

    def __init__(self, reactor: Any, protocol: Any, args: Any, env: Any) -> None:
        self.pid: int | None = 100 + len(reactor.processes)
        self.args = args
        self.env = env
        self.protocol = protocol
        self.signals: list[Any] = []
        self.gone = False

    def closeStdin(self) -> None:
        """
        Nothing.
        """

    def signalProcess(self, number: Any) -> None:
        """
        Note it; nobody survives SIGKILL.
        """
        if self.gone:
            raise ProcessExitedAlready
        self.signals.append(number)
        if number in ("KILL", signal.SIGKILL):
            self.end(signal=9)

    def end(self, status: int = 0, signal: int | None = None) -> None:
        """
        It ends.
        """
        self.gone = True
        done = (
            ProcessDone(0)
            if not (status or signal)
            else ProcessTerminated(status or None, signal, status)
        )
        self.pid = None
        self.protocol.processExited(Failure(done))
        self.protocol.processEnded(Failure(done))


@implementer(IReactorProcess, IReactorTime)
class Reactor(Clock):
    """
    A clock that starts processes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.fds: list[Any] = []
        self.fails: OSError | None = None

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
        Start one.
        """
        if self.fails is not None:
            raise self.fails
        process = Process(self, processProtocol, args, env)
        self.processes.append(process)
        self.fds.append(childFDs)
        processProtocol.makeConnection(process)
        return process


class Port:
    """
    What listens.
    """

    def __init__(self, host: IAddress, factory: Any, number: int) -> None:
        self.host = host
        self.factory = factory
        self.number = number
        self.reading = True
        self.closed = False

    def getHost(self) -> IAddress:
        """
        Where.
        """
        return self.host

    def fileno(self) -> int:
        """
        Its descriptor.
        """
        return self.number

    def stopReading(self) -> None:
        """
        Accept nothing.
        """
        self.reading = False

    def stopListening(self) -> Deferred[None]:
        """
        At once.
        """
        self.closed = True
        return succeed(None)


class Loop(Reactor, MemoryReactor):
    """
    A reactor that runs when the test says so.

    @ivar ports: what listens, by number or path.
    """

    def __init__(self) -> None:
        Reactor.__init__(self)
        MemoryReactor.__init__(self)
        self.ports: dict[Any, Port] = {}

    def start(self) -> None:
        """
        Run from now on.
        """
        self.running = True
        hooks, self.whenRunningHooks = self.whenRunningHooks, []
        for call, args, kwargs in hooks:
            call(*args, **kwargs)

    def stop(self) -> None:
        """
        Stop, if that is not done.
        """
        if not self.running:
            raise ReactorNotRunning
        super().stop()

    def iterate(self, delay: float = 0) -> None:
        """
        A turn.
        """
        self.advance(0)

    def callFromThread(self, call: Any, *args: Any) -> None:
        """
        At once.
        """
        call(*args)

    def _listen(self, name: Any, host: IAddress, factory: Any) -> Port:
        self.ports[name] = port = Port(host, factory, 100 + len(self.ports))
        return port

    def listenTCP(self, port: int, factory: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Listen.
        """
        return self._listen(port, IPv4Address("TCP", "127.0.0.1", port), factory)

    def listenUNIX(self, address: Any, factory: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Listen.
        """
        return self._listen(address, UNIXAddress(address), factory)

    def listenUNIXDatagram(self, address: str, protocol: Any) -> Port:
        """
        Listen, for datagrams.
        """
        return self._listen(address, UNIXAddress(address), protocol)


class _Command(twistd.ServerOptions):  # type: ignore[name-defined,misc]
    """
    The options of twistd.
    """

    subCommands = (("h11web", None, tap.Options, ""),)


class CommandLoopTestCase(SynchronousTestCase):
    """
    Makes what the command makes.

    @ivar loop: the reactor.
    @ivar left: the statuses with which the process would have been ended.
    @ivar frozen: how many objects there were each time the heap was frozen.
    """

    def setUp(self) -> None:
        """
        Keep what belongs to the process.
        """
        self.loop = Loop()
        install(self, self.loop)
        for number in _SIGNALS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        names = ("PATH", "HOME")
        self.patch(os, "environ", {n: v for n, v in os.environ.items() if n in names})
        self.left: list[int] = []
        self.patch(os, "_exit", self.left.append)
        # What ends a process that does not end.
        self.patch(Stopping, "_watch", lambda stopping: None)
        # What is frozen is not collected, whichever test has made it.
        self.frozen: list[int] = []
        self.patch(gc, "freeze", lambda: self.frozen.append(len(gc.get_objects())))
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def make(self, *words: str, twistd: tuple[str, ...] = ("-n",)) -> Any:
        """
        The service of a command line.

        @param twistd: what stands before C{h11web}.
        """
        command = _Command()
        command.parseOptions([*twistd, "h11web", *words])
        self.options: Any = command.subOptions
        return tap.makeService(self.options)

    def lines(self, word: str) -> list[str]:
        """
        What was logged with a word.
        """
        texts = [str(formatEvent(event)) for event in self.events]
        return [text for text in texts if word in text]
