"""
A port for a server that another program starts.
"""

from __future__ import annotations

import socket

__all__ = ["free_port"]


def free_port() -> int:
    """
    A port of the loopback interface that was free just now.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
