"""
What fails at the server.
"""

from __future__ import annotations

import errno
from typing import Any

from tests.faults.fault import (
    ALL,
    CODES,
    EVERYWHERE,
    NO_SOCKET,
    READS,
    SOCKETS,
    WRITES,
    WRITING,
    Fault,
    reset,
)
from tests.faults.file_faults import files
from tests.faults.hook_faults import hooks, threads
from tests.faults.links import JUNK, FaultySocket
from tests.faults.server import ServerRun

__all__ = ["FAULTS", "timers"]


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


FAULTS = faults()
