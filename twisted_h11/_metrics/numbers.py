"""
The numbers of one process: whole numbers at fixed places in a piece of memory.

To increment an item of an array takes 30 nanoseconds.  The memory may be a file, which
other processes read; then the numbers are kept even if the process is killed.

L{PLACES} has the index of each number.  A histogram has a place for each bucket, not
cumulated, and one for the sum: of durations in nanoseconds, of sizes in bytes.
"""

from __future__ import annotations

import mmap
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "CLASSES",
    "DURATIONS",
    "FIRST_GAUGE",
    "METHODS",
    "PLACES",
    "SIZES",
    "STATES",
    "STATUSES",
    "WAITS",
    "Numbers",
]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")

DURATIONS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""
The bounds of the buckets of durations, in seconds: those of Prometheus' clients, and
some more at each end.
"""

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
"""
The bounds of the buckets of sizes, in bytes.
"""

STATUSES = ("400", "408", "413", "414", "417", "431", "501", "503", "505", "other")
WAITS = ("handshake", "idle", "head", "body", "request", "response", "client", "other")
STATES = (
    *("new", "idle", "head", "body", "response"),
    *("closing", "http2", "given_away"),
)


def _places() -> dict[str, int]:
    names = [f"requests {m} {c}" for m in METHODS for c in CLASSES]
    for name, bounds in (
        ("duration", DURATIONS),
        ("sent", SIZES),
        ("received", SIZES),
    ):
        names += [f"{name} {n}" for n in range(len(bounds) + 1)]
        names.append(f"{name} sum")
    names += [f"refused {status}" for status in STATUSES]
    names += [f"timed out {wait}" for wait in WAITS]
    names += ["connections", "handshakes ok", "handshakes failed", "log lines dropped"]
    # Gauges last: they end with their process.
    names += [f"state {state}" for state in STATES]
    return {name: place for place, name in enumerate(names)}


PLACES = _places()

FIRST_GAUGE = PLACES[f"state {STATES[0]}"]
"""
The index of the first gauge; the numbers before it are counters.
"""

_METHODS = {
    name.encode("ascii"): PLACES[f"requests {name} 1xx"] for name in METHODS[:-1]
}
_OTHER_METHOD = PLACES["requests other 1xx"]
_DURATION, _DURATION_SUM = PLACES["duration 0"], PLACES["duration sum"]
_SENT, _SENT_SUM = PLACES["sent 0"], PLACES["sent sum"]
_RECEIVED, _RECEIVED_SUM = PLACES["received 0"], PLACES["received sum"]
_STATUSES = {int(name): PLACES[f"refused {name}"] for name in STATUSES[:-1]}
_OTHER_STATUS = PLACES["refused other"]
_OTHER_WAIT = PLACES["timed out other"]
_CONNECTIONS = PLACES["connections"]
_HANDSHAKES = (PLACES["handshakes failed"], PLACES["handshakes ok"])
_DROPPED = PLACES["log lines dropped"]

# In seconds.  When the clock is set, the duration of a running request may be negative,
# which no counter may be, or many years, of which few fit into a sum.
_LONGEST = 30 * 86400.0

_LENGTH = 8 * len(PLACES)


class Numbers:
    """
    The numbers of this process.

    @ivar view: the numbers, by L{PLACES}.

    @param path: a new file to keep them in; by default they are in memory only.
    """

    def __init__(self, path: str | None = None) -> None:
        # A list is twice as fast as an array.
        self.view: Any = [0] * len(PLACES)
        if path is not None:
            self.moveTo(path)

    def moveTo(self, path: str) -> None:
        """
        Keep the numbers in a new file.

        @raise OSError: if it can not be made.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            # Not ftruncate: without room on the disk, writing to the memory would end
            # the process.  posix_fallocate is missing on macOS.
            os.write(descriptor, array("q", self.view).tobytes())
            self.view = memoryview(mmap.mmap(descriptor, _LENGTH)).cast("q")
        except OSError:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)

    def ended(self, request: Any, seconds: float | None, received: int | None) -> None:
        """
        A response has ended.

        @param request: its request, as the access log gets it.
        @param seconds: the time since its head was received.
        @param received: the length of its content, in bytes.
        """
        view = self.view
        code = request.code // 100
        place = _METHODS.get(request.method, _OTHER_METHOD)
        view[place + (code - 1 if 0 < code < 6 else 5)] += 1
        if seconds is not None:
            if not 0 <= seconds <= _LONGEST:
                seconds = min(max(seconds, 0.0), _LONGEST)
            view[_DURATION + bisect_left(DURATIONS, seconds)] += 1
            view[_DURATION_SUM] += int(seconds * 1e9)
        sent = request.sentLength
        view[_SENT + bisect_left(SIZES, sent)] += 1
        view[_SENT_SUM] += sent
        if received:
            view[_RECEIVED + bisect_left(SIZES, received)] += 1
            view[_RECEIVED_SUM] += received

    def refused(self, status: int) -> None:
        """
        The server itself has responded to a request or a connection with an error.
        """
        self.view[_STATUSES.get(status, _OTHER_STATUS)] += 1

    def timedOut(self, wait: str) -> None:
        """
        A time-out of a connection has passed.

        @param wait: what it waited for, one of L{WAITS}.
        """
        self.view[PLACES.get(f"timed out {wait}", _OTHER_WAIT)] += 1

    def connected(self) -> None:
        """
        A connection was accepted.
        """
        self.view[_CONNECTIONS] += 1

    def handshake(self, isGood: bool) -> None:
        """
        A TLS handshake has ended.
        """
        self.view[_HANDSHAKES[isGood]] += 1

    def now(self, states: Iterable[str], dropped: int) -> None:
        """
        Set the gauges.

        @param states: the state of each connection, one of L{STATES}.
        @param dropped: how many lines of the access log were lost so far.
        """
        counts = dict.fromkeys(STATES, 0)
        for state in states:
            counts[state] += 1
        for state, count in counts.items():
            self.view[PLACES[f"state {state}"]] = count
        self.view[_DROPPED] = dropped


def total(parts: Iterable[Sequence[int]]) -> list[int]:
    """
    The sums of the numbers of several processes.
    """
    sums = [0] * len(PLACES)
    for part in parts:
        for place, number in enumerate(part):
            sums[place] += number
    return sums
