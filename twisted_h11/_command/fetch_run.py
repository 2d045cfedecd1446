"""
C{python -m twisted_h11} as a process: its streams, its signals, its exit code.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_h11._boundary.explain import one_line
from twisted_h11._command.fetch import fetch
from twisted_h11._command.fetch_codes import exit_code
from twisted_h11._command.fetch_options import BadUsage, parse
from twisted_h11._command.fetch_output import Messages, Output
from twisted_h11._command.standard import flush, open_standard

__all__ = ["main"]


class Run:
    """
    One run of the command.

    @ivar code: the exit code; C{None} while there is none.  Who sets it ends the run.
    """

    code: int | None = None

    def __init__(self, reactor: Any, stdout: Output, stderr: Messages) -> None:
        self._reactor = reactor
        self._stdout = stdout
        self._stderr = stderr
        self._silent = False

    def run(self, options: Any) -> int:
        """
        Run the reactor until the fetch has ended.

        @return: the exit code.
        """
        reactor = self._reactor
        self._silent = options.silent
        reactor.callWhenRunning(self._begin, options)
        reactor.run()
        if self.code is None:
            # By a signal, before we had handlers of our own.
            self.code = 128 + signal.SIGINT
        fetching = self._fetching
        # Cancelling makes the output close its file; an incomplete replacement is
        # removed.
        fetching.addErrback(lambda _: None)
        fetching.cancel()
        return self.code

    _fetching: Deferred[None]

    def _begin(self, options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupted)
        self._fetching = Deferred.fromCoroutine(
            fetch(self._reactor, options, self._stdout, self._stderr)
        )
        self._fetching.addCallbacks(lambda _: self._done(0), self._failed)

    def _interrupted(self, number: int, frame: object) -> None:
        isFirst = self.code is None
        if self.code is None:
            # The code that a shell reports for a signal; later errors do not change it.
            self.code = 128 + number
        if self._stdout.writing or self._stderr.writing:
            # A blocked write to a pipe would keep the reactor from stopping.
            os._exit(self.code)
        if isFirst:
            self._reactor.callFromThread(self._reactor.stop)

    def _failed(self, failure: Failure) -> None:
        error: Any = failure.value
        if self.code is None:
            if not self._silent:
                tell(self._stderr, error)
            self._done(exit_code(error))

    def _done(self, code: int) -> None:
        if self.code is None:
            self.code = code
            self._reactor.stop()


def tell(stderr: Messages, error: BaseException) -> None:
    """
    Write an error to standard error, in one line.
    """
    text = one_line(str(error)) or type(error).__name__
    stderr.write(f"twisted_h11: {text}\n")


def main(arguments: list[str]) -> int:
    """
    Run the command.

    @return: the exit code.
    """
    open_standard()
    stderr = Messages(sys.stderr)
    stdout = Output(None if sys.stdout is None else sys.stdout.buffer)
    try:
        options = parse(arguments)
    except BadUsage as error:
        if not error.silent:
            tell(stderr, error)
        return error.code
    except SystemExit:
        # argparse has written: the help, the version or an error.
        if not flush(sys.stdout):
            tell(stderr, OSError("standard output can not be written"))
            return 23
        raise
    from twisted.internet import reactor

    code = Run(reactor, stdout, stderr).run(options)
    if not flush(sys.stdout) and not code:
        code = 23
    flush(sys.stderr)
    return code
