"""
The peers, each as its users run it, with one worker, and the clients.

Access logs are equal on the two sides of a ratio: see L{Peer.log}.  Where an
option stands that a user would not need, the comment beside it says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from tests.benchmarks.cases import Case

__all__ = [
    "CLIENTS",
    "GENERAL",
    "OURS",
    "OUR_CLIENT",
    "PEERS",
    "Client",
    "Launch",
    "Peer",
    "compared_with",
    "control",
    "find_peers",
]

# What any server may be able to do.
GENERAL = frozenset(
    {"body", "close", "paths", "pipeline", "static", "tls", "keep-alive", "many"}
) | {"events", "later", "websocket"}
EVERYTHING = GENERAL | {"flask", "klein"}


class Launch(NamedTuple):
    """
    What a command needs to know.

    @ivar python: the interpreter of the environment that has the peers.
    @ivar port: the port to listen on, at 127.0.0.1.
    @ivar folder: for log files.
    @ivar certificate: file names of certificate and key, for TLS.
    @ivar origin: the port of the server that a proxy asks.
    """

    python: str
    port: int
    folder: str
    certificate: tuple[str, str] | None = None
    origin: int = 0


@dataclass(frozen=True)
class Peer:
    """
    A server with its options.

    @ivar name: for the command line and for results.
    @ivar title: for tables and charts.
    @ivar modules: what must be importable.
    @ivar log: where access lines go: C{"file"} (a file of their own),
        C{"twisted"} (Twisted's log, itself in a file) or C{"off"}.
    @ivar words: what follows the interpreter, with C{{port}} and C{{folder}}.
    @ivar plain: what follows that without TLS, and C{secure} with it, where
        C{{certificate}} and C{{key}} are known.
    @ivar can: which of L{EVERYTHING} it can do, or another.
    @ivar always: whether it takes part in every case that it can do, not only in those
        that are wide.
    @ivar ours: which of ours it is compared with; itself for ours.
    """

    name: str
    title: str
    modules: tuple[str, ...]
    log: str
    words: tuple[str, ...]
    plain: str = ""
    secure: str = ""
    can: frozenset[str] = EVERYTHING
    ours: str = ""
    always: bool = True

    def takes(self, case: Case) -> bool:
        """
        Whether it takes part in a case.
        """
        if not (case.needs <= self.can and (self.always or case.wide)):
            return False
        return self.isGeneral or bool(case.needs - GENERAL or "static" in case.needs)

    @property
    def isGeneral(self) -> bool:
        """
        Whether it is here for all cases, not for a few.
        """
        return "tls" in self.can

    def command(self, launch: Launch) -> list[str]:
        """
        The command that starts it.
        """
        rest = self.plain if launch.certificate is None else self.secure
        certificate, key = launch.certificate or ("", "")
        values: dict[str, object] = {"port": launch.port, "folder": launch.folder}
        values["origin"] = launch.origin
        values |= {"certificate": certificate, "key": key}
        words = [word.format(**values) for word in (*self.words, *rest.split())]
        return [launch.python, *words]


_TCP = "tcp:{port}:interface=127.0.0.1"
_SSL = "ssl:{port}:interface=127.0.0.1:certKey={certificate}:privateKey={key}"
_FILES = "--certfile {certificate} --keyfile {key}"

# Connections stay open while 8,000 of them are made, for which the default of
# some servers (5 seconds) is too short.  Costs and saves nothing otherwise.
_KEEP_ALIVE = "75"
_ACCESS_FILE = "--logfile={folder}/access.log"


def _twistd(plugin: str, *options: str) -> tuple[str, ...]:
    """
    C{twistd PLUGIN} with the resource tree.
    """
    return (
        # What the command does; it need not be installed beside the interpreter.
        *("-c", "from twisted.scripts.twistd import run; run()"),
        # In the foreground, so that we can stop it; the log is where it would be
        # in the background.
        *("--nodaemon", "--pidfile=", "--logfile={folder}/twistd.log"),
        *(plugin, "--class=tests.benchmarks.apps.resources.Root", *options),
    )


# Which of ours writes its access lines where.
_OURS_BY_LOG = {"h11web": "twisted", "h11web-logfile": "file", "h11web-nolog": "off"}


def _twisted(
    name: str, title: str, log: str, plugin: str, *options: str, needs: str
) -> Peer:
    modules = (*needs.split(), "twisted.internet.ssl")
    words = _twistd(plugin, *options)
    ours = next(one for one, which in _OURS_BY_LOG.items() if which == log)
    listen = (f"--listen={_TCP}", f"--listen={_SSL}")
    return Peer(name, title, modules, log, words, *listen, EVERYTHING, ours)


def _h11(name: str, log: str, *options: str) -> Peer:
    title = " ".join(["twistd h11web", *(one.partition("=")[0] for one in options)])
    needs = "twisted_h11.server twisted_h11.tap"
    return _twisted(name, title, log, "h11web", *options, needs=needs)


def _web(name: str, title: str, log: str, *options: str) -> Peer:
    return _twisted(name, title, log, "web", *options, needs="twisted.web")


def _other(
    name: str,
    title: str,
    modules: str,
    command: str,
    plain: str = "",
    secure: str = "",
    cannot: str = "",
    also: str = "",
    log: str = "off",
    ours: str = "h11web-nolog",
) -> Peer:
    """
    A server, without an access log unless it is said.

    @param command: a module that is run, and its options.
    """
    words = ("-m", *command.split())
    can = EVERYTHING - {*cannot.split(), "flask", "klein", "foreign", "proxy"}
    can |= {*also.split()}
    needed = (*modules.split(),)
    return Peer(name, title, needed, log, words, plain, secure, can, ours)


# Servers for ASGI leave static files to the framework.
_ASGI = "tests.benchmarks.apps.asgi:app"
_UVICORN = (
    f"uvicorn {_ASGI} --host 127.0.0.1 --port {{port}} --no-access-log"
    f" --timeout-keep-alive {_KEEP_ALIVE}"
)
_UVICORN_FILES = "--ssl-certfile {certificate} --ssl-keyfile {key}"
_GUNICORN = "gunicorn tests.benchmarks.apps.wsgi:app --bind 127.0.0.1:{port}"
# Applications of ours that start their server themselves.
_OWN = "tests.benchmarks.apps.{} --port {{port}}"
_OWN_FILES = "--cert {certificate} --key {key}"

# What needs a loop of the application's.
_NOT_SYNC = "events later websocket"


def _own_site(name: str, title: str, ours: str, can: str) -> Peer:
    """
    One of L{tests.benchmarks.apps.sites}.
    """
    options = " --origin {origin}" if "proxy" in can else ""
    module = "twisted_h11.server" if name == ours else "twisted.web"
    command = f"tests.benchmarks.apps.sites {name} --port {{port}}{options}"
    cannot = " ".join(EVERYTHING)
    return _other(
        name, title, module, command, cannot=cannot, also=can, log="file", ours=ours
    )


_SITES = [
    _own_site(name, title, ours, can)
    for name, title, ours, can in (
        ("h11-foreign", "our Site", "h11-foreign", "foreign keep-alive"),
        ("web-foreign", "twisted.web's Site", "h11-foreign", "foreign keep-alive"),
        ("h11-proxy", "our Agent behind our Site", "h11-proxy", "proxy keep-alive"),
        ("web-proxy", "twisted.web.proxy", "h11-proxy", "proxy"),
        ("nginx-proxy", "nginx", "h11-proxy", "proxy keep-alive"),
        ("nginx-static", "nginx", "h11web-logfile", "static keep-alive"),
    )
]

PEERS: list[Peer] = [
    _h11("h11web", "twisted"),
    _h11("h11web-logfile", "file", _ACCESS_FILE),
    _h11("h11web-nolog", "off", "--no-access-log"),
    _web("twistd-web", "twistd web", "twisted"),
    _web("twistd-web-logfile", "twistd web --logfile", "file", _ACCESS_FILE),
    _other(
        "uvicorn-h11",
        "uvicorn, h11",
        "uvicorn h11",
        f"{_UVICORN} --http h11 --loop asyncio",
        secure=_UVICORN_FILES,
        cannot="static",
    ),
    _other(
        "uvicorn-httptools",
        "uvicorn, httptools, uvloop",
        "uvicorn httptools uvloop",
        f"{_UVICORN} --http httptools --loop uvloop",
        secure=_UVICORN_FILES,
        cannot="static",
    ),
    _other(
        "hypercorn",
        "hypercorn",
        "hypercorn",
        f"hypercorn {_ASGI} --bind 127.0.0.1:{{port}} --keep-alive {_KEEP_ALIVE}",
        secure=_FILES,
        cannot="static",
    ),
    _other(
        "daphne",
        "daphne",
        "daphne.cli",
        # Its verbosity decides about the access log.
        f"daphne {_ASGI} --verbosity 0",
        "--bind 127.0.0.1 --port {port}",
        f"--endpoint {_SSL}",
        cannot="static",
    ),
    _other(
        *("aiohttp", "aiohttp", "aiohttp"),
        _OWN.format("aiohttp_app"),
        secure=_OWN_FILES,
    ),
    _other(
        *("tornado", "tornado", "tornado"),
        _OWN.format("tornado_app"),
        # Not among those that these cases are compared with.
        cannot=_NOT_SYNC,
        secure=_OWN_FILES,
    ),
    _other(
        "granian",
        "granian, ASGI",
        "granian",
        f"granian {_ASGI} --interface asgi --host 127.0.0.1 --port {{port}}"
        " --no-access-log",
        secure="--ssl-certificate {certificate} --ssl-keyfile {key}",
        # A worker takes as many connections as wait at most, 1,024; the others
        # get no answer until one of these has gone.
        cannot="static many",
    ),
    _other(
        *("gunicorn", "gunicorn", "gunicorn", _GUNICORN),
        secure=_FILES,
        # The default worker closes every connection after one request.
        cannot=f"keep-alive pipeline many {_NOT_SYNC}",
        also="flask",
    ),
    _other(
        "gunicorn-gthread",
        "gunicorn, 4 threads",
        "gunicorn",
        f"{_GUNICORN} --threads 4 --keep-alive {_KEEP_ALIVE}",
        secure=_FILES,
        # A worker takes 1,000 connections.
        cannot=f"many {_NOT_SYNC}",
        also="flask",
    ),
    _other(
        "waitress",
        "waitress, 4 threads",
        "waitress flask",
        "waitress --listen 127.0.0.1:{port} tests.benchmarks.apps.wsgi:app",
        # Compared as a server of Flask's.
        cannot=" ".join(EVERYTHING - {"keep-alive"}),
        also="flask",
    ),
    _other(
        "bare",
        "bare Twisted Protocol",
        "twisted.internet twisted.internet.ssl",
        _OWN.format("bare"),
        secure=_OWN_FILES,
        # It answers everything with one constant.
        cannot=f"body close paths pipeline static {_NOT_SYNC}",
    ),
    *_SITES,
]

# A run of all pairs would take an hour; who is chosen by name takes part in all.
_SELDOM = {
    *("h11web", "twistd-web", "uvicorn-h11", "hypercorn", "daphne", "tornado"),
    *("gunicorn", "gunicorn-gthread"),
}
PEERS = [replace(peer, always=peer.name not in _SELDOM) for peer in PEERS]

OURS = frozenset(peer.name for peer in PEERS if peer.ours == peer.name)


class Client(NamedTuple):
    """
    A client.

    @ivar name: for results, and for L{tests.benchmarks.apps.clients}.
    @ivar title: for tables and charts.
    @ivar module: what must be importable.
    """

    name: str
    title: str
    module: str


OUR_CLIENT = "h11-agent"

CLIENTS = [
    Client(OUR_CLIENT, "twisted_h11's Agent", "twisted_h11.client"),
    Client("twisted-agent", "twisted.web's Agent", "twisted.web.client"),
    Client("httpx", "httpx", "httpx"),
    Client("aiohttp-client", "aiohttp", "aiohttp"),
]


def compared_with(name: str) -> str | None:
    """
    Which of ours a peer, a client or twisted.web's site is compared with; C{None}
    for ours.
    """
    ours = {peer.name: peer.ours for peer in PEERS if peer.name not in OURS}
    ours |= {one.name: OUR_CLIENT for one in CLIENTS if one.name != OUR_CLIENT}
    return {**ours, "twisted.web": "twisted_h11"}.get(name)


def find_peers(patterns: list[str]) -> list[Peer]:
    """
    The peers that are meant, in the order of L{PEERS}, and what of ours they
    are compared with.

    @param patterns: shell patterns.  No patterns means every peer.
    @raise ValueError: when a pattern matches nothing.
    """
    found: set[str] = set()
    for pattern in patterns:
        matching = [peer for peer in PEERS if fnmatchcase(peer.name, pattern)]
        if not matching:
            raise ValueError(f"no peer is called {pattern!r}; --list says which are")
        found.update(*((peer.name, peer.ours) for peer in matching))
    if not patterns:
        return PEERS
    return [replace(peer, always=True) for peer in PEERS if peer.name in found]


def control(peers: list[Peer]) -> list[Peer]:
    """
    Put C{twistd web} in our place, with the same logs: its ratio to itself
    shows how much of a difference is noise.
    """
    options = {"file": [_ACCESS_FILE], "off": ["--logfile=/dev/null"]}
    return [
        replace(
            peer,
            title=f"control for {peer.name}",
            modules=("twisted.web", "twisted.internet.ssl"),
            words=_twistd("web", *options.get(peer.log, [])),
        )
        if peer.name in _OURS_BY_LOG
        else replace(
            peer,
            title=f"control for {peer.name}",
            modules=("twisted.web",),
            words=tuple(word.replace("h11-", "web-") for word in peer.words),
        )
        if peer.name in OURS
        else peer
        for peer in peers
    ]
