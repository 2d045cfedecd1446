"""
Compare us with other servers: C{python -m tests.differential [--count 5000] [--seed N]
[--peer NAME ...] [--python PEERS/bin/python] [--output FILE]}.

It ends with 1 if there is a difference that no row explains, or if something reached us
through a proxy that it did not mean.
"""

from __future__ import annotations

import argparse
import sys

from tests.differential.asking import Outcome, ask_all
from tests.differential.chains import CHAINS, run_chain
from tests.differential.peers import OURS, PEERS, Missing, Server
from tests.differential.report import Report
from tests.differential.requests import make

__all__ = ["run"]

# Seconds.
PATIENCE = 4.0


def ask_again(
    port: int, inputs: list[bytes], outcomes: list[Outcome], places: list[int]
) -> None:
    """
    Replace some outcomes: a busy machine may have been slow to answer.
    """
    again = ask_all(port, [inputs[i] for i in places], PATIENCE)
    for i, outcome in zip(places, again, strict=True):
        outcomes[i] = outcome


def run(
    count: int, seed: int, peers: list[str], python: str, quiet: bool = False
) -> Report:
    """
    Run it, and unless C{quiet} say on standard error what is going on.
    """

    def say(*words: object) -> None:
        if not quiet:
            print(*words, file=sys.stderr, flush=True)

    inputs = make(count, seed)
    with Server(OURS[0], python) as ours, Server(OURS[1], python) as other:
        report = Report(inputs, ask_all(ours.port, inputs))
        others = ask_all(other.port, inputs)
        unlike = report.unlike(others)
        ask_again(ours.port, inputs, report.ours, unlike)
        ask_again(other.port, inputs, others, unlike)
        report.sees(others, OURS[1])
        for peer in peers:
            try:
                with Server(peer, python) as server:
                    theirs = ask_all(server.port, inputs)
                    odd = report.odd(peer, theirs)
                    ask_again(server.port, inputs, theirs, odd)
            except Missing as missing:
                say(f"left out: {missing}")
                continue
            ask_again(ours.port, inputs, report.ours, odd)
            report.outcomes[peer] = theirs
            say(peer, len(odd), "asked again")
    report.judge()
    for figures in report.figures:
        say(*figures)
    for proxy in CHAINS:
        for behind in OURS if proxy in peers else ():
            try:
                meant, seen, wrong = run_chain(proxy, behind, python, inputs)
            except Missing:
                continue
            report.chains.append((f"{proxy} -> {behind}", meant, seen, len(wrong)))
            report.wrong += [f"{proxy} -> {behind}: {one}" for one in wrong]
            say(*report.chains[-1])
    return report


def main(arguments: list[str]) -> int:
    """
    The command.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peer", action="append", choices=PEERS)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--output")
    options = parser.parse_args(arguments)
    peers = options.peer or list(PEERS)
    report = run(options.count, options.seed, peers, options.python)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(report.rst())
    else:
        print(report.rst())
    print(report.text(), file=sys.stderr)
    return 1 if report.unexplained or report.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
