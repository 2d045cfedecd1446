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

    @ivar groups: the tests, one group after the other; those that try the module most
        directly are not to wait until all others have been imported.
    @ivar limits: how many seconds each group may take.
    """

    module: str
    groups: list[list[str]]
    limits: list[float]

    def check(self, adapt: bool) -> bool:
        """
        Run the tests on the module as it is.

        @param adapt: whether mutants may take longer than this has taken, and by how
            much is to follow from it.
        @return: whether all pass.
        """
        for place, tests in enumerate(self.groups):
            begin = time.monotonic()
            if self._run(-1, tests, self.limits[place]) != 0:
                return False
            if adapt:
                self.limits[place] = 10 + 3 * (time.monotonic() - begin)
        return True

    def run(self, number: int) -> int | None:
        """
        Try one mutant.

        @return: the status, C{None} if it took too long.
        """
        for tests, limit in zip(self.groups, self.limits, strict=True):
            status = self._run(number, tests, limit)
            if status != 0:
                return status
        return 0

    def _run(self, number: int, tests: list[str], limit: float) -> int | None:
        folder = tempfile.mkdtemp(prefix="mutation.")
        arguments = [f"{folder}/trial", self.module, str(number), *tests]
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
            return process.wait(limit)
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
    parser.add_argument("--limit", type=float, help="seconds for each group")
    parser.add_argument("--list", action="store_true", help="only say which")
    parser.add_argument("--only", type=int, action="append", help="a mutant's number")
    parser.add_argument("--tests", nargs="+", help="run these, and not those of a room")
    parser.add_argument("--nearest", action="store_true", help="not the whole room")
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
    groups = [options.tests] if options.tests else tests_of(module)
    if options.nearest:
        del groups[1:]
    runner = Runner(module, groups, [options.limit or 1800] * len(groups))
    if not runner.check(options.limit is None):
        print("the tests fail without a mutant, or take too long")
        return 2
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
