"""
Every case: what is asked, over what, and what must come back.

A case belongs to one level, and its name is C{level/name}.  The same request
has the same name in the levels C{memory} and C{rate}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from tests.benchmarks.apps import payload
from tests.benchmarks.heads import (
    JSON_KB,
    Message,
    browser,
    closing,
    minimal,
    post_64k,
    post_json,
)

__all__ = ["CASES", "CHARTED", "CHARTED_FIRST", "LEVELS", "Case", "find_cases"]

LEVELS = {
    "memory": "CPU time per request, in one process, transport in memory",
    "rate": "requests per second over loopback, with wrk",
    "frames": "WebSocket messages per second that come back",
    "events": "CPU time of the server per event and client",
    "idle": "memory of idle connections, after one request each",
    "bulk": "CPU time of the server for one large body",
    "client": "the client's Agent",
}


@dataclass(frozen=True)
class Case:
    """
    One thing to measure.

    @ivar level: a key of L{LEVELS}.
    @ivar name: unique within the level.
    @ivar title: one line for people.
    @ivar message: makes the request, for a value of the Host field.
    @ivar body: the length of the body of the answer.
    @ivar depth: so many requests are sent at once.
    @ivar connections: how many connections wrk holds open, where the number
        that was asked for would not do.
    @ivar every: so many requests go over one connection; C{None} for any number.
    @ivar foreign: whether our site has a framework's own class of requests.
    @ivar turns: whether the answer comes in a later turn of the reactor.
    @ivar wide: whether every peer takes part that can, not only those that always do.
    @ivar needs: what a peer must be able to do; see
        L{tests.benchmarks.peers.Peer.can}.
    """

    level: str
    name: str
    title: str
    message: Callable[[bytes], Message]
    body: int = len(payload.HELLO)
    depth: int = 1
    connections: int | None = None
    every: int | None = None
    foreign: bool = False
    turns: bool = False
    wide: bool = False
    needs: frozenset[str] = frozenset()

    @property
    def fullName(self) -> str:
        """
        How the case is called on the command line and in results.
        """
        return f"{self.level}/{self.name}"

    @property
    def closes(self) -> bool:
        """
        Whether each request has a connection of its own.
        """
        return "close" in self.needs and self.every is None

    @property
    def tls(self) -> bool:
        """
        Whether the case is measured over TLS.
        """
        return "tls" in self.needs


def _case(
    level: str,
    name: str,
    title: str,
    make: Callable[..., Message],
    target: bytes | None = None,
    varied: bool = False,
    needs: str = "",
    **more: Any,
) -> Case:
    """
    @param make: makes the message, for a Host, C{target} and C{varied} if they are
        another than usual.
    """
    options: dict[str, Any] = {} if target is None else {"target": target}
    if varied:
        options["varied"] = True
    message = partial(make, **options)
    return Case(level, name, title, message, needs=frozenset(needs.split()), **more)


def _http(level: str) -> list[Case]:
    """
    The cases that both levels C{memory} and C{rate} have.
    """
    case = partial(_case, level)
    ten_k = len(payload.TEN_K)
    chunked = sum(map(len, payload.PIECES))
    posted = len(str(len(JSON_KB)))
    cookies = "GET, 12 fields, another Cookie each time"
    pieces = ("response-chunked", "GET, answer in four chunks", browser, b"/chunked")
    return [
        case("minimal", "GET, Host only", minimal),
        case("minimal-varied", "GET, another Host each time", minimal, varied=True),
        case("browser", "GET, 12 fields", browser, wide=True),
        case("browser-varied", cookies, browser, varied=True),
        case(
            "post-json",
            "POST of 1 kB of JSON",
            post_json,
            needs="body",
            body=posted,
            wide=True,
        ),
        case(
            *("response-10k", "GET, answer of 10 kB", browser, b"/10k"),
            needs="paths",
            body=ten_k,
        ),
        case(*pieces, needs="paths", body=chunked),
        # A server that answers whatever is ready before it writes goes in steps of
        # connections times depth: few, so that a run has many.
        case(
            *("pipeline-64", "64 GETs at once, Host only", minimal),
            needs="pipeline",
            depth=64,
            connections=4,
        ),
    ]


def _later(level: str) -> list[Case]:
    """
    What applications do, by our own requests and by a framework's.
    """
    length = sum(map(len, payload.TWENTY))
    rows: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("later", "GET, answered in a later turn", b"/later", {}),
        ("later-length", "the same with Content-Length", b"/later-length", {}),
        ("pieces", "GET, 20 pieces in a later turn", b"/pieces", {"body": length}),
    ]
    found = []
    for name, title, target, more in rows:
        for prefix, end in (("", ""), ("foreign-", ", a framework's request")):
            more = {**more, "foreign": bool(prefix), "turns": True}
            needs = (prefix or "later-").strip("-") if level == "rate" else ""
            one = _case(
                *(level, prefix + name, title + end, minimal, target),
                needs=needs,
                **more,
            )
            found.append(one)
    title = "GET, Host only, a framework's request"
    needs = "foreign" if level == "rate" else ""
    return [_case(level, "foreign", title, minimal, foreign=True, needs=needs), *found]


_ONE_M = len(payload.ONE_M)
_TWO = "GET, 12 fields varied, the resource reads two"
_ALL = "GET, 12 fields varied, the resource reads all"
_FROM_MEMORY = ("response-1m", "GET, answer of 1 MiB from memory", minimal, b"/1m")
_FROM_FILE = ("static-1m", "GET, file of 1 MiB", minimal, b"/static/1m.bin")
_SMALL_FILE = ("static-4k", "GET, file of 4 KiB", minimal, b"/static/4k.bin")
_KLEIN = "GET, klein, a coroutine that goes on in a later turn"
_FLASK = "GET, Flask by WSGI"
_PROXY = "GET, 12 fields, through a reverse proxy"
_POST_64K = "POST of 64 KiB, buffered"
_GOING = "GET, Host only, a new connection after ten requests"
_ECHO = "WebSocket messages of 32 bytes that come back"
_EVENTS = "server-sent events, ten a second, to 500 clients"
_TLS = "GET over TLS, 12 fields, kept alive"
_CLOSING = "GET, Host only, a new connection each time"
_IDLE = "resident memory per idle connection"
_STREAMED = "PUT of 1 GiB, taken as it comes where the server can do that"
_CLIENT = "GETs by a client, connections kept alive"

CASES: list[Case] = [
    *_http("memory"),
    _case("memory", "reads-two-fields", _TWO, browser, b"/two-fields", varied=True),
    _case("memory", "reads-all-fields", _ALL, browser, b"/all-fields", varied=True),
    *_later("memory"),
    *_http("rate"),
    *_later("rate"),
    _case("rate", *_FROM_MEMORY, needs="paths", body=_ONE_M),
    _case("rate", *_FROM_FILE, needs="static", body=_ONE_M),
    _case("rate", *_SMALL_FILE, needs="static", body=4096),
    _case("rate", "klein", _KLEIN, minimal, b"/klein/", needs="klein"),
    _case("rate", "flask", _FLASK, minimal, b"/flask/", needs="flask", wide=True),
    _case("rate", "proxy", _PROXY, browser, needs="proxy"),
    _case("rate", "upload-64k", _POST_64K, post_64k, needs="body", body=5),
    _case("rate", "tls", _TLS, browser, needs="tls keep-alive"),
    _case("rate", "new-connection", _CLOSING, closing, needs="close", wide=True),
    _case(
        *("rate", "come-and-go", _GOING, minimal),
        needs="close keep-alive",
        every=10,
    ),
    _case("frames", "websocket", _ECHO, minimal, b"/websocket", needs="websocket"),
    _case("events", "fan-out", _EVENTS, minimal, b"/events", needs="events"),
    _case("idle", "connections", _IDLE, browser, needs="keep-alive many"),
    _case("bulk", "upload", "PUT of 1 GiB", minimal, needs="paths body"),
    _case("bulk", "upload-streamed", _STREAMED, minimal, needs="paths body"),
    _case("bulk", "download", "GET of 1 GiB", minimal, needs="paths"),
    _case("client", "agent", _CLIENT, minimal),
]


# What the published chart shows.
CHARTED = [
    *("rate/browser", "rate/browser-varied", "rate/pipeline-64", "rate/later*"),
    *("rate/pieces", "rate/foreign*", "rate/klein", "rate/flask", "rate/static-4k"),
    *("rate/proxy", "rate/upload-64k", "rate/come-and-go", "frames", "events"),
]

# What the one on the first page shows: what is asked most, and where we lose to some.
CHARTED_FIRST = ["rate/browser", "rate/upload-64k"]


def find_cases(patterns: list[str]) -> list[Case]:
    """
    The cases that are meant, in the order of L{CASES}.

    @param patterns: shell patterns; each is held against C{level/name}, the
        name, and the level.  No patterns means every case.
    @raise ValueError: when a pattern matches nothing.
    """
    found: set[str] = set()
    for pattern in patterns:
        matching = {
            case.fullName
            for case in CASES
            if any(
                fnmatchcase(name, pattern)
                for name in (case.fullName, case.name, case.level)
            )
        }
        if not matching:
            raise ValueError(f"no case is called {pattern!r}; --list says which are")
        found |= matching
    return [case for case in CASES if not patterns or case.fullName in found]
