"""
Asking for the same answers by each client.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import NamedTuple

from tests.differential.client_answers import Answer
from tests.differential.peers import Missing, build_go
from tests.support.optional import find_program

__all__ = ["CLIENTS", "OUR_CLIENTS", "Response", "fetch_all"]

OUR_CLIENTS = ("ours", "ours-h11")
CLIENTS = ("twisted.web", "curl", "node", "go", "http.client", "httpx", "aiohttp")

_PROGRAMS = ("curl", "node")
_FROM_PYPI = ("httpx", "aiohttp")
# How many are asked at a time: curl is a process for each.
_WIDTH = {"curl": 8}

_HERE = os.path.dirname(os.path.abspath(__file__))
_TOP = os.path.dirname(os.path.dirname(_HERE))

# Of the fields, those that say how the message is sent are seen by their effects.
_OF_THE_CONNECTION = {
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
}


class Response(NamedTuple):
    """
    What a client has made of an answer.

    @ivar end: C{done}, C{failed} or C{waits}.
    @ivar status: the status.
    @ivar body: the body.
    @ivar fields: the other fields than those about the connection, sorted by name.
    @ivar error: why it has failed.
    @ivar then: what it has read as the answer to another request: C{again} if it was
        sent on the same connection, C{fresh} if on another; C{wrong} if something else
        was read, C{error} if that has failed, and nothing if there was none.
    """

    end: str
    status: int = 0
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()
    error: str = ""
    then: str = ""


def _read(line: bytes) -> tuple[int, Response]:
    told = json.loads(line)
    fields = [(name, value) for name, value in told["fields"]]
    kept = [pair for pair in fields if pair[0] not in _OF_THE_CONNECTION]
    response = Response(
        told["end"],
        told["status"],
        bytes.fromhex(told["body"]),
        tuple(sorted(kept, key=lambda pair: pair[0])),
        told["error"],
        told["then"],
    )
    return told["n"], response


def _command(kind: str, python: str, folder: str) -> list[str]:
    if kind == "go":
        return [build_go("client_fetch.go", folder)]
    if kind in _PROGRAMS and find_program(kind) is None:
        raise Missing(f"{kind} is not installed")
    if kind == "node":
        return ["node", os.path.join(_HERE, "client_fetch.js")]
    if kind not in _FROM_PYPI:
        python = sys.executable
    elif subprocess.run(
        [python, "-c", f"import {kind}"], capture_output=True
    ).returncode:
        raise Missing(f"{kind} is not installed")
    return [python, os.path.join(_HERE, "client_fetch.py"), kind]


def fetch_all(
    kind: str,
    python: str,
    port: int,
    answers: list[Answer],
    numbers: list[int],
    patience: float,
) -> list[Response]:
    """
    Let a client ask for answers, each on a connection of its own.

    @param numbers: which of the answers are asked for.
    @raise Missing: if the client is not installed.
    """
    asks = [(n, answers[n].method, not answers[n].ends) for n in numbers]
    width = _WIDTH.get(kind, 32)
    job = {"port": port, "patience": patience, "width": width, "asks": asks}
    ours = kind in OUR_CLIENTS
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            _command(kind, python, folder),
            input=json.dumps(job).encode(),
            capture_output=True,
            env={**os.environ, "PYTHONPATH": _TOP if ours else ""},
        )
    found = dict(_read(line) for line in run.stdout.splitlines())
    if set(found) != set(numbers):
        raise RuntimeError(f"{kind} does not tell: {run.stderr[-2000:]!r}")
    return [found[n] for n in numbers]
