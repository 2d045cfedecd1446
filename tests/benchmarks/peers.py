"""
The peers, each as its users run it, with one worker, and the clients.

Access logs are equal on the two sides of a ratio: see L{Peer.log}.  Where an
option stands that a user would not need, the comment beside it says why.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from tests.benchmarks.cases import Case, chosen

__all__ = [
    *("BARE", "CLIENTS", "GENERAL", "OURS", "PEERS", "Peer"),
    *("before", "compared_with", "control", "find_peers"),
]

# What any server may be able to do, and what needs a loop of the application's.
_LOOP = frozenset({"events", "later", "websocket"})
GENERAL = _LOOP | {"body", "close", "keep-alive", "many", "paths", "pipeline"}
GENERAL |= {"static", "tls"}


@dataclass(frozen=True)
class Peer:
    """
    A server with its options, or a client.

    @ivar name: for the command line and for results.
    @ivar title: for tables and charts.
    @ivar modules: what must be importable, separated by spaces.
    @ivar command: what follows the interpreter, with C{{port}} and C{{folder}} (for log
        files), and C{{origin}}, the port of the server that a proxy or a client asks.
    @ivar plain: what follows that without TLS, and C{secure} with it, where
        C{{certificate}} and C{{key}} are known.
    @ivar can: which of L{GENERAL} it can do, or another.
    @ivar log: where access lines go: C{"file"} (a file of their own),
        C{"twisted"} (Twisted's log, itself in a file) or C{"off"}.
    @ivar ours: which of ours it is compared with; itself for ours.
    @ivar folder: a checkout whose package it runs, for a peer that is an earlier
        revision; else empty.
    @ivar always: whether it takes part in every case that it can do, not only in those
        that are wide.  A run of all pairs would take an hour.
    """

    name: str
    title: str
    modules: str
    command: str
    plain: str = ""
    secure: str = ""
    can: frozenset[str] = GENERAL
    log: str = "off"
    ours: str = "h11web-nolog"
    folder: str = ""
    always: bool = True

    @property
    def isGeneral(self) -> bool:
        """
        Whether it is here for all cases, not for a few.
        """
        return "tls" in self.can

    def takes(self, case: Case) -> bool:
        """
        Whether it takes part in a case.
        """
        if not (case.needs <= self.can and (self.always or case.wide)):
            return False
        return self.isGeneral or bool(case.needs - GENERAL or "static" in case.needs)

    def words(self, python: str, tls: bool = False, **values: object) -> list[str]:
        """
        The command that starts it.

        @param python: the interpreter of the environment that has the peers.
        @param values: what stands for the names in braces.
        """
        words = shlex.split(f"{self.command} {self.secure if tls else self.plain}")
        return [python, *(word.format(**values) for word in words)]


_SSL = "ssl:{port}:interface=127.0.0.1:certKey={certificate}:privateKey={key}"
_FILES = "--certfile {certificate} --keyfile {key}"
_ACCESS_FILE = "--logfile={folder}/access.log"
# Connections stay open while 8,000 of them are made, for which the default of
# some servers (5 seconds) is too short.  Costs and saves nothing otherwise.
_KEEP_ALIVE = "75"


def _twistd(name: str, title: str, log: str, options: str = "") -> Peer:
    """
    C{twistd PLUGIN} with the resource tree.
    """
    plugin = title.split()[1]
    modules = {"web": "twisted.web", "h11web": "twisted_h11.server twisted_h11.tap"}
    return Peer(
        *(name, title, f"{modules[plugin]} twisted.internet.ssl"),
        # What the command does; it need not be installed beside the interpreter.
        "-c 'from twisted.scripts.twistd import run; run()'"
        # In the foreground, so that we can stop it; the log is where it would be
        # in the background.
        " --nodaemon --pidfile= --logfile={folder}/twistd.log"
        f" {plugin} --class=tests.benchmarks.apps.resources.Root {options}",
        "--listen=tcp:{port}:interface=127.0.0.1",
        f"--listen={_SSL}",
        GENERAL | {"flask", "klein"},
        log,
        {"twisted": "h11web", "file": "h11web-logfile", "off": "h11web-nolog"}[log],
        always=log != "twisted",
    )


def _site(name: str, title: str, ours: str, can: str) -> Peer:
    """
    One of L{tests.benchmarks.apps.sites}.
    """
    origin = " --origin {origin}" if "proxy" in can else ""
    return Peer(
        *(name, title, "twisted_h11.server" if name == ours else "twisted.web"),
        f"-m tests.benchmarks.apps.sites {name} --port {{port}}{origin}",
        can=frozenset(can.split()),
        log="file",
        ours=ours,
    )


# Servers for ASGI leave static files to the framework.
_NOT_STATIC = GENERAL - {"static"}
_ASGI = "tests.benchmarks.apps.asgi:app"
_UVICORN = (
    f"-m uvicorn {_ASGI} --host 127.0.0.1 --port {{port}} --no-access-log"
    f" --timeout-keep-alive {_KEEP_ALIVE}"
)
_UVICORN_FILES = "--ssl-certfile {certificate} --ssl-keyfile {key}"
_WSGI = "tests.benchmarks.apps.wsgi:app"
_GUNICORN = f"-m gunicorn {_WSGI} --bind 127.0.0.1:{{port}}"
# Applications of ours that start their server themselves.
_OWN = "-m tests.benchmarks.apps.{} --port {{port}}"
_OWN_FILES = "--cert {certificate} --key {key}"

BARE = Peer(
    "bare",
    "bare Twisted Protocol",
    "twisted.internet twisted.internet.ssl",
    _OWN.format("sites bare"),
    secure=_OWN_FILES,
    # It answers everything with one constant.
    can=frozenset({"keep-alive", "many", "tls"}),
)

PEERS = [
    _twistd("h11web", "twistd h11web", "twisted"),
    _twistd("h11web-logfile", "twistd h11web --logfile", "file", _ACCESS_FILE),
    _twistd("h11web-nolog", "twistd h11web --no-access-log", "off", "--no-access-log"),
    _twistd("twistd-web", "twistd web", "twisted"),
    _twistd("twistd-web-logfile", "twistd web --logfile", "file", _ACCESS_FILE),
    Peer(
        *("uvicorn-h11", "uvicorn, h11", "uvicorn h11"),
        f"{_UVICORN} --http h11 --loop asyncio",
        secure=_UVICORN_FILES,
        can=_NOT_STATIC,
        always=False,
    ),
    Peer(
        *("uvicorn-httptools", "uvicorn, httptools, uvloop"),
        "uvicorn httptools uvloop",
        f"{_UVICORN} --http httptools --loop uvloop",
        secure=_UVICORN_FILES,
        can=_NOT_STATIC,
    ),
    Peer(
        *("hypercorn", "hypercorn", "hypercorn"),
        f"-m hypercorn {_ASGI} --bind 127.0.0.1:{{port}} --keep-alive {_KEEP_ALIVE}",
        secure=_FILES,
        can=_NOT_STATIC,
        always=False,
    ),
    Peer(
        *("daphne", "daphne", "daphne.cli"),
        # Its verbosity decides about the access log.
        f"-m daphne {_ASGI} --verbosity 0",
        "--bind 127.0.0.1 --port {port}",
        f"--endpoint {_SSL}",
        can=_NOT_STATIC,
        always=False,
    ),
    Peer(
        *("aiohttp", "aiohttp", "aiohttp", _OWN.format("aiohttp_app")),
        secure=_OWN_FILES,
    ),
    Peer(
        *("tornado", "tornado", "tornado", _OWN.format("tornado_app")),
        secure=_OWN_FILES,
        # Not among those that the others are compared with.
        can=GENERAL - _LOOP,
        always=False,
    ),
    Peer(
        *("granian", "granian, ASGI", "granian"),
        f"-m granian {_ASGI} --interface asgi --host 127.0.0.1 --port {{port}}"
        " --no-access-log",
        secure="--ssl-certificate {certificate} --ssl-keyfile {key}",
        # A worker takes as many connections as wait at most, 1,024; the others
        # get no answer until one of these has gone.
        can=_NOT_STATIC - {"many"},
    ),
    Peer(
        *("gunicorn", "gunicorn", "gunicorn", _GUNICORN),
        secure=_FILES,
        # The default worker closes every connection after one request.
        can=GENERAL - _LOOP - {"keep-alive", "pipeline", "many"} | {"flask"},
        always=False,
    ),
    Peer(
        *("gunicorn-gthread", "gunicorn, 4 threads", "gunicorn"),
        f"{_GUNICORN} --threads 4 --keep-alive {_KEEP_ALIVE}",
        secure=_FILES,
        # A worker takes 1,000 connections.
        can=GENERAL - _LOOP - {"many"} | {"flask"},
        always=False,
    ),
    Peer(
        *("waitress", "waitress, 4 threads", "waitress flask"),
        f"-m waitress --listen 127.0.0.1:{{port}} {_WSGI}",
        # Compared as a server of Flask's.
        can=frozenset({"keep-alive", "flask"}),
    ),
    BARE,
    _site("h11-foreign", "our Site", "h11-foreign", "foreign keep-alive"),
    _site("web-foreign", "twisted.web's Site", "h11-foreign", "foreign keep-alive"),
    _site("h11-proxy", "our Agent behind our Site", "h11-proxy", "proxy keep-alive"),
    _site("web-proxy", "twisted.web.proxy", "h11-proxy", "proxy"),
    _site("nginx-proxy", "nginx", "h11-proxy", "proxy keep-alive"),
    _site("nginx-static", "nginx", "h11web-logfile", "static keep-alive"),
]

CLIENTS = [
    Peer(
        *(name, title, module),
        f"-m tests.benchmarks.apps.clients {name} --port {{origin}}",
        can=frozenset({"client"}),
        ours="h11-agent",
    )
    for name, title, module in (
        ("h11-agent", "twisted_h11's Agent", "twisted_h11.client"),
        ("twisted-agent", "twisted.web's Agent", "twisted.web.client"),
        ("httpx", "httpx", "httpx"),
        ("aiohttp-client", "aiohttp", "aiohttp"),
    )
]

OURS = frozenset(peer.name for peer in [*PEERS, *CLIENTS] if peer.ours == peer.name)


BEFORE = "-before"
"""
How the names of earlier revisions of ours end.
"""


def before(folder: str) -> list[Peer]:
    """
    All of ours, each with the same server or client of an earlier revision.

    @param folder: a checkout of that revision.
    """
    found = []
    for peer in [*PEERS, *CLIENTS]:
        if peer.name in OURS:
            title = f"{peer.title}, before"
            name = peer.name + BEFORE
            found += [peer, replace(peer, name=name, title=title, folder=folder)]
    return found


def compared_with(name: str) -> str | None:
    """
    Which of ours a peer, a client, an earlier revision or twisted.web's site is
    compared with; C{None} for ours.
    """
    if name.endswith(BEFORE):
        return name.removesuffix(BEFORE)
    ours = {peer.name: peer.ours for peer in [*PEERS, *CLIENTS]}
    ours["twisted.web"] = "twisted_h11"
    return None if name in OURS else ours.get(name)


def find_peers(patterns: list[str]) -> list[Peer]:
    """
    The peers that are meant, in the order of L{PEERS}, and what of ours they are
    compared with.  Who is meant takes part in all cases.

    @param patterns: shell patterns for names.  No patterns means every peer.
    @raise ValueError: when a pattern matches nothing.
    """
    meant = chosen("peer", patterns, PEERS, lambda peer: (peer.name,))
    names = {name for peer in meant for name in (peer.name, peer.ours)}
    found = [peer for peer in PEERS if peer.name in names]
    return [replace(peer, always=True) for peer in found] if patterns else found


def control(peers: list[Peer]) -> list[Peer]:
    """
    Put twisted.web in our place, with the same logs: its ratio to itself shows how
    much of a difference is noise.
    """
    changes = [(" h11web ", " web "), ("--no-access-log", "--logfile=/dev/null")]
    found = []
    for peer in peers:
        if peer.name in OURS:
            command = peer.command
            for ours, theirs in [*changes, ("h11-", "web-")]:
                command = command.replace(ours, theirs)
            peer = replace(
                peer,
                title=f"control for {peer.name}",
                modules="twisted.web twisted.internet.ssl",
                command=command,
            )
        found.append(peer)
    return found
