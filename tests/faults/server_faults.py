"""
What fails at the server.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from twisted.web.static import File

from tests.faults.application import LENGTH, wsgi
from tests.faults.checks import Broken
from tests.faults.links import JUNK, FaultySocket
from tests.faults.server import STAGES, ServerRun

__all__ = ["FAULTS", "Fault"]


class Fault(NamedTuple):
    """
    Something that fails.

    @ivar prepare: has a run do it.
    @ivar stages: where it can be.
    @ivar transports: on which it can be.
    @ivar why: why not elsewhere.
    @ivar streams: whether the application takes bodies as they come.
    @ivar never: stages and transports that do not go together.
    """

    name: str
    prepare: Callable[[Any], object]
    stages: tuple[str, ...]
    transports: tuple[str, ...]
    why: str = ""
    streams: bool = False
    never: tuple[tuple[str, str], ...] = ()


EVERYWHERE = ("memory", "tcp", "tls", "unix")
SOCKETS = EVERYWHERE[1:]
NO_SOCKET = "in memory nothing calls a socket"
ALL = tuple(STAGES)
# Where bytes of the client are still looked at, and where something is written.
WRITING = ("first write", "middle of response", "last write")
AT_WORK = ("body", *WRITING, "draining")

CODES = ("ECONNRESET", "EPIPE", "ENOBUFS", "EIO")
READS = ("recv", "recvmsg")
WRITES = ("send", "sendmsg")


def faults() -> list[Fault]:
    """
    All of them.
    """
    found = [*peers(), *files(), *hooks(), *threads()]
    for code in CODES:
        number = getattr(errno, code)
        found.append(
            Fault(
                f"read raises {code}",
                breaking(READS, number),
                ALL,
                SOCKETS,
                NO_SOCKET + ", and who was refused may have closed by then",
                False,
                (("lingering close", "tcp"), ("lingering close", "tls")),
            )
        )
        for nth in (1, 2):
            where = tuple(
                s for s in ALL if s not in ("idle keep-alive", "lingering close")
            )
            if nth == 2:
                where = tuple(s for s in where if s not in ("accepted", *WRITING[1:]))
            found.append(
                Fault(
                    f"write {nth} raises {code}",
                    breaking(WRITES, number, nth - 1),
                    where,
                    EVERYWHERE if nth == 1 else ("tcp", "unix"),
                    "so much is not written there; in memory the first write stands "
                    "for all",
                    False,
                    (("accepted", "tls"),),
                )
            )
    for code in ("EMFILE", "ENFILE", "ECONNABORTED", "ENOBUFS"):
        found.append(
            Fault(
                f"accept raises {code}",
                accepting(getattr(errno, code)),
                ("accepted",),
                SOCKETS,
                "only the listening socket accepts, and before all other stages",
            )
        )
    return found


def breaking(calls: tuple[str, ...], code: int, skip: int = 0) -> Any:
    """
    The socket fails when it is used next, and it is used soon.
    """

    def prepare(run: ServerRun) -> None:
        def act() -> None:
            if run.real:
                faulty = run.link.breakSocket(calls, code, skip)
                run.happened = lambda: faulty is not None and faulty.failed
                if calls is READS:
                    run.link.send(b"G")
            elif code != errno.ENOBUFS:
                run.link.lose(code)

        run.act = act

    return prepare


def accepting(code: int) -> Any:
    """
    The listening socket fails three times.
    """

    def prepare(run: ServerRun) -> None:
        def connecting(port: Any) -> None:
            real = port.socket
            port.socket = FaultySocket(real, ("accept",), code, 0, 3)

            def look() -> None:
                if not port.socket.failed:
                    run.problems.append("nothing was accepted")
                port.socket = real

            run.awaitUndo.insert(0, look)

        run.connecting = connecting

    return prepare


# -- the client ---------------------------------------------------------------------


def peers() -> list[Fault]:
    """
    What a client does, and what time does.
    """
    tls = "only TLS has records"
    return [
        Fault("peer resets", reset, ALL, EVERYWHERE),
        Fault("peer half-closes", half_close, ALL, EVERYWHERE),
        Fault("peer stalls", stall, ALL, EVERYWHERE),
        Fault("peer trickles", trickle, ALL, EVERYWHERE),
        Fault("timers fire at once", timers, ALL, EVERYWHERE),
        Fault("TLS record corrupted", record(False), ALL, ("tls",), tls),
        Fault("TLS record cut", record(True), ALL, ("tls",), tls),
    ]


def reset(run: ServerRun) -> None:
    """
    The client is gone.
    """
    # Of a UNIX socket that is closed the other end only hears that it is empty.
    run.kills = run.transport != "unix"
    run.goesOn = False
    run.act = lambda: run.link.reset()


def half_close(run: ServerRun) -> None:
    """
    The client sends nothing more, but reads.
    """

    def act() -> None:
        run.link.halfClose()
        run.rest = b""

    run.act = act


def stall(run: ServerRun) -> None:
    """
    The client neither reads nor sends.
    """
    run.goesOn = False
    run.act = lambda: run.link.stall()


def trickle(run: ServerRun) -> None:
    """
    The client sends a byte now and then, and reads little.
    """

    def act() -> None:
        run.trickles = True
        run.link.stall()

    run.act = act


def timers(run: ServerRun) -> None:
    """
    Whatever is armed fires now.
    """

    def act() -> None:
        for call in run.clock.getDelayedCalls():
            if call.active():
                call.reset(0)
        run.clock.callLater(0, lambda: None)

    run.act = act


def record(cut: bool) -> Any:
    """
    Something is no record of TLS.
    """

    def prepare(run: ServerRun) -> None:
        # The transport does not read while it is told not to.
        run.act = lambda: run.link.cut() if cut else run.link.raw(JUNK)
        run.goesOn = False

    return prepare


# -- files --------------------------------------------------------------------------


class Spool(BytesIO):
    """
    Where a long body is kept, on a disk that fails.
    """

    failing = ""
    came: list[str]

    def _try(self, name: str, code: int) -> None:
        if self.failing == name:
            self.came.append(name)
            raise OSError(code, os.strerror(code))

    def write(self, data: Any) -> int:
        """
        Fails if the disk is full.
        """
        self._try("write", errno.ENOSPC)
        return super().write(data)

    def seek(self, *place: Any) -> int:
        """
        Fails if it can not be read.
        """
        self._try("read", errno.EIO)
        return super().seek(*place)

    def close(self) -> None:
        """
        Fails if the disk was full.
        """
        super().close()
        self._try("close", errno.ENOSPC)


def spool(failing: str) -> Any:
    """
    The spool of a body fails.
    """

    def prepare(run: ServerRun) -> None:
        came: list[str] = []
        run.happened = lambda: came

        def content(length: int) -> Any:
            if failing == "open":
                came.append("open")
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            made = Spool()
            made.failing = failing
            made.came = came
            return made

        run.before = lambda: setattr(run.site, "getContentFile", content)

    return prepare


class FailingFile(BytesIO):
    """
    A file that can not be read from some place on.
    """

    def read(self, size: int | None = -1) -> bytes:
        """
        Fail behind the first half.
        """
        if self.tell() >= LENGTH // 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


def static(failing: str) -> Any:
    """
    A file that is served fails.
    """

    def prepare(run: ServerRun) -> None:
        path = Path(run.left.files, "page")
        path.write_bytes(run.application.whole)
        run.target = b"/file"
        file: Any = File(str(path))
        run.application.file = file
        # Of a page that is on its way when it is cut off, the kernel sends zeros.
        run.application.zeros = failing == "shrink"
        run.application.isLeaf = False

        def opening() -> Any:
            if failing == "open":
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return FailingFile(run.application.whole)

        if failing in ("open", "read"):
            file.openForReading = opening
        elif failing == "shrink":
            run.act = lambda: os.truncate(path, 8192)
        else:
            code = getattr(errno, failing)
            real, calls = os.sendfile, []

            def sendfile(*arguments: Any) -> int:
                calls.append(1)
                if len(calls) > 1:
                    raise OSError(code, os.strerror(code))
                return real(*arguments)

            run.patch(os, "sendfile", sendfile)
            run.happened = lambda: len(calls) > 1

    return prepare


def log(run: ServerRun) -> None:
    """
    The disk with the access log is full.
    """

    came: list[str] = []
    run.happened = lambda: came

    class Full:
        def write(self, data: str) -> None:
            came.append(data)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run.act = lambda: setattr(run.site, "logFile", Full())


def files() -> list[Fault]:
    """
    What a disk does.
    """
    bodies = ("head", "part of a body", "body")
    what = "there is a spool only where a body is"
    page = "there is a file only while it is served"
    served = ("first write", "middle of response", "last write")
    found = [
        Fault("spool: open raises EMFILE", spool("open"), bodies, EVERYWHERE, what),
        Fault("spool: write raises ENOSPC", spool("write"), bodies, EVERYWHERE, what),
        Fault("spool: seek raises EIO", spool("read"), bodies, EVERYWHERE, what),
        Fault("spool: close raises ENOSPC", spool("close"), bodies, EVERYWHERE, what),
        Fault("file: open raises EMFILE", static("open"), served, EVERYWHERE, page),
        Fault("file: read raises EIO", static("read"), served, EVERYWHERE, page),
        Fault("file: shrinks", static("shrink"), served, EVERYWHERE, page),
        Fault(
            "access log: write raises ENOSPC",
            log,
            tuple(
                s for s in ALL[1:] if s not in ("idle keep-alive", "lingering close")
            ),
            EVERYWHERE,
            "no request ends there",
        ),
    ]
    for code in CODES:
        found.append(
            Fault(
                f"sendfile 2 raises {code}",
                static(code),
                served,
                ("tcp", "unix"),
                "sendfile is for bare sockets, while a file is served",
            )
        )
    return found


# -- the application ----------------------------------------------------------------


def hooked(name: str, resets: bool = False) -> Any:
    """
    The application raises in one of its methods.
    """

    def prepare(run: ServerRun) -> None:
        came: list[str] = []
        run.happened = lambda: came

        def hook(called: str) -> None:
            if called == name:
                came.append(called)
                raise Broken(name)

        run.application.hook = hook
        # A failure in a Deferred of Twisted's knows the frames that know it.
        run.left.collects |= name == "notifyFinish"
        if resets:
            reset(run)

    return prepare


def hooks() -> list[Fault]:
    """
    What an application does.
    """
    why = "it is called only there"
    asked = tuple(s for s in ALL if s not in ("lingering close", "accepted"))
    # Where nobody was called yet.
    bodiless = ("part of a head", "head", "part of a body")
    work = tuple(s for s in asked if s != "idle keep-alive")
    found = [
        Fault("application: render raises", hooked("render"), work, EVERYWHERE, why)
    ]
    for resets in (False, True):
        end = ", and peer resets" if resets else ""
        found.append(
            Fault(
                f"application: notifyFinish raises{end}",
                hooked("notifyFinish", resets),
                tuple(s for s in asked if s not in bodiless) if resets else asked,
                EVERYWHERE,
                why,
            )
        )
        last = "stopProducing" if resets else "resumeProducing"
        for name in ("pauseProducing", last):
            found.append(
                Fault(
                    f"application: {name} raises{end}",
                    hooked(name, resets),
                    ("middle of response",),
                    EVERYWHERE,
                    why,
                )
            )
        for name in ("dataReceived", "connectionLost"):
            found.append(
                Fault(
                    f"application: {name} of a body raises{end}",
                    hooked(name, resets),
                    ("head", "part of a body", "body")[
                        resets and name == "dataReceived" :
                    ],
                    EVERYWHERE,
                    why,
                    True,
                )
            )
    return found


# -- threads ------------------------------------------------------------------------


class NoThread(Broken, RuntimeError):
    """
    What Python raises then.
    """


def thread(full: bool) -> Any:
    """
    A thread comes back when the connection is gone, or there is none.
    """

    def prepare(run: ServerRun) -> None:
        run.target = b"/wsgi"
        run.application.wsgi = resource = wsgi(run)
        pool = resource._threads

        def refuse(work: Any) -> None:
            raise NoThread("can't start new thread")

        if full:
            pool.callInThread = refuse
            return
        reset(run)
        run.afterwards.append(pool.runOne)

    return prepare


def threads() -> list[Fault]:
    """
    What threads do.
    """
    why = "a thread is at work only there"
    return [
        Fault(
            "thread: its hop comes after the end",
            thread(False),
            ("body",),
            EVERYWHERE,
            why,
        ),
        Fault(
            "thread: none can be begun", thread(True), ("head", "body"), EVERYWHERE, why
        ),
    ]


FAULTS = faults()
