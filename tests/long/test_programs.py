"""
Real programs, and their own tests, on our classes.

C{TWISTED_H11_TAHOE} names the Python of an environment in which this project and
C{tahoe-lafs[test]} are installed.  Of the programs that were tried it is the one whose
tests found most.  C{TWISTED_H11_DAPHNE} names the folder of an unpacked source
distribution of Daphne, which with C{hypothesis} is installed in the same environment.
C{.ci/run} makes both.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

SWAPPED = Path(__file__).with_name("swapped.py")
SWAPPED_DAPHNE = Path(__file__).with_name("swapped_daphne.py")
MODULES = ("allmydata.test.web", "allmydata.test.test_storage_http")

# What passes with Twisted's classes and not with ours: a part of the test's name, a
# part of what it says, and why.  docs/migrating.rst and docs/client.rst have each.
DIFFERENT = [
    ("test_web.Web.test_short_url", "405 != 501", "DELETE is a known method"),
    ("test_webish.TahoeLAFSSiteTests", "not in b''", "the access log is batched"),
    ("test_grid.Grid", "<Channel #", "a connection closes in stages"),
    ("test_web.", "<Channel #", "a connection closes in stages"),
    ("test_logs.StreamingEliotLogsTests", "Invalid URI b'http:///", "no host"),
    ("test_private.PrivacyTests", "Invalid URI b'http:///", "no host"),
    ("test_bad_swissnum_from_client", "Invalid value of header", "a control character"),
]


class TahoeTests(SynchronousTestCase):
    """
    Tahoe-LAFS's web interface, and its storage protocol over HTTPS.
    """

    def test_own(self) -> None:
        """
        Its tests pass, but for what is documented as different.
        """
        python = os.environ.get("TWISTED_H11_TAHOE")
        if not python:
            raise SkipTest("TWISTED_H11_TAHOE is not set")
        with tempfile.TemporaryDirectory() as folder:
            ran = subprocess.run(
                [python, str(SWAPPED), "--temp-directory=trial", *MODULES],
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=600,
            )
        output = ran.stdout
        found = re.search(r"successes=([0-9]+)", output)
        self.assertIsNotNone(found, output[-3000:] + ran.stderr[-3000:])
        assert found is not None
        self.assertGreater(int(found[1]), 350)
        unknown = [
            section.strip()[-2000:]
            for section in re.split(r"^=+$", output, flags=re.MULTILINE)
            if re.match(r"\s*\[(FAIL|ERROR)\]", section)
            and not any(
                name in section and said in section for name, said, _ in DIFFERENT
            )
        ]
        self.assertEqual([], unknown)


class DaphneTests(SynchronousTestCase):
    """
    Daphne's HTTP and WebSocket protocols.
    """

    # It passes on twisted.web, see docs/migrating.rst: here every response has a Date.
    different = frozenset({"test_headers"})

    def test_own(self) -> None:
        """
        Its tests pass, but for the one that is documented as different.
        """
        python = os.environ.get("TWISTED_H11_TAHOE")
        source = os.environ.get("TWISTED_H11_DAPHNE")
        if not python or not source:
            raise SkipTest("TWISTED_H11_TAHOE and TWISTED_H11_DAPHNE are not set")
        names = ["http_request", "http_response", "http_protocol", "websocket"]
        with tempfile.TemporaryDirectory() as folder:
            ran = subprocess.run(
                [python, str(SWAPPED_DAPHNE), *(f"test_{name}" for name in names)],
                cwd=Path(source, "tests"),
                env={
                    **os.environ,
                    "PYTHONPATH": ".",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "HYPOTHESIS_STORAGE_DIRECTORY": folder,
                    # They leave files in it that the next test reads.
                    "TMPDIR": folder,
                },
                capture_output=True,
                text=True,
                errors="replace",
                timeout=600,
            )
        output = ran.stderr
        found = re.search(r"^Ran ([0-9]+) tests", output, flags=re.MULTILINE)
        self.assertIsNotNone(found, output[-3000:])
        assert found is not None
        self.assertGreater(int(found[1]), 39)
        failed = re.findall(r"^(?:FAIL|ERROR): (\w+) \((.*)\)", output, re.MULTILINE)
        self.assertEqual(
            {f"test_http_response.TestHTTPResponse.{name}" for name in self.different},
            {where for _, where in failed},
            output[-3000:],
        )
