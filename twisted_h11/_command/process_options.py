"""
The options of C{twistd h11web} for its processes: their number, and how they end.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any, ClassVar

from twisted.python import usage

from twisted_h11._command.adopted import reactor_for
from twisted_h11._command.endpoints import endpoint_kind
from twisted_h11._command.handed import InheritingReactor, OpeningReactor
from twisted_h11._command.values import parse_seconds, parse_whole, read_option
from twisted_h11._command.worker import inherited
from twisted_h11.service import DEFAULT_GRACE

__all__ = ["ProcessOptions"]

_GRACE = (
    "Seconds that busy connections get to finish when the server stops, before they "
    "are aborted; as much as Gunicorn and Kubernetes give."
)
_DRAIN_IDLE = (
    "Seconds for which idle connections stay open when the server stops, so that a "
    "request that is on its way to one is answered; within --grace."
)


_WORKERS = (
    "Serve with this many processes, which are started again when they end; SIGHUP "
    "replaces them one after the other. By default there is one process, which is not "
    "started again."
)
_START = (
    "Seconds in which a worker has to be ready; otherwise it is killed and started "
    "again; by default 60. Goes with --workers."
)
_ALIVE = (
    "Seconds without a sign of life after which a worker is killed and started again; "
    "by default 30. Resources must not block the reactor for that long. Goes with "
    "--workers."
)
_REQUESTS = (
    "Requests after which a worker is replaced, or without --workers the server ends, "
    "for systemd to start it again; for applications that leak memory. By default "
    "there is no bound."
)
_JITTER = (
    "A random number up to this one is added to --max-requests, so that not all "
    "workers are replaced at the same time."
)

# The kinds of endpoints that use a reactor's methods for listening.
_KINDS = ("tcp", "tcp4", "tcp6", "unix", "ssl", "tls", "systemd")

_DEFAULTS = {"worker-start-timeout": 60.0, "worker-timeout": 30.0}

_MOST_WORKERS = 1024
_MOST_REQUESTS = 10**12


class ProcessOptions(usage.Options):
    """
    Options for the number of processes, and how they end.

    After L{checkProcess}, C{self["grace"]}, C{self["drain-idle"]} and the time-outs are
    seconds, C{self["workers"]} is a number, or C{None} in a server without workers and
    in a worker, and C{self["opening"]} is the L{OpeningReactor} of a parent.

    @since: 0.1
    """

    heading = "Processes"

    optParameters: ClassVar[list[list[Any]]] = [
        ["grace", None, f"{DEFAULT_GRACE:g}", _GRACE],
        # Long enough for a proxy on the same network to see the end of file, and to
        # get responses to requests that it has sent before.
        ["drain-idle", None, "1", _DRAIN_IDLE],
        ["workers", None, None, _WORKERS],
        ["worker-start-timeout", None, None, _START],
        ["worker-timeout", None, None, _ALIVE],
        ["max-requests", None, None, _REQUESTS],
        ["max-requests-jitter", None, None, _JITTER],
    ]

    def checkProcess(self) -> None:
        """
        Read the values.
        """
        for name in ("grace", "drain-idle"):
            self[name] = read_option(self, name, parse_seconds)
        self._checkRequests()
        self._checkWorkers()

    def listeningReactor(self, description: str) -> Any:
        """
        The reactor with which an endpoint is to listen.

        @param description: the endpoint description.
        @raise ValueError: if workers can not share the endpoint.
        """
        if self._shared is None:
            return reactor_for(description)
        kind = endpoint_kind(description.removeprefix("haproxy:"))
        if kind not in _KINDS:
            raise ValueError(
                f"--workers is for endpoints of {', '.join(_KINDS)} and haproxy"
            )
        return self._shared

    def _checkRequests(self) -> None:
        if self["max-requests"] is None and self["max-requests-jitter"] is not None:
            raise usage.UsageError("--max-requests-jitter goes with --max-requests")
        for name in ("max-requests", "max-requests-jitter"):
            if self[name] is not None:
                parse = partial(parse_whole, least=1, most=_MOST_REQUESTS)
                self[name] = read_option(self, name, parse)

    def _checkWorkers(self) -> None:
        text = self["workers"]
        self._shared: Any = None
        self["opening"] = None
        for name, default in _DEFAULTS.items():
            if self[name] is None:
                self[name] = default
                continue
            if text is None:
                raise usage.UsageError(f"--{name} goes with --workers")
            self[name] = read_option(self, name, _parse_time)
        if text is None:
            return
        parse = partial(parse_whole, least=1, most=_MOST_WORKERS)
        count = read_option(self, "workers", parse)
        from twisted.internet import reactor

        had = inherited()
        if had is not None:
            self["workers"] = None
            self._shared = InheritingReactor(reactor, had.descriptors)
            return
        if self.parent is None:
            raise usage.UsageError("--workers is for the command twistd h11web")
        if self["personal"]:
            raise usage.UsageError("--personal and --workers exclude each other")
        for name in ("chroot", "profile", "debug"):
            if self.parent.get(name):
                raise usage.UsageError(
                    f"--workers and twistd --{name} exclude each other"
                )
        # Workers are started in this directory, which must exist.
        os.getcwd()
        self["workers"] = count
        self._shared = self["opening"] = OpeningReactor(reactor)


def _parse_time(text: str) -> float:
    """
    Parse a time-out of at least a second.
    """
    seconds = parse_seconds(text)
    if seconds < 1:
        raise ValueError("must be at least one second")
    return seconds
