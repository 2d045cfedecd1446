"""
The client's Agent: CPU time of the client per request.

Each client is a process on the core that the servers have in other levels, and
asks one server, a bare Protocol that answers a constant, on the other core.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from tests.benchmarks.cases import Case
from tests.benchmarks.machine import pinned, probe
from tests.benchmarks.peers import PEERS, Peer
from tests.benchmarks.results import Book
from tests.benchmarks.servers import Server, ServerFailed, Workshop
from tests.benchmarks.settings import Settings

__all__ = ["CLIENTS", "OURS", "REQUESTS", "Client", "run"]

REQUESTS = 4000
_CONNECTIONS = 16
_TIMEOUT = 120


@dataclass(frozen=True)
class Client:
    """
    A client.

    @ivar name: for results, and for L{tests.benchmarks.apps.clients}.
    @ivar title: for tables and charts.
    @ivar module: what must be importable.
    """

    name: str
    title: str
    module: str


OURS = "h11-agent"

CLIENTS = [
    Client(OURS, "twisted_h11's Agent", "twisted_h11.client"),
    Client("twisted-agent", "twisted.web's Agent", "twisted.web.client"),
    Client("httpx", "httpx", "httpx"),
    Client("aiohttp-client", "aiohttp", "aiohttp"),
]


class ClientFailed(Exception):
    """
    A client did not do its requests.
    """


def _ask(
    client: Client, server: Server, workshop: Workshop, core: int | None
) -> dict[str, float]:
    """
    Run a client once.

    @return: what it measured, per request.
    @raise ClientFailed: with its last words.
    """
    command = [workshop.python, "-m", "tests.benchmarks.apps.clients", client.name]
    command += ["--port", str(server.port), "--requests", str(REQUESTS)]
    command += ["--connections", str(_CONNECTIONS)]
    try:
        done = subprocess.run(
            pinned(command, core),
            env=workshop.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ClientFailed(f"it took more than {_TIMEOUT} s") from None
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            measured: dict[str, float] = json.loads(line.removeprefix("RESULT "))
            return measured
    said = (done.stderr or done.stdout).strip().splitlines()
    raise ClientFailed(said[-1][:200] if said else "no message")


def run(
    book: Book,
    cases: list[Case],
    peers: list[Peer],
    workshop: Workshop,
    settings: Settings,
) -> None:
    """
    Measure every client in turn, with a new process each time.

    @param peers: not used; the clients are L{CLIENTS}.
    """
    [bare] = [peer for peer in PEERS if peer.name == "bare"]
    modules = [client.module for client in CLIENTS]
    missing, _ = probe(workshop.python, modules, workshop.environment)
    for case in cases:
        for turn in range(settings.rounds):
            try:
                with Server(bare, workshop, core=settings.loadCore) as server:
                    for client in CLIENTS[:: -1 if turn % 2 else 1]:
                        if client.module in missing:
                            reason = f"missing: {missing[client.module]}"
                            book.leaveOut(case.fullName, client.name, reason)
                        if book.isLeftOut(case.fullName, client.name):
                            continue
                        settings.progress(
                            f"round {turn + 1}: {case.fullName}, {client.name}"
                        )
                        try:
                            got = _ask(client, server, workshop, settings.serverCore)
                        except (ClientFailed, OSError) as problem:
                            book.leaveOut(case.fullName, client.name, str(problem))
                            continue
                        book.add(
                            case.fullName,
                            client.name,
                            turn,
                            got["cpu"],
                            unit="s/request",
                            higher=False,
                            passed=got["passed"],
                        )
            except ServerFailed as problem:
                book.leaveOut(case.fullName, "all", str(problem))
                break
