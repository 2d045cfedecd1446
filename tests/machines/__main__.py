"""
Run the machines for as long as somebody wants::

    python -m tests.machines --examples 5000
    python -m tests.machines --machine pool --steps 80 --seed 7
"""

from __future__ import annotations

import argparse
import random
import time

from hypothesis import seed
from twisted.logger import globalLogBeginner

from tests.machines.base import STEPS, examples_wanted, run_machine
from tests.machines.test_machines import MACHINES


def main() -> None:
    """
    Run what the command line says, and print a line for each machine.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.machines")
    parser.add_argument("--examples", type=int, default=examples_wanted(1000))
    parser.add_argument("--steps", type=int, default=STEPS, help="of each example")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--machine", choices=MACHINES, action="append")
    options = parser.parse_args()
    # What is not wanted is not kept, with the frames of its failures.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    print(f"seed {options.seed}", flush=True)
    for name in options.machine or MACHINES:
        machine = seed(options.seed)(MACHINES[name])
        began, machine.stepsDone = time.monotonic(), 0
        run_machine(machine, options.examples, options.steps, same=False)
        seconds = time.monotonic() - began
        print(
            f"{name}: {options.examples} examples, {machine.stepsDone} steps, "
            f"{seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
