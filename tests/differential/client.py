"""
Compare our client with others: C{python -m tests.differential.client [--count 1000]
[--seed N] [--peer NAME ...] [--python PEERS/bin/python] [--output FILE]}.

It ends with 1 if there is a difference that no row explains, or if we are laxer than
most of the others and the documentation does not say so.
"""

from __future__ import annotations

import argparse
import sys

from tests.differential.client_answers import Answer, make_answers
from tests.differential.client_asking import CLIENTS, OUR_CLIENTS, fetch_all
from tests.differential.client_origin import Origin
from tests.differential.client_report import ClientReport
from tests.differential.peers import Missing

__all__ = ["compare_clients"]

# Seconds in which a client has read all that there is; and for one that was slow.
_SHORT = 0.5
_LONG = 3.0


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
    with Origin(answers) as origin:
        ours, other = (
            fetch_all(kind, python, origin.port, answers, numbers, patience)
            for kind in OUR_CLIENTS
        )
        report = ClientReport(answers, ours)
        report.sees(other, OUR_CLIENTS[1])
        for peer in peers:
            try:
                theirs = fetch_all(
                    peer, python, origin.port, answers, numbers, patience
                )
                # A busy machine may have been slow: these are asked again.
                odd = report.odd(peer, theirs)
                if odd:
                    again = fetch_all(peer, python, origin.port, answers, odd, _LONG)
                    for i, response in zip(odd, again, strict=True):
                        theirs[i] = response
                report.add(peer, theirs)
            except Missing as missing:
                say(f"left out: {missing}")
                continue
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
