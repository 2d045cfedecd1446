"""
Compare our client with others: C{python -m tests.differential.client [--count 1000]
[--seed N] [--peer NAME ...] [--python PEERS/bin/python] [--output FILE]}.

It ends with 1 if there is a difference that no row explains, or if we are laxer than
most of the others and the documentation does not say so.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.differential.client_answers import Answer, make_answers
from tests.differential.client_asking import (
    CLIENTS,
    OUR_CLIENTS,
    Response,
    fetch_all,
)
from tests.differential.client_origin import Origin
from tests.differential.client_report import ClientReport
from tests.differential.peers import Missing

__all__ = ["compare_clients"]

# Seconds in which a client has read all that there is; and for one that was slow.
_SHORT = 0.5
_LONG = 3.0
# How many clients are asked at a time.
_AT_A_TIME = 3


def compare_clients(
    answers: list[Answer],
    peers: list[str],
    python: str,
    patience: float = _SHORT,
    quiet: bool = False,
) -> ClientReport:
    """
    Run it, and unless C{quiet} say on standard error what is going on.
    """

    def say(*words: object) -> None:
        if not quiet:
            print(*words, file=sys.stderr, flush=True)

    numbers = list(range(len(answers)))
    with Origin(answers) as origin, ThreadPoolExecutor(_AT_A_TIME) as pool:

        def fetch(kind: str, asked: list[int], seconds: float) -> list[Response]:
            return fetch_all(kind, python, origin.port, answers, asked, seconds)

        runs = [
            (kind, pool.submit(fetch, kind, numbers, patience))
            for kind in (*OUR_CLIENTS, *peers)
        ]
        (first, ours), (second, seen), *rest = runs
        report = ClientReport(answers, ours.result())

        def again(kind: str, asked: list[int], responses: list[Response]) -> None:
            """
            A busy machine may have been slow: ask again, with more patience.
            """
            if asked:
                found = fetch(kind, asked, _LONG)
                for i, response in zip(asked, found, strict=True):
                    responses[i] = response

        by_h11 = seen.result()
        odd = report.differs(by_h11)
        again(first, odd, report.ours)
        again(second, odd, by_h11)
        report.sees(by_h11, second)
        for peer, run in rest:
            try:
                theirs = run.result()
            except Missing as missing:
                say(f"left out: {missing}")
                continue
            odd = report.odd(peer, theirs)
            again(first, odd, report.ours)
            again(peer, odd, theirs)
            report.add(peer, theirs)
            say(*report.figures[-1])
    report.judge()
    say(f"laxer than most: {len(report.alone)}")
    return report


def main(arguments: list[str]) -> int:
    """
    The command.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.differential.client")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peer", action="append", choices=CLIENTS)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--output")
    options = parser.parse_args(arguments)
    peers = options.peer or list(CLIENTS)
    answers = make_answers(options.count, options.seed)
    report = compare_clients(answers, peers, options.python)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(report.rst())
    else:
        print(report.rst())
    print(report.text(), file=sys.stderr)
    return 1 if report.unexplained or report.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
