"""
What the server's application, and its threads, do.
"""

from __future__ import annotations

from typing import Any

from tests.faults.application import wsgi
from tests.faults.checks import Broken
from tests.faults.fault import ALL, EVERYWHERE, Fault, reset
from tests.faults.server import ServerRun

__all__ = ["hooks", "threads"]


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
