"""
C{python -m twisted_h11} as a process, without one: its streams, signals and exit code.
"""

from __future__ import annotations

import errno
import io
import os
import runpy
import signal
import sys
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.command_loop import install
from twisted_h11._command import fetch_run
from twisted_h11._command.fetch_codes import Failed
from twisted_h11._command.fetch_options import parse
from twisted_h11._command.fetch_output import Messages, Output
from twisted_h11._command.fetch_run import Run, main
from twisted_h11._command.standard import flush, open_standard


class Loop(MemoryReactorClock):
    """
    A reactor that runs until it is stopped, and does in between what the test says.
    """

    def __init__(self, *turns: Any) -> None:
        super().__init__()
        self.turns = list(turns)
        self.queue: list[Any] = []
        self.stopped = False

    def run(self) -> None:
        """
        Run.
        """
        for call, args, kwargs in self.whenRunningHooks:
            call(*args, **kwargs)
        while True:
            queue, self.queue = self.queue, []
            for call in queue:
                call()
            if self.stopped:
                break
            self.turns.pop(0)()

    def stop(self) -> None:
        """
        Stop after this turn; only once.
        """
        if self.stopped:
            raise ReactorNotRunning
        self.stopped = True

    def callFromThread(self, call: Any, *args: Any) -> None:
        """
        In the next turn.
        """
        self.queue.append(partial(call, *args))


class RunTestCase(SynchronousTestCase):
    """
    Has what is fetched end as the test says.

    @ivar fetching: fires when all is fetched.
    """

    def setUp(self) -> None:
        """
        Fetch nothing, keep the handlers of signals.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

        async def fetch(*args: Any) -> None:
            try:
                await self.fetching
            finally:
                self.left.append("in order")

        self.patch(fetch_run, "fetch", fetch)
        self.begin()

    def begin(self) -> None:
        """
        Be ready for a run.
        """
        self.fetching: Deferred[None] = Deferred()
        self.left: list[str] = []
        self.errors = io.StringIO()
        self.streams = Output(io.BytesIO()), Messages(self.errors)

    def succeed(self) -> None:
        """
        All is fetched.
        """
        self.fetching.callback(None)

    def kill(self, number: signal.Signals) -> None:
        """
        Send us a signal.
        """
        os.kill(os.getpid(), number)

    def code(self, turn: Any, *options: str) -> int:
        """
        The exit code of a run.

        @param turn: what happens in it.
        """
        run = Run(Loop(turn), *self.streams)
        code = run.run(parse([*options, "http://a"]))
        self.assertEqual(["in order"], self.left)
        return code


class RunTests(RunTestCase):
    """
    How a run ends.
    """

    def test_done(self) -> None:
        """
        When all is fetched it ends with 0, and without a word.
        """
        self.assertEqual(0, self.code(self.succeed))
        self.assertEqual("", self.errors.getvalue())

    def test_failed(self) -> None:
        """
        What fails is said in one line, unless nothing is to be said, and has its code.
        """
        for options, said in (((), "twisted_h11: not so\n"), (("-s",), "")):
            self.begin()
            code = self.code(self.fail_, *options)
            self.assertEqual((22, said), (code, self.errors.getvalue()))

    def fail_(self) -> None:
        """
        Have it fail.
        """
        self.fetching.errback(Failed("not so", 22))

    def test_interrupted(self) -> None:
        """
        The first signal is the code, as a shell says it; what comes behind it, or
        because of it, does not count and is not said.
        """

        for first, second, code in (
            (signal.SIGINT, signal.SIGTERM, 130),
            (signal.SIGTERM, signal.SIGINT, 143),
        ):
            for then in (partial(self.kill, second), self.fail_, self.succeed):
                self.begin()
                calls: list[Any] = [partial(self.kill, first), then]
                code_ = self.code(lambda calls=calls: [call() for call in calls])
                self.assertEqual((code, ""), (code_, self.errors.getvalue()))

    def test_writing(self) -> None:
        """
        A write that waits is not waited for.
        """
        exits: list[int] = []
        self.patch(os, "_exit", exits.append)
        for number in range(2):
            self.begin()
            self.streams[number].writing = True
            self.code(lambda: self.kill(signal.SIGINT))
        self.assertEqual([130] * 2, exits)

    def test_stopped(self) -> None:
        """
        If the reactor stops by itself, it was interrupted before we began.
        """
        loop = Loop()
        loop.turns = [loop.stop]
        code = Run(loop, *self.streams).run(parse(["http://a"]))
        self.assertEqual((130, ["in order"]), (code, self.left))
        self.assertEqual("", self.errors.getvalue())


class Stream(io.TextIOWrapper):
    """
    A standard stream.
    """

    def __init__(self, raw: Any) -> None:
        super().__init__(raw, encoding="utf-8")


class Full(io.BytesIO):
    """
    A file on a full disk.
    """

    def write(self, data: Any) -> int:
        """
        Fail.
        """
        raise OSError(errno.ENOSPC, "full")


class MainTests(RunTestCase):
    """
    The whole command.
    """

    def run_(self, *arguments: str, stdout: Any = None) -> tuple[int, str]:
        """
        Run it.

        @return: the exit code, and what was written to standard error.
        """
        self.begin()
        loop = Loop(self.succeed)
        install(self, loop)
        stderr = Stream(io.BytesIO())
        self.patch(sys, "stdout", stdout)
        self.patch(sys, "stderr", stderr)
        code = main(list(arguments))
        written: Any = stderr.buffer
        return code, written.getvalue().decode()

    def test_codes(self) -> None:
        """
        A run has its code; a command line that makes no sense has one, too, and is
        told.
        """
        stream = Stream(io.BytesIO())
        self.assertEqual((0, ""), self.run_("http://a", stdout=stream))
        self.assertEqual(
            (2, "twisted_h11: --continue needs --output FILE\n"),
            self.run_("-C", "http://a", stdout=stream),
        )
        self.assertEqual((2, ""), self.run_("-s", "-C", "http://a", stdout=stream))

    def test_noOutput(self) -> None:
        """
        There need not be a standard output, if nothing goes there.
        """
        self.assertEqual((0, ""), self.run_("http://a", stdout=None))

    def test_notFlushed(self) -> None:
        """
        What can not be written at the end is 23.
        """
        closed = Stream(io.BytesIO())
        closed.buffer.close()
        self.assertEqual((23, ""), self.run_("http://a", stdout=closed))

    def test_help(self) -> None:
        """
        The help ends the command with 0, or with 23 if it can not be written.
        """
        for option in ("--help", "--version"):
            stream = Stream(io.BytesIO())
            error = self.assertRaises(SystemExit, self.run_, option, stdout=stream)
            self.assertEqual(0, error.code)
            full = Stream(Full())
            code, said = self.run_(option, stdout=full)
            self.assertEqual(23, code)
            self.assertEqual("twisted_h11: standard output can not be written\n", said)

    def test_module(self) -> None:
        """
        The module is the command, when it is run; who interrupts it before the reactor
        runs has the code of that.
        """

        def interrupted(arguments: list[str]) -> int:
            raise KeyboardInterrupt

        self.patch(sys, "argv", ["twisted_h11", "-f", "http://a"])
        self.patch(fetch_run, "main", self.fail)
        runpy.run_module("twisted_h11.__main__")
        for command, code in ((len, 2), (interrupted, 130)):
            self.patch(fetch_run, "main", command)
            error = self.assertRaises(
                SystemExit, runpy.run_module, "twisted_h11", run_name="__main__"
            )
            self.assertEqual(code, error.code)


class StreamTests(SynchronousTestCase):
    """
    Standard streams.
    """

    def test_closed(self) -> None:
        """
        The places of those that are closed are taken by nothing.
        """
        opened: list[int] = []
        closed: list[int] = []

        def open_(path: str, flags: int) -> int:
            self.assertEqual((os.devnull, os.O_RDWR), (path, flags))
            opened.append(len(opened) + 1)
            return opened[-1]

        self.patch(os, "open", open_)
        self.patch(os, "close", closed.append)
        open_standard()
        self.assertEqual(([1, 2, 3], [3]), (opened, closed))

    def test_flushed(self) -> None:
        """
        What can not be flushed goes nowhere from then on.
        """
        self.assertTrue(flush(None))
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w") as stream:
            stream.write("x")
            self.assertFalse(flush(stream))
            self.assertEqual(os.stat(os.devnull).st_rdev, os.fstat(writer).st_rdev)
            self.assertTrue(flush(stream))
        self.assertFalse(flush(stream))
