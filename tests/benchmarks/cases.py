"""
Every case: what is asked, over what, and what must come back.

A case belongs to one level, and its name is C{level/name}.  The same request
has the same name in the levels C{memory} and C{rate}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from tests.benchmarks.apps import payload
from tests.benchmarks.heads import COUNTER, REQUESTS, head

__all__ = [
    *("CASES", "CHARTED", "CHARTED_FIRST", "LEVELS", "Case", "chosen", "find_cases")
]

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
    @ivar request: a key of L{REQUESTS}.
    @ivar target: what is asked for.
    @ivar needs: what a peer must be able to do; see
        L{tests.benchmarks.peers.Peer.can}.
    @ivar wide: whether every peer takes part that can, not only those that always do.
    @ivar depth: so many requests are sent at once.
    @ivar connections: how many connections wrk holds open, where the number
        that was asked for would not do.
    @ivar every: so many requests go over one connection; C{None} for any number.
    """

    level: str
    name: str
    title: str
    request: str
    target: str
    needs: frozenset[str]
    wide: bool = False
    depth: int = 1
    connections: int | None = None
    every: int | None = None

    @property
    def fullName(self) -> str:
        """
        How the case is called on the command line and in results.
        """
        return f"{self.level}/{self.name}"

    @property
    def body(self) -> int:
        """
        The length of the body of the answer.
        """
        content = REQUESTS[self.request][1]
        if content:
            return len(str(len(content)))
        name = self.target.removeprefix("/static/")
        if name in payload.FILES:
            return len(payload.FILES[name])
        return len(payload.ANSWERS.get(self.target, payload.ANSWERS["/"]).body)

    @property
    def turns(self) -> bool:
        """
        Whether the answer comes in a later turn of the reactor.
        """
        return self.target in payload.ANSWERS and payload.ANSWERS[self.target].later

    @property
    def tls(self) -> bool:
        """
        Whether the case is measured over TLS.
        """
        return "tls" in self.needs

    def asked(self, host: str, first: int = 0, count: int = 1) -> bytes:
        """
        So many requests.

        @param host: the value of the Host field.
        @param first: the number of the first one, where they are numbered.
        """
        lines, body = REQUESTS[self.request]
        data = head(lines, host=host, target=self.target) + body.encode("ascii")
        counter = COUNTER.encode("ascii")
        return b"".join(
            data.replace(counter, b"%08d" % (number % 10**8))
            for number in range(first, first + count)
        )


# Levels, name and title; request, target, and what a peer must be able to do.  A server
# that answers whatever is ready before it writes goes in steps of connections times
# depth: few, so that a run has many.
_TABLE = """
memory, rate/minimal: GET, Host only
    minimal /
memory, rate/minimal-varied: GET, another Host each time
    minimal-varied /
memory, rate/browser: GET, 12 fields
    browser / wide
memory, rate/browser-varied: GET, 12 fields, another Cookie each time
    browser-varied /
memory, rate/post-json: POST of 1 kB of JSON
    post-json /echo-length body wide
memory, rate/response-10k: GET, answer of 10 kB
    browser /10k paths
memory, rate/response-chunked: GET, answer in four chunks
    browser /chunked paths
memory, rate/pipeline-64: 64 GETs at once, Host only
    minimal / pipeline depth=64 connections=4
memory/reads-two-fields: GET, 12 fields varied, the resource reads two
    browser-varied /two-fields
memory/reads-all-fields: GET, 12 fields varied, the resource reads all
    browser-varied /all-fields
memory, rate/foreign: GET, Host only, a framework's request
    minimal / foreign
memory, rate/later: GET, answered in a later turn
    minimal /later later
memory, rate/foreign-later: GET, answered in a later turn, a framework's request
    minimal /later foreign
memory, rate/later-length: the same with Content-Length
    minimal /later-length later
memory, rate/foreign-later-length: the same with Content-Length, a framework's request
    minimal /later-length foreign
memory, rate/pieces: GET, 20 pieces in a later turn
    minimal /pieces later
memory, rate/foreign-pieces: GET, 20 pieces in a later turn, a framework's request
    minimal /pieces foreign
rate/response-1m: GET, answer of 1 MiB from memory
    minimal /1m paths
rate/static-1m: GET, file of 1 MiB
    minimal /static/1m.bin static
rate/static-4k: GET, file of 4 KiB
    minimal /static/4k.bin static
rate/klein: GET, klein, a coroutine that goes on in a later turn
    minimal /klein/ klein
rate/flask: GET, Flask by WSGI
    minimal /flask/ flask wide
rate/proxy: GET, 12 fields, through a reverse proxy
    browser / proxy
rate/upload-64k: POST of 64 KiB, buffered
    post-64k /echo-length body
rate/tls: GET over TLS, 12 fields, kept alive
    browser / tls keep-alive
rate/new-connection: GET, Host only, a new connection each time
    closing / close wide
rate/come-and-go: GET, Host only, a new connection after ten requests
    minimal / close keep-alive every=10
frames/websocket: WebSocket messages of 32 bytes that come back
    upgrade /websocket websocket
events/fan-out: server-sent events, ten a second, to 500 clients
    minimal /events events
idle/connections: resident memory per idle connection
    browser / keep-alive many
bulk/upload: PUT of 1 GiB
    minimal /upload paths body
bulk/upload-streamed: PUT of 1 GiB, taken as it comes where the server can do that
    minimal /stream paths body
bulk/download: GET of 1 GiB
    minimal /download paths
client/agent: GETs by a client, connections kept alive
    minimal / client
"""


def _read(table: str) -> Iterable[Case]:
    lines = table.strip().splitlines()
    for first, second in zip(lines[::2], lines[1::2], strict=True):
        which, _, title = first.partition(": ")
        levels, _, name = which.partition("/")
        request, target, *words = second.split()
        pairs = (word.split("=") for word in words if "=" in word)
        numbers: dict[str, Any] = {key: int(value) for key, value in pairs}
        needs = frozenset(word for word in words if "=" not in word) - {"wide"}
        for level in levels.split(", "):
            yield Case(
                *(level, name, title, request, target, needs, "wide" in words),
                **numbers,
            )


CASES: list[Case] = sorted(_read(_TABLE), key=lambda case: [*LEVELS].index(case.level))

# What the published chart shows.
CHARTED = [
    *("rate/browser", "rate/browser-varied", "rate/pipeline-64", "rate/later*"),
    *("rate/pieces", "rate/foreign*", "rate/klein", "rate/flask", "rate/static-4k"),
    *("rate/proxy", "rate/upload-64k", "rate/come-and-go", "frames", "events"),
]

# What the one on the first page shows: what is asked most, and where we lose to some.
CHARTED_FIRST = ["rate/browser", "rate/upload-64k"]

_Thing = TypeVar("_Thing")


def chosen(
    what: str,
    patterns: list[str],
    things: list[_Thing],
    names: Callable[[_Thing], tuple[str, ...]],
) -> list[_Thing]:
    """
    Those of which a name is meant; no patterns mean all.

    @param what: what they are, for the message of the error.
    @param patterns: shell patterns.
    @raise ValueError: when a pattern matches nothing.
    """
    found: list[_Thing] = []
    for pattern in patterns:
        matching = [
            thing
            for thing in things
            if any(fnmatchcase(name, pattern) for name in names(thing))
        ]
        if not matching:
            raise ValueError(f"no {what} is called {pattern!r}; --list says which are")
        found += matching
    return [thing for thing in things if not patterns or thing in found]


def find_cases(patterns: list[str]) -> list[Case]:
    """
    The cases that are meant, in the order of L{CASES}.

    @param patterns: each is held against C{level/name}, the name, and the level.
    @raise ValueError: when a pattern matches nothing.
    """
    return chosen(
        *("case", patterns, CASES),
        lambda case: (case.fullName, case.name, case.level),
    )
