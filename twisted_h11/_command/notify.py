"""
What the server tells whoever has started it: systemd, or the parent of several workers.

That is the protocol of sd_notify(3): datagrams of lines to the socket that
C{NOTIFY_SOCKET} names.  C{READY=1} when the server listens, C{STOPPING=1} when it does
no longer, and C{WATCHDOG=1} again and again, if C{WATCHDOG_USEC} says so.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

__all__ = ["REPLACE", "Notifier"]

REPLACE = "X_H11WEB_REPLACE=1"
"""
A worker asks its parent for a successor.
"""

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

# The longest that a parent's end may go unnoticed, in seconds.
_BEAT = 1.0


class Notifier:
    """
    Tells, if there is anybody to tell.

    @param reactor: the reactor.
    @param environ: the environment.  What it says of sockets is for this process, and
        is taken out, so that others that it starts do not tell in its place.
    @param orphaned: asked at each beat; whether whoever has started this is gone.
    @param alone: called then, once.
    """

    def __init__(
        self,
        reactor: Any,
        environ: MutableMapping[str, str],
        orphaned: Callable[[], bool] | None = None,
        alone: Callable[[], object] | None = None,
    ) -> None:
        self._reactor = reactor
        path, interval, pid = (environ.pop(name, "") for name in _VARIABLES)
        # An "@" stands for the first byte of an abstract address.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._every: float | None = None
        if interval.isascii() and interval.isdecimal() and int(interval):
            if pid in ("", str(os.getpid())):
                self._every = min(int(interval) / 2e6, _BEAT)
        self._orphaned = orphaned
        self._alone = alone
        if orphaned is not None and self._every is None:
            self._every = _BEAT
        self._timer: IDelayedCall | None = None

    def tell(self, line: str) -> None:
        """
        Send one line.  Nobody may listen any more, or not keep up: then it is lost.
        """
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.setblocking(False)
            sender.sendto(line.encode("ascii"), self._address)

    def ready(self) -> None:
        """
        The server listens.
        """
        self.tell("READY=1")
        if self._timer is None and self._every is not None:
            self._beat()

    def around(
        self, drain: Callable[[], Deferred[None]]
    ) -> Callable[[], Deferred[None]]:
        """
        What tells that the server listens no longer, and then drains it.

        @param drain: what drains it.
        """

        def tellAndDrain() -> Deferred[None]:
            self.tell("STOPPING=1")
            return drain().addBoth(self._end)

        return tellAndDrain

    def _beat(self) -> None:
        assert self._every is not None
        self._timer = self._reactor.callLater(self._every, self._beat)
        self.tell("WATCHDOG=1")
        if self._orphaned is not None and self._orphaned():
            self._orphaned = None
            assert self._alone is not None
            self._alone()

    def _end(self, result: Any) -> Any:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return result
