"""
The command, see L{tests.mutation}.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.equivalent import why_equivalent
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.rooms import TOP, module_path, tests_of

__all__ = ["Runner", "choose", "outcome", "summary"]

KILLED, TIMED_OUT = "killed", "timed out"
EQUIVALENT, SURVIVED = "equivalent", "SURVIVED"


def choose(found: list[Mutant], sample: int | None, seed: int) -> list[int]:
    """
    The numbers of the mutants to try: all, or a sample that the seed determines.
    """
    numbers = list(range(len(found)))
    if sample is None or sample >= len(found):
        return numbers
    return sorted(random.Random(seed).sample(numbers, sample))


def outcome(status: int | None, reason: str | None) -> str:
    """
    What became of a mutant.

    @param status: what the tests ended with; C{None} if they did not in time.
    @param reason: why no test can see it, if that is known.
    """
    if status is None:
        return TIMED_OUT
    if status:
        return KILLED
    return SURVIVED if reason is None else EQUIVALENT


def summary(module: str, of: int, outcomes: Iterable[str]) -> str:
    """
    The line of a module for the table.
    """
    count = Counter(outcomes)
    return (
        f"{module}: {count.total()} of {of} mutants:"
        f" {count[KILLED]} killed, {count[TIMED_OUT]} timed out,"
        f" {count[EQUIVALENT]} equivalent, {count[SURVIVED]} survived"
    )


@dataclass
class Runner:
    """
    Runs the tests on mutants of one module, each in a process of its own.

    @ivar limit: how many seconds one may take.
    """

    module: str
    tests: list[str]
    limit: float

    def run(self, number: int) -> int | None:
        """
        Try one mutant, or, with -1, the module as it is.

        @return: the status, C{None} if it took too long.
        """
        folder = tempfile.mkdtemp(prefix="mutation.")
        arguments = [f"{folder}/trial", self.module, str(number), *self.tests]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutation.one", *arguments],
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        try:
            return process.wait(self.limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # And what the tests have started.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.mutation")
    parser.add_argument("module", help="the name of a module of the package")
    parser.add_argument("--sample", type=int, help="how many mutants; without it, all")
    parser.add_argument("--seed", type=int, default=1, help="which of them")
    parser.add_argument("--limit", type=float, help="seconds for one mutant")
    parser.add_argument("--list", action="store_true", help="only say which")
    parser.add_argument("--only", type=int, action="append", help="a mutant's number")
    parser.add_argument("--tests", nargs="+", help="run these, and not those of a room")
    parser.add_argument("--json", type=Path, help="where to write what became of each")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """
    Run the command.

    @return: 1 if a mutant survived.
    """
    options = _options(arguments)
    module = options.module
    source = module_path(module).read_text(encoding="utf-8")
    found = mutants(source)
    numbers = options.only or choose(found, options.sample, options.seed)
    if options.list:
        for number in numbers:
            print(f"#{number} {found[number]}")
        return 0
    os.nice(10)
    runner = Runner(module, options.tests or tests_of(module), options.limit or 1800)
    begin = time.monotonic()
    if runner.run(-1) != 0:
        print("the tests fail without a mutant, or take too long")
        return 2
    if options.limit is None:
        runner.limit = 30 + 2 * (time.monotonic() - begin)
    ends = {}
    for number in numbers:
        mutant = found[number]
        status = runner.run(number)
        reason = why_equivalent(module, source.splitlines()[mutant.line - 1], mutant)
        ends[number] = outcome(status, reason)
        print(f"#{number} {mutant}: {ends[number]}", reason or "", flush=True)
    print(summary(module, len(found), ends.values()))
    if options.json:
        options.json.write_text(json.dumps(ends, indent=1) + "\n", encoding="utf-8")
    return 1 if SURVIVED in ends.values() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
