"""
Every case: what is asked, over what, and what must come back.

A case belongs to one level, and its name is C{level/name}.  The same request
has the same name in the levels C{memory} and C{rate}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.benchmarks.apps import payload
from tests.benchmarks.heads import (
    JSON_KB,
    Message,
    browser,
    closing,
    minimal,
    post_json,
)

__all__ = ["CASES", "LEVELS", "Case", "find_cases"]

LEVELS = {
    "memory": "CPU time per request, in one process, transport in memory",
    "rate": "requests per second over loopback, with wrk",
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
    needs: frozenset[str] = frozenset()

    @property
    def fullName(self) -> str:
        """
        How the case is called on the command line and in results.
        """
        return f"{self.level}/{self.name}"

    @property
    def tls(self) -> bool:
        """
        Whether the case is measured over TLS.
        """
        return "tls" in self.needs


def _varied_minimal(host: bytes) -> Message:
    return minimal(host, varied=True)


def _varied_browser(host: bytes) -> Message:
    return browser(host, varied=True)


def _at(
    make: Callable[..., Message], target: bytes, varied: bool = False
) -> Callable[[bytes], Message]:
    """
    Make the messages of C{make} for another target.
    """
    if varied:
        return lambda host: make(host, target, varied=True)
    return lambda host: make(host, target)


_CHUNKED = sum(map(len, payload.PIECES))
_POSTED = len(str(len(JSON_KB)))


def _http(level: str) -> list[Case]:
    """
    The cases that both levels C{memory} and C{rate} have.
    """

    def needs(*names: str) -> frozenset[str]:
        return frozenset(names)

    return [
        Case(level, "minimal", "GET, Host only", minimal),
        Case(level, "minimal-varied", "GET, another Host each time", _varied_minimal),
        Case(level, "browser", "GET, 12 fields", browser),
        Case(
            level,
            "browser-varied",
            "GET, 12 fields, another Cookie each time",
            _varied_browser,
        ),
        Case(
            level,
            "post-json",
            "POST of 1 kB of JSON",
            post_json,
            body=_POSTED,
            needs=needs("body"),
        ),
        Case(
            level,
            "response-10k",
            "GET, answer of 10 kB",
            _at(browser, b"/10k"),
            body=len(payload.TEN_K),
            needs=needs("paths"),
        ),
        Case(
            level,
            "response-chunked",
            "GET, answer in four chunks",
            _at(browser, b"/chunked"),
            body=_CHUNKED,
            needs=needs("paths"),
        ),
        Case(
            level,
            "pipeline-64",
            "64 GETs at once, Host only",
            minimal,
            depth=64,
            # A server that answers whatever is ready before it writes goes in
            # steps of connections times depth: few, so that a run has many.
            connections=4,
            needs=needs("pipeline"),
        ),
    ]


CASES: list[Case] = [
    *_http("memory"),
    Case(
        "memory",
        "reads-two-fields",
        "GET, 12 fields varied, the resource reads two",
        _at(browser, b"/two-fields", varied=True),
    ),
    Case(
        "memory",
        "reads-all-fields",
        "GET, 12 fields varied, the resource reads all",
        _at(browser, b"/all-fields", varied=True),
    ),
    *_http("rate"),
    Case(
        "rate",
        "response-1m",
        "GET, answer of 1 MiB from memory",
        _at(minimal, b"/1m"),
        body=len(payload.ONE_M),
        needs=frozenset({"paths"}),
    ),
    Case(
        "rate",
        "static-1m",
        "GET, file of 1 MiB",
        _at(minimal, b"/static/1m.bin"),
        body=len(payload.ONE_M),
        needs=frozenset({"static"}),
    ),
    Case(
        "rate",
        "tls",
        "GET over TLS, 12 fields, kept alive",
        browser,
        needs=frozenset({"tls", "keep-alive"}),
    ),
    Case(
        "rate",
        "new-connection",
        "GET, Host only, a new connection each time",
        closing,
        needs=frozenset({"close"}),
    ),
    Case(
        "idle",
        "connections",
        "resident memory per idle connection",
        browser,
        needs=frozenset({"keep-alive", "many"}),
    ),
    Case(
        "bulk",
        "upload",
        "PUT of 1 GiB",
        minimal,
        needs=frozenset({"paths", "body"}),
    ),
    Case(
        "bulk",
        "upload-streamed",
        "PUT of 1 GiB, taken as it comes where the server can do that",
        minimal,
        needs=frozenset({"paths", "body"}),
    ),
    Case(
        "bulk",
        "download",
        "GET of 1 GiB",
        minimal,
        needs=frozenset({"paths"}),
    ),
    Case("client", "agent", "GETs by a client, connections kept alive", minimal),
]


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
