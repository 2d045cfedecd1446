"""
The report of the server's state that SIGUSR2 writes to the log.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from twisted_h11.server import describe_connections

__all__ = ["report"]

_log = Logger()


def report(site: Any) -> None:
    """
    Write the state of a site to the log.

    @param site: a L{Site<twisted_h11.server.Site>}.
    """
    _log.info("Report: {report}", report=describe_connections(site))
