"""
What a disk does to the server.
"""

from __future__ import annotations

import errno
import os
from io import BytesIO
from pathlib import Path
from typing import Any

from twisted.web.static import File

from tests.faults.application import LENGTH
from tests.faults.fault import ALL, CODES, EVERYWHERE, Fault
from tests.faults.server import ServerRun

__all__ = ["files"]


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
