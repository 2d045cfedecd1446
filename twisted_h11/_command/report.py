"""
What the server is doing, written to its log when SIGUSR2 asks for it.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from twisted_h11.server import describe_connections

__all__ = ["report"]

_log = Logger()


def report(site: Any) -> None:
    """
    Write what a site is doing to the log.

    @param site: a L{Site<twisted_h11.server.Site>}.
    """
    _log.info("Report: {report}", report=describe_connections(site))
