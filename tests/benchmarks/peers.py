"""
The peers, each as its users run it, with one worker.

Access logs are equal on the two sides of a ratio: see L{Peer.log}.  Where an
option stands that a user would not need, the comment beside it says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

__all__ = [
    "OURS",
    "PEERS",
    "Launch",
    "Peer",
    "control",
    "find_peers",
    "our_side",
]

_RESOURCE = "tests.benchmarks.apps.resources.Root"
_ASGI = "tests.benchmarks.apps.asgi:app"
_WSGI = "tests.benchmarks.apps.wsgi:app"

# What the command twistd does; it need not be installed beside the interpreter.
_TWISTD = "from twisted.scripts.twistd import run; run()"

# Connections stay open while 8,000 of them are made, for which the default of
# some servers (5 seconds) is too short.  Costs and saves nothing otherwise.
_KEEP_ALIVE = "75"

EVERYTHING = frozenset(
    {"body", "close", "paths", "pipeline", "static", "tls", "keep-alive", "many"}
)


@dataclass(frozen=True)
class Launch:
    """
    What a command needs to know.

    @ivar python: the interpreter of the environment that has the peers.
    @ivar port: the port to listen on, at 127.0.0.1.
    @ivar folder: for log files.
    @ivar certificate: file names of certificate and key, for TLS.
    """

    python: str
    port: int
    folder: str
    certificate: tuple[str, str] | None = None


@dataclass(frozen=True)
class Peer:
    """
    A server with its options.

    @ivar name: for the command line and for results.
    @ivar title: for tables and charts.
    @ivar modules: what must be importable.
    @ivar log: where access lines go: C{"file"} (a file of their own),
        C{"twisted"} (Twisted's log, itself in a file) or C{"off"}.
    @ivar command: makes the command.
    @ivar can: which of L{EVERYTHING} it can do.
    """

    name: str
    title: str
    modules: tuple[str, ...]
    log: str
    command: Callable[[Launch], list[str]]
    can: frozenset[str] = EVERYTHING


def _twistd(plugin: str, *options: str) -> Callable[[Launch], list[str]]:
    """
    C{twistd PLUGIN} with the resource tree.
    """

    def command(launch: Launch) -> list[str]:
        endpoint = f"tcp:{launch.port}:interface=127.0.0.1"
        if launch.certificate is not None:
            certificate, key = launch.certificate
            endpoint = (
                f"ssl:{launch.port}:interface=127.0.0.1"
                f":certKey={certificate}:privateKey={key}"
            )
        chosen = [option.format(folder=launch.folder) for option in options]
        return [
            *[launch.python, "-c", _TWISTD],
            # In the foreground, so that we can stop it; the log is where it
            # would be in the background.
            "--nodaemon",
            "--pidfile=",
            f"--logfile={launch.folder}/twistd.log",
            plugin,
            f"--class={_RESOURCE}",
            f"--listen={endpoint}",
            *chosen,
        ]

    return command


def _uvicorn(*options: str) -> Callable[[Launch], list[str]]:
    """
    C{uvicorn} with the ASGI application.
    """

    def command(launch: Launch) -> list[str]:
        made = [
            *[launch.python, "-m", "uvicorn", _ASGI],
            *["--host", "127.0.0.1", "--port", str(launch.port)],
            *["--no-access-log", "--timeout-keep-alive", _KEEP_ALIVE],
            *options,
        ]
        if launch.certificate is not None:
            certificate, key = launch.certificate
            made += ["--ssl-certfile", certificate, "--ssl-keyfile", key]
        return made

    return command


def _hypercorn(launch: Launch) -> list[str]:
    """
    C{hypercorn}, which has no access log unless asked.
    """
    made = [
        *[launch.python, "-m", "hypercorn", "--bind", f"127.0.0.1:{launch.port}"],
        *["--keep-alive", _KEEP_ALIVE],
    ]
    if launch.certificate is not None:
        certificate, key = launch.certificate
        made += ["--certfile", certificate, "--keyfile", key]
    return [*made, _ASGI]


def _daphne(launch: Launch) -> list[str]:
    """
    C{daphne}, whose verbosity decides about the access log.
    """
    made = [launch.python, "-m", "daphne", "--verbosity", "0"]
    if launch.certificate is None:
        made += ["--bind", "127.0.0.1", "--port", str(launch.port)]
    else:
        certificate, key = launch.certificate
        endpoint = f"ssl:{launch.port}:interface=127.0.0.1"
        made += ["--endpoint", f"{endpoint}:certKey={certificate}:privateKey={key}"]
    return [*made, _ASGI]


def _granian(launch: Launch) -> list[str]:
    """
    C{granian} with the ASGI application; its access log is off by default.
    """
    made = [
        *[launch.python, "-m", "granian", "--interface", "asgi"],
        *["--host", "127.0.0.1", "--port", str(launch.port), "--no-access-log"],
    ]
    if launch.certificate is not None:
        certificate, key = launch.certificate
        made += ["--ssl-certificate", certificate, "--ssl-keyfile", key]
    return [*made, _ASGI]


def _gunicorn(*options: str) -> Callable[[Launch], list[str]]:
    """
    C{gunicorn} with the WSGI application; its access log is off by default.
    """

    def command(launch: Launch) -> list[str]:
        made = [
            *[launch.python, "-m", "gunicorn", "--bind", f"127.0.0.1:{launch.port}"],
            *options,
        ]
        if launch.certificate is not None:
            certificate, key = launch.certificate
            made += ["--certfile", certificate, "--keyfile", key]
        return [*made, _WSGI]

    return command


def _own(module: str) -> Callable[[Launch], list[str]]:
    """
    An application of ours that starts its server itself.
    """

    def command(launch: Launch) -> list[str]:
        made = [launch.python, "-m", f"tests.benchmarks.apps.{module}"]
        made += ["--port", str(launch.port)]
        if launch.certificate is not None:
            certificate, key = launch.certificate
            made += ["--cert", certificate, "--key", key]
        return made

    return command


_ACCESS_FILE = "--logfile={folder}/access.log"
_TWISTED = ("twisted.web", "twisted.internet.ssl")
_H11 = ("twisted_h11.server", "twisted_h11.tap", "twisted.internet.ssl")

PEERS: list[Peer] = [
    Peer("h11web", "twistd h11web", _H11, "twisted", _twistd("h11web")),
    Peer(
        "h11web-logfile",
        "twistd h11web --logfile",
        _H11,
        "file",
        _twistd("h11web", _ACCESS_FILE),
    ),
    Peer(
        "h11web-nolog",
        "twistd h11web --no-access-log",
        _H11,
        "off",
        _twistd("h11web", "--no-access-log"),
    ),
    Peer("twistd-web", "twistd web", _TWISTED, "twisted", _twistd("web")),
    Peer(
        "twistd-web-logfile",
        "twistd web --logfile",
        _TWISTED,
        "file",
        _twistd("web", _ACCESS_FILE),
    ),
    Peer(
        "uvicorn-h11",
        "uvicorn, h11",
        ("uvicorn", "h11"),
        "off",
        _uvicorn("--http", "h11", "--loop", "asyncio"),
        # Servers for ASGI leave static files to the framework.
        EVERYTHING - {"static"},
    ),
    Peer(
        "uvicorn-httptools",
        "uvicorn, httptools, uvloop",
        ("uvicorn", "httptools", "uvloop"),
        "off",
        _uvicorn("--http", "httptools", "--loop", "uvloop"),
        EVERYTHING - {"static"},
    ),
    Peer(
        "hypercorn",
        "hypercorn",
        ("hypercorn",),
        "off",
        _hypercorn,
        EVERYTHING - {"static"},
    ),
    Peer(
        "daphne",
        "daphne",
        ("daphne.cli",),
        "off",
        _daphne,
        EVERYTHING - {"static"},
    ),
    Peer("aiohttp", "aiohttp", ("aiohttp",), "off", _own("aiohttp_app")),
    Peer("tornado", "tornado", ("tornado",), "off", _own("tornado_app")),
    Peer(
        "granian",
        "granian, ASGI",
        ("granian",),
        "off",
        _granian,
        # A worker takes as many connections as wait at most, 1,024; the others
        # get no answer until one of these has gone.
        EVERYTHING - {"static", "many"},
    ),
    Peer(
        "gunicorn",
        "gunicorn",
        ("gunicorn",),
        "off",
        _gunicorn(),
        # The default worker closes every connection after one request.
        EVERYTHING - {"keep-alive", "pipeline", "many"},
    ),
    Peer(
        "gunicorn-gthread",
        "gunicorn, 4 threads",
        ("gunicorn",),
        "off",
        _gunicorn("--threads", "4", "--keep-alive", _KEEP_ALIVE),
        # A worker takes 1,000 connections.
        EVERYTHING - {"many"},
    ),
    Peer(
        "bare",
        "bare Twisted Protocol",
        ("twisted.internet", "twisted.internet.ssl"),
        "off",
        _own("bare"),
        # It answers everything with one constant.
        frozenset({"tls", "keep-alive", "many"}),
    ),
]

OURS = frozenset({"h11web", "h11web-logfile", "h11web-nolog"})


def our_side(peer: Peer) -> str:
    """
    Which of ours a peer is compared with: the one whose access log is the same.
    """
    for candidate in PEERS:
        if candidate.name in OURS and candidate.log == peer.log:
            return candidate.name
    raise ValueError(f"nothing of ours logs like {peer.name}")


def find_peers(patterns: list[str]) -> list[Peer]:
    """
    The peers that are meant, in the order of L{PEERS}, and what of ours they
    are compared with.

    @param patterns: shell patterns.  No patterns means every peer.
    @raise ValueError: when a pattern matches nothing.
    """
    found: set[str] = set()
    for pattern in patterns:
        matching = {peer for peer in PEERS if fnmatchcase(peer.name, pattern)}
        if not matching:
            raise ValueError(f"no peer is called {pattern!r}; --list says which are")
        found |= {peer.name for peer in matching}
        found |= {our_side(peer) for peer in matching}
    return [peer for peer in PEERS if not patterns or peer.name in found]


def control(peers: list[Peer]) -> list[Peer]:
    """
    Put C{twistd web} in our place, with the same logs: its ratio to itself
    shows how much of a difference is noise.
    """
    stand_ins = {
        "h11web": _twistd("web"),
        "h11web-logfile": _twistd("web", _ACCESS_FILE),
        "h11web-nolog": _twistd("web", "--logfile=/dev/null"),
    }
    return [
        replace(
            peer,
            title=f"control for {peer.name}",
            modules=_TWISTED,
            command=stand_ins[peer.name],
        )
        if peer.name in OURS
        else peer
        for peer in peers
    ]
