"""
What all machines have in common: a clock, the log, what must be gone at the end, and
how they are run.
"""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

__all__ = ["Boom", "Machine", "examples_wanted", "has", "run_machine"]

# How many steps one example may have.
STEPS = 40


class Boom(Exception):
    """
    What an application raises, where it is to raise.
    """


class Machine(RuleBasedStateMachine):
    """
    A machine with a clock, whose log may tell of no failure but the application's.

    @ivar failed: whether something did not hold; then nobody looks at the end.
    """

    # What may be logged: the errors that are the application's own.
    expected: tuple[type[BaseException], ...] = (Boom,)

    # Whether what is to be gone may take the collector.
    collects = False

    # Whoever keeps what is logged is to forget it.
    forgetLog: Callable[[], object] = staticmethod(lambda: None)

    # How many steps all examples of a class have had.
    stepsDone = 0

    def __init__(self) -> None:
        super().__init__()
        # Only a reference cycle would need it, and that is what we look for.
        gc.disable()
        self.clock = Clock()
        self.failed = False
        self.failures: list[str] = []
        self._watched: list[tuple[str, weakref.ref[Any]]] = []
        observer: Any = self._observe
        self._observer = observer
        globalLogPublisher.addObserver(self._observer)

    def _observe(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None and not failure.check(*self.expected):
            self.failures.append(failure.getTraceback())

    def watch(self, name: str, thing: Any) -> None:
        """
        C{thing} must be gone when the example is over.
        """
        self._watched.append((name, weakref.ref(thing)))

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        """
        Called by hypothesis after each step.
        """
        type(self).stepsDone += 1
        super().check_invariants(*args, **kwargs)

    def checkLog(self) -> None:
        """
        Nothing has failed that was not told to fail.
        """
        assert not self.failures, self.failures[0]

    def checkNothingLeft(self) -> None:
        """
        Neither a delayed call nor one of the objects that are watched is there.
        """
        self.checkLog()
        # A failure has frames in its traceback.
        self.forgetLog()
        calls = self.clock.getDelayedCalls()
        assert not calls, f"delayed calls are left: {calls}"
        left = self._left()
        if left and self.collects:
            gc.collect()
            left = self._left()
        assert not left, f"still in memory: {left}"

    def _left(self) -> list[str]:
        return [name for name, ref in self._watched if ref() is not None]

    def release(self) -> None:
        """
        The example is over, however it ended.
        """
        globalLogPublisher.removeObserver(self._observer)
        del self._observer
        self.forgetLog()
        gc.enable()


def has(name: str) -> Callable[[Any], bool]:
    """
    A precondition: there is one of C{name} to choose from.
    """
    return lambda machine: bool(getattr(machine, name))


def examples_wanted(few: int) -> int:
    """
    How many examples are to be run: C{TEST_MACHINES}, or C{few}.
    """
    return int(os.environ.get("TEST_MACHINES", few))


def run_machine(
    machine: type[Machine], examples: int, steps: int = STEPS, same: bool = True
) -> None:
    """
    Run examples of C{machine}; the first that fails is made small and raised.

    @param same: whether they are the same ones each time.
    """
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=same,
            database=None,
            deadline=None,
            print_blob=not same,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
