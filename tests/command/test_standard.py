"""
What C{twistd h11web} writes to the standard output, and where that can not be written.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._command.standard import say
from twisted_h11.tap import Options


class _Broken(io.StringIO):
    """
    A stream that can not be written.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        """
        It is full, or nobody reads.
        """
        raise self.error


class SayTests(SynchronousTestCase):
    """
    L{say}.
    """

    def test_written(self) -> None:
        """
        It is a line; where the output is closed, nothing.
        """
        stream = io.StringIO()
        for stdout in (stream, None):
            self.patch(sys, "stdout", stdout)
            say("well")
        self.assertEqual("well\n", stream.getvalue())

    def test_notWritten(self) -> None:
        """
        A full disk is told in one line, a reader that has gone is not; both are a
        status of 1, of everything that the command answers.
        """
        full = OSError(28, "No space left on device")
        problem = "twistd h11web: can not write to the standard output: No space left"
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        ended = self.assertRaises(SystemExit, Options().parseOptions, ["--help"])
        self.assertEqual(0, ended.code)
        self.assertIn("[h11web options]", out.getvalue())
        errors: tuple[tuple[OSError, Any], ...] = (
            (full, f"{problem} on device"),
            (BrokenPipeError(32, "Broken pipe"), 1),
        )
        for error, code in errors:
            self.patch(sys, "stdout", _Broken(error))
            for words in (["--help"], ["--version"]):
                ended = self.assertRaises(SystemExit, Options().parseOptions, words)
                self.assertEqual(code, ended.code, words)
