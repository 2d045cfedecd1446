"""
What fails at the client.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IHostnameResolver
from zope.interface import implementer

from tests.faults.checks import Broken, net
from tests.faults.client import STAGES, ClientRun
from tests.faults.fault import (
    CODES,
    EVERYWHERE,
    NO_SOCKET,
    READS,
    SOCKETS,
    WRITES,
    Fault,
)
from tests.faults.server_faults import timers

__all__ = ["FAULTS"]

ALL = tuple(STAGES)
# Where there is a connection.
MADE = ALL[2:]


def handshakes(name: str, prepare: Any, transports: Any = EVERYWHERE) -> list[Fault]:
    """
    A fault of a connection, and of a handshake where there is one.
    """
    return [
        Fault(name, prepare, MADE, transports, "before that there is no connection"),
        Fault(
            f"{name} (handshake)",
            prepare,
            ("TLS handshake",),
            ("tls",),
            "the same fault at the one stage that only TLS has",
        ),
    ]


def faults() -> list[Fault]:
    """
    All of them.
    """
    tls = "only TLS has records"
    found = [
        *handshakes("peer resets", acting("reset")),
        *handshakes("peer half-closes", acting("halfClose")),
        *handshakes("peer stalls", acting("stall")),
        *handshakes("peer trickles", trickle),
        *handshakes("timers fire at once", timers),
        Fault("TLS record corrupted", record(False), ALL[1:], ("tls",), tls),
        Fault("TLS record cut", record(True), ALL[1:], ("tls",), tls),
        *names(),
        *hooks(),
    ]
    for code in CODES:
        number = getattr(errno, code)
        reading = tuple(s for s in ALL[2:] if s != "idle in pool")
        found.append(
            Fault(
                f"read raises {code}",
                breaking(READS, number),
                reading,
                SOCKETS,
                NO_SOCKET + "; nothing is read there that is more than a reset",
            )
        )
        where = (*ALL[2:4], "reuse")
        found.append(
            Fault(
                f"write 1 raises {code}",
                breaking(WRITES, number),
                where,
                EVERYWHERE,
                "nothing is written there",
            )
        )
        found.append(
            Fault(
                f"write 2 raises {code}",
                breaking(WRITES, number, 1),
                where[1:],
                SOCKETS,
                "so much is not written there; in memory the first write stands for "
                "all",
                False,
                (("sending body", "tcp"),),
            )
        )
    return found


def acting(name: str) -> Any:
    """
    The server does something.
    """

    def prepare(run: ClientRun) -> None:
        run.act = getattr(run.server, name)

    return prepare


def trickle(run: ClientRun) -> None:
    """
    The server sends a byte now and then.
    """
    run.act = lambda: setattr(run, "trickles", True)


def record(cut: bool) -> Any:
    """
    Something is no record of TLS.
    """

    def prepare(run: ClientRun) -> None:
        run.act = lambda: run.server.raw(cut)

    return prepare


def breaking(calls: tuple[str, ...], code: int, skip: int = 0) -> Any:
    """
    The socket fails when it is used next.
    """

    def prepare(run: ClientRun) -> None:
        def act() -> None:
            if run.real:
                faulty = run.server.breakSocket(calls, code, skip)
                run.happened = lambda: faulty is not None and faulty.failed
            elif code != errno.ENOBUFS:
                run.server.lose(code)

        run.act = act

    return prepare


# -- connecting ---------------------------------------------------------------------


@implementer(IHostnameResolver)
class Resolver:
    """
    An answer of the DNS that is none, or does not come.
    """

    def __init__(self, answers: bool) -> None:
        self.answers = answers

    def resolveHostName(
        self, resolutionReceiver: Any, hostName: str, *_: Any, **__: Any
    ) -> Any:
        """
        See L{IHostnameResolver}.
        """

        class Resolution:
            @staticmethod
            def cancel() -> None:
                resolutionReceiver.resolutionComplete()

        Resolution.name = hostName  # type: ignore[attr-defined]
        resolutionReceiver.resolutionBegan(Resolution)
        if self.answers:
            resolutionReceiver.resolutionComplete()
        return Resolution


def name(answers: bool) -> Any:
    """
    The DNS fails, or says nothing.
    """

    def prepare(run: ClientRun) -> None:
        run.goesOn = False
        if run.real:
            run.host = "nowhere.example"
            old = net.installNameResolver(Resolver(answers))
            run.undo.append(lambda: net.installNameResolver(old))
        elif answers:
            run.act = lambda: fail(run, DNSLookupError())

    return prepare


def fail(run: ClientRun, error: Exception) -> None:
    """
    In memory, connecting fails.
    """
    run.server.network.hang = False
    run.server.network.error = error


def refused(run: ClientRun) -> None:
    """
    Nobody listens.
    """
    run.goesOn = False

    def act() -> None:
        if run.real:
            run.server.port.stopReading()
            run.server.port.socket.close()
        else:
            fail(run, Refused())

    run.act = act


def names() -> list[Fault]:
    """
    What happens before there is a connection.
    """
    where = ("connecting",)
    why = "only who connects looks up a name"
    named = ("memory", "tcp", "tls")
    return [
        Fault("DNS answer fails", name(True), where, named, why),
        Fault("DNS answer never comes", name(False), where, named, why),
        Fault(
            "nobody listens",
            refused,
            where,
            ("memory",),
            "the kernel's refusal is that of tests/client/test_endpoints; here it "
            "is told by the endpoint",
        ),
    ]


# -- the application ----------------------------------------------------------------


def hooked(wanted: str) -> Any:
    """
    The application raises in one of its methods.
    """

    def prepare(run: ClientRun) -> None:
        came: list[str] = []
        run.happened = lambda: came

        def hook(called: str) -> None:
            if called.startswith(wanted):
                came.append(called)
                raise Broken(wanted)

        run.hook = hook

    return prepare


def hooks() -> list[Fault]:
    """
    What an application does.
    """
    sending = ("sending body",)
    reading = ("waiting", "interim", "response head", "body middle", "body end")
    why = "it is called only there"
    found = [
        Fault("application: trace raises", hooked("trace"), MADE[:-2], EVERYWHERE, why)
    ]
    for called in ("dataReceived", "connectionLost"):
        found.append(
            Fault(
                f"application: {called} raises",
                hooked(called),
                reading,
                EVERYWHERE,
                why,
            )
        )
    for called in ("startProducing",):
        found.append(
            Fault(
                f"application: {called} of a body raises",
                hooked(called),
                sending,
                EVERYWHERE,
                why,
            )
        )
    return found


FAULTS = faults()
