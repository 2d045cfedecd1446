"""
The peers, each as its users run it, with one worker, and the clients.

Access logs are equal on the two sides of a ratio: see L{Peer.log}.  Where an
option stands that a user would not need, the comment beside it says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import NamedTuple

__all__ = [
    "CLIENTS",
    "OURS",
    "OUR_CLIENT",
    "PEERS",
    "Client",
    "Launch",
    "Peer",
    "compared_with",
    "control",
    "find_peers",
    "our_side",
]

EVERYTHING = frozenset(
    {"body", "close", "paths", "pipeline", "static", "tls", "keep-alive", "many"}
)


class Launch(NamedTuple):
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
    @ivar words: what follows the interpreter, with C{{port}} and C{{folder}}.
    @ivar plain: what follows that without TLS, and C{secure} with it, where
        C{{certificate}} and C{{key}} are known.
    @ivar can: which of L{EVERYTHING} it can do.
    """

    name: str
    title: str
    modules: tuple[str, ...]
    log: str
    words: tuple[str, ...]
    plain: str = ""
    secure: str = ""
    can: frozenset[str] = EVERYTHING

    def command(self, launch: Launch) -> list[str]:
        """
        The command that starts it.
        """
        rest = self.plain if launch.certificate is None else self.secure
        certificate, key = launch.certificate or ("", "")
        values = {"port": launch.port, "folder": launch.folder}
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


def _twisted(
    name: str, title: str, log: str, plugin: str, *options: str, needs: str
) -> Peer:
    modules = (*needs.split(), "twisted.internet.ssl")
    words = _twistd(plugin, *options)
    return Peer(
        name, title, modules, log, words, f"--listen={_TCP}", f"--listen={_SSL}"
    )


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
) -> Peer:
    """
    A server without an access log.

    @param command: a module that is run, and its options.
    """
    words = ("-m", *command.split())
    can = EVERYTHING - {*cannot.split()}
    return Peer(name, title, (*modules.split(),), "off", words, plain, secure, can)


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
        cannot="keep-alive pipeline many",
    ),
    _other(
        "gunicorn-gthread",
        "gunicorn, 4 threads",
        "gunicorn",
        f"{_GUNICORN} --threads 4 --keep-alive {_KEEP_ALIVE}",
        secure=_FILES,
        # A worker takes 1,000 connections.
        cannot="many",
    ),
    _other(
        "bare",
        "bare Twisted Protocol",
        "twisted.internet twisted.internet.ssl",
        _OWN.format("bare"),
        secure=_OWN_FILES,
        # It answers everything with one constant.
        cannot="body close paths pipeline static",
    ),
]

OURS = frozenset({"h11web", "h11web-logfile", "h11web-nolog"})


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


def our_side(peer: Peer) -> str:
    """
    Which of ours a peer is compared with: the one whose access log is the same.
    """
    [name] = [one.name for one in PEERS if one.name in OURS and one.log == peer.log]
    return name


def compared_with(name: str) -> str | None:
    """
    Which of ours a peer, a client or twisted.web's site is compared with; C{None}
    for ours.
    """
    ours = {peer.name: our_side(peer) for peer in PEERS if peer.name not in OURS}
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
        found.update(*((peer.name, our_side(peer)) for peer in matching))
    return [peer for peer in PEERS if not patterns or peer.name in found]


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
        if peer.name in OURS
        else peer
        for peer in peers
    ]
