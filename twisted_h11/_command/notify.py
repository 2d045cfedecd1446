"""
Notifications from the server to systemd, or to the parent of several workers.

The protocol is that of sd_notify(3): datagrams of lines to the socket that
C{NOTIFY_SOCKET} names.  C{READY=1} when the server listens, C{STOPPING=1} when it does
no longer, and C{WATCHDOG=1} in intervals, if C{WATCHDOG_USEC} is set.
"""

from __future__ import annotations

import contextlib
import os
import re
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

_INTERVAL = re.compile("[0-9]{1,19}")

# The interval of the beat, in seconds: the parent's end is noticed within it.
_BEAT = 1.0


class Notifier:
    """
    Sends notifications, if C{NOTIFY_SOCKET} is set.

    @param reactor: the reactor.
    @param environ: the environment.  The variables of the protocol are removed from it,
        so that processes that this one starts do not notify in its place.
    @param orphaned: called at each beat; returns whether the parent is gone.
    @param alone: called once when the parent is gone.
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
        # Not more digits than a number of 64 bits has, as int() raises for thousands.
        if _INTERVAL.fullmatch(interval) and int(interval):
            if pid in ("", str(os.getpid())):
                self._every = min(int(interval) / 2e6, _BEAT)
        self._orphaned = orphaned
        self._alone = alone
        if orphaned is not None and self._every is None:
            self._every = _BEAT
        self._timer: IDelayedCall | None = None

    def tell(self, line: str) -> None:
        """
        Send one line.  It is lost if the receiver is gone, or its queue is full.
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
        Notify that the server listens.
        """
        self.tell("READY=1")
        if self._timer is None and self._every is not None:
            self._beat()

    def around(
        self, drain: Callable[[], Deferred[None]]
    ) -> Callable[[], Deferred[None]]:
        """
        Make a function that notifies that the server listens no longer, and then
        drains it.

        @param drain: drains the server.
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
