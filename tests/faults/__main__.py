"""
Run the table, and print it as reStructuredText: C{python -m tests.faults [WORD...]}.

Words leave only the rows that have all of them, and print what was wrong.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner

from tests.faults.table import everything, rows, to_rst


async def main(words: list[str]) -> None:
    """
    Run and print.

    @raise SystemExit: if a row has failed.
    """
    chosen = [row for row in rows() if set(words) <= {*row}]
    wrong = await everything(chosen)
    for row, problems in wrong.items():
        print(" | ".join(row), *problems, sep="\n    ", file=sys.stderr)
    if not words:
        print(to_rst(wrong))
    print(f"{len(chosen)} rows, {len(wrong)} failed", file=sys.stderr)
    if wrong:
        raise SystemExit(1)


def forget(event: Any) -> None:
    """
    Log nothing: what fails here was meant to.
    """


if __name__ == "__main__":
    observer: Any = forget
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    react(lambda reactor: Deferred.fromCoroutine(main(sys.argv[1:])))
