"""
A port for a server that another program starts.
"""

from __future__ import annotations

import socket
from errno import EADDRINUSE
from pathlib import Path
from random import SystemRandom

__all__ = ["RANGE", "free_port", "given_out"]

# Ports below have their services, and those of private use begin at 49152 (RFC 6335).
LOWEST = 10_000


def given_out() -> int:
    """
    The first port that the system gives out by itself: to a client, or to a server
    that asks for port 0.
    """
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii")
    except OSError:
        return 32_768
    return int(text.split()[0])


RANGE = range(LOWEST, max(given_out(), LOWEST + 1_000))
"""
The ports to choose from.  One that the system gives out would be anybody's until the
server listens there: of the other tests of this machine, that connect and listen many
times in a second; or of whoever tries to connect to the server, to its own socket.
Where the system gives out nearly all ports, it has to be one of them.
"""


def free_port() -> int:
    """
    A port of the loopback interface that was free just now.
    """
    # Not of the generator that tests seed: two runs would choose the same.
    chance = SystemRandom()
    for _ in range(1000):
        number = chance.choice(RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", number))
            except OSError as error:
                if error.errno != EADDRINUSE:
                    raise
            else:
                return number
    raise RuntimeError(f"no port of {RANGE} is free")
