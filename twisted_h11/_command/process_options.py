"""
The options of C{twistd h11web} about the process: how it ends.
"""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.python import usage

from twisted_h11._command.values import parse_seconds, read_option
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


class ProcessOptions(usage.Options):
    """
    How the process ends.

    After L{checkProcess}, C{self["grace"]} and C{self["drain-idle"]} are seconds.

    @since: 0.1
    """

    heading = "Processes"

    optParameters: ClassVar[list[list[Any]]] = [
        ["grace", None, f"{DEFAULT_GRACE:g}", _GRACE],
        # As long as a proxy on the same network needs to hear that it is over, and to
        # have what it has sent meanwhile answered.
        ["drain-idle", None, "1", _DRAIN_IDLE],
    ]

    def checkProcess(self) -> None:
        """
        Read the values.
        """
        for name in ("grace", "drain-idle"):
            self[name] = read_option(self, name, parse_seconds)
