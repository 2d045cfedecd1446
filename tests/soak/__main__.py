"""
C{python -m tests.soak --seconds 60}.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests.soak.chart import draw
from tests.soak.clients import Plan
from tests.soak.report import judge, table, thin, total
from tests.soak.servers import TOP, Server, counted, prepare, read_log

__all__ = ["main"]

CLIENTS = ("good", "steady", "agent", "bad")

SETTLE = 30
"""
Seconds that the servers have to get rid of the last clients.
"""

STOP = 30


class Clients:
    """
    A process of clients, and the last line that it has said.

    @ivar latencies: by when they were told.
    """

    def __init__(self, name: str, plan: Plan) -> None:
        self.name = name
        self.counts: dict[str, int] = {}
        self.faults: list[str] = []
        self.latencies: list[float] = []
        command = [sys.executable, "-m", f"tests.soak.{name}", plan.text()]
        self.process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = json.loads(text)
            self.counts, self.faults = line["counts"], line["faults"]
            self.latencies += line["latencies"]

    def take(self) -> list[float]:
        """
        The latencies since it was asked last.
        """
        taken, self.latencies = self.latencies, []
        return taken

    def end(self, seconds: float) -> int | None:
        """
        Wait for its end.

        @return: its exit status; C{None} if it had to be killed.
        """
        try:
            status: int | None = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        self.thread.join(5)
        return status if status is not None else -1


class Run:
    """
    One run, and the document that is made of it.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        prepare(folder)
        self.servers = [Server("single", folder, 0)]
        self.document: dict[str, Any] = {
            "started": time.strftime("%Y-%m-%d"),
            "seconds": options.seconds,
            "seed": options.seed,
            "rate": options.rate,
            "servers": {},
            "ended": {},
            "faults": [],
        }

    def begin(self) -> None:
        """
        Start everything.
        """
        if self.options.workers:
            name = f"{self.options.workers} workers"
            self.servers.append(Server(name, self.folder, self.options.workers))
        for server in self.servers:
            server.wait(60)
            self.document["servers"][server.name] = {
                "workers": server.workers,
                "before": self.rest(server),
                "samples": [],
            }
        options = self.options
        authority = str(self.folder / "authority.pem")
        places = [place for server in self.servers for place in server.places()]
        plan = Plan(places, options.seconds, options.rate, options.seed, authority)
        self.clients = [Clients(name, plan) for name in CLIENTS]

    def watch(self) -> None:
        """
        Take samples until the clients end.
        """
        begin = time.monotonic()
        step = max(1.0, self.options.seconds / 300)
        due = begin + step
        last = 0
        while time.monotonic() - begin < self.options.seconds:
            time.sleep(max(0, due - time.monotonic()))
            due += step
            at = round(time.monotonic() - begin, 1)
            self.sample(at)
            if at - last >= 60:
                last = int(at)
                print(f"{at:.0f} s: {self.said()}", flush=True)

    def sample(self, at: float) -> None:
        """
        One of each server.
        """
        latencies = [one for clients in self.clients for one in clients.take()]
        fifty = median(latencies) if latencies else None
        most = quantiles(latencies, n=100)[98] if len(latencies) > 1 else None
        for server in self.servers:
            one = {"at": at, **server.sample(), "p50": fifty, "p99": most}
            self.document["servers"][server.name]["samples"].append(one)

    def said(self) -> str:
        """
        Where it stands.
        """
        words = []
        for name, one in self.document["servers"].items():
            if one["samples"]:
                last = one["samples"][-1]
                words.append(
                    f"{name} {last['requests']} requests, "
                    f"{last['memory'] / 2**20:.1f} MiB, "
                    f"{last['descriptors']} descriptors"
                )
        faults = sum(len(clients.faults) for clients in self.clients)
        return "; ".join([*words, f"{faults} faults"])

    def end(self) -> None:
        """
        End everything, and write down how.
        """
        counts: Counter[str] = Counter()
        for clients in self.clients:
            self.document["ended"][clients.name] = clients.end(120)
            counts.update(clients.counts)
            self.document["faults"] += clients.faults
        for server in self.servers:
            one = self.document["servers"][server.name]
            one["clients"] = {
                key.removeprefix(f"{server.name} "): count
                for key, count in sorted(counts.items())
                if key.startswith(f"{server.name} ")
            }
            one["after"] = self.settle(server, one["before"])
            metrics = server.metrics()
            one["metrics"] = {key: one["after"][key] for key in _FINAL}
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                words = f"method={method},"
                one["metrics"][method] = counted(metrics, "requests_total", words)

    def rest(self, server: Server) -> dict[str, Any]:
        """
        Wait until all that starts has started: for two seconds no descriptor more.

        @return: the last sample.
        """
        last, same = server.sample(), 0
        end = time.monotonic() + SETTLE
        while same < 10 and time.monotonic() < end:
            time.sleep(0.2)
            now = server.sample()
            same = same + 1 if now["descriptors"] == last["descriptors"] else 0
            last = now
        return last

    def settle(self, server: Server, before: dict[str, Any]) -> dict[str, Any]:
        """
        Wait until nothing is left of the clients.

        @return: the last sample.
        """
        end = time.monotonic() + SETTLE
        while True:
            now = server.sample()
            left = now["connections"] or now["descriptors"] > before["descriptors"]
            if not left or time.monotonic() > end:
                return now
            time.sleep(0.5)

    def stop(self) -> None:
        """
        Stop the servers, also when something has failed.
        """
        for clients in getattr(self, "clients", []):
            if clients.process.poll() is None:
                clients.process.kill()
                clients.process.wait()
        for server in self.servers:
            stopped = server.stop(STOP)
            one = self.document["servers"].get(server.name, {})
            one["stopped"] = stopped
            log = server.log.read_text("utf-8", "replace")
            one["tracebacks"] = read_log(log)


_FINAL = ("requests", "refused", "timeouts", "accepted")


def perform(options: argparse.Namespace) -> dict[str, Any]:
    """
    Run.

    @return: the document.
    """
    folder = Path(tempfile.mkdtemp(prefix="soak"))
    try:
        run = Run(options, folder)
        try:
            run.begin()
            run.watch()
            run.end()
        finally:
            run.stop()
        for one in run.document["servers"].values():
            one["samples"] = thin(one["samples"], 300)
    finally:
        if options.keep:
            print(f"The logs are in {folder}.")
        else:
            shutil.rmtree(folder)
    return run.document


def main(arguments: list[str] | None = None) -> int:
    """
    The command.

    @return: its exit status: 0 if nothing was wrong.
    """
    parser = argparse.ArgumentParser("python -m tests.soak", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=60, help="how long")
    add("--workers", type=int, default=2, help="of the second server; 0: leave it out")
    add("--rate", type=float, default=1000, help="good requests in a second, about")
    add("--seed", type=int, default=1, help="of all that is chosen by chance")
    add("--keep", action="store_true", help="keep the logs of the servers")
    add("--from", dest="source", help="judge and draw a document, do not run")
    add("--output", help="write the document there")
    add("--chart", help="draw an SVG there")
    options = parser.parse_args(arguments)
    if options.source:
        document = json.loads(Path(options.source).read_text("utf-8"))
    else:
        document = perform(options)
    if options.output:
        text = json.dumps(document, separators=(",", ":")).replace('{"at"', '\n{"at"')
        Path(options.output).write_text(text + "\n", "utf-8")
    if options.chart:
        Path(options.chart).write_text(draw(document), "utf-8")
    found = judge(document)
    print(table(document))
    print(f"{total(document):,} requests in {document['seconds']:g} s")
    print("\n".join(found) or "Nothing was wrong.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
