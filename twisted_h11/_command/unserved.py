"""
Sockets that systemd has handed over, and that no endpoint listens on.

The kernel accepts their clients, which then wait in vain, so a warning says so.  It is
no error: an application may serve the socket by itself.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain, repeat
from typing import Any

from twisted.logger import Logger

from twisted_h11._boundary.opening import open_file
from twisted_h11._command.handed import FIRST

__all__ = ["first_environ", "warn_of_unserved"]

_log = Logger()

_UNSERVED = (
    "No endpoint listens on {where}, a socket that was handed over to this server "
    "(descriptor {number}, {name}): its clients wait in vain. To serve it: "
    "--listen=systemd:domain={domain}:index={index}"
)


def first_environ() -> dict[str, str]:
    """
    The environment with which this process was started: Twisted has removed the
    variables of systemd from the present one.

    @return: the environment; empty where there is no C{/proc}.
    """
    try:
        with open_file("/proc/self/environ") as file:
            variables = os.fsdecode(file.read()).split("\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (one.partition("=") for one in variables)}


def warn_of_unserved() -> None:
    """
    When the reactor runs, log a warning for each socket that was handed over to this
    process and that no endpoint listens on.  To be called before endpoints listen.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    for number, name in _handed(first_environ()):
        opened = os.fstat(number)
        if stat.S_ISSOCK(opened.st_mode):
            loop.callWhenRunning(_warn, number, name, opened)


def _handed(environ: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """
    The descriptors that were handed over, and their names.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return
    try:
        numbers = range(FIRST, FIRST + int(environ.get("LISTEN_FDS", "0")))
    except ValueError:
        return
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    for number, name in zip(numbers, chain(names, repeat("")), strict=False):
        try:
            os.fstat(number)
        except OSError:
            return
        yield number, name or "without a name"


def _warn(number: int, name: str, opened: os.stat_result) -> None:
    """
    Log the warning, unless an endpoint has adopted the socket: then its number is
    closed, or that of something else.
    """
    with suppress(OSError):
        if not os.path.samestat(opened, os.fstat(number)):
            return
        with socket.socket(fileno=os.dup(number)) as made:
            if made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                _log.warn(
                    _UNSERVED,
                    where=_describe(made.getsockname()),
                    number=number,
                    name=name,
                    domain=socket.AddressFamily(made.family).name.removeprefix("AF_"),
                    index=number - FIRST,
                )


def _describe(address: Any) -> str:
    """
    The address of a socket.
    """
    if isinstance(address, str | bytes):
        # The name of an abstract one begins with a zero, for which systemd has "@".
        return os.fsdecode(address).replace("\0", "@")
    host, port = address[:2]
    return f"port {port} of {host}"
