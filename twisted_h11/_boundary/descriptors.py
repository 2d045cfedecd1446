"""
The limit of file descriptors of this process.

Systems give a process a soft limit of 1,024, for the sake of programs that use
C{select}, and let it raise that to a hard limit.  A server needs a descriptor for each
connection.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

resource: Any
try:
    resource = import_module("resource")
except ImportError:
    # Windows has no such limit.
    resource = None

__all__ = ["descriptor_limit", "raise_descriptor_limit", "spare_descriptors"]


def descriptor_limit() -> int | None:
    """
    The soft limit.

    @return: a number of descriptors, or C{None} where there is no limit.
    """
    if resource is None:
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> None:
    """
    Raise the soft limit to the hard one, as the programs of Go do.

    The limit is left unchanged if that is not possible.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # Some systems do not allow as many as the hard limit says.
            pass


def spare_descriptors(limit: int) -> int:
    """
    How many descriptors are reserved for other things than connections: ports, logs,
    the reactor, files and long bodies.

    @param limit: the number of all descriptors.
    """
    return min(max(24, limit // 8), 512)
