"""
treq's own integration tests, with our Agent and our pool in the place of
Twisted's.
"""

from __future__ import annotations

import atexit
import contextlib
from functools import partial
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.trial.unittest import TestCase

from tests.support.server_cases import FAST_PATH
from twisted_h11.client import Agent, HTTPConnectionPool

theirs: Any
try:
    # Its tests run a server of this package in a process of its own.
    import httpbin  # type: ignore[import-not-found, import-untyped, unused-ignore] # noqa: F401
    from treq.test import test_treq_integration as theirs
except ImportError:
    missing: str | None = "httpbin is not installed"
    Plain: Any = TestCase
    Secure: Any = TestCase
else:
    missing = None
    Plain = theirs.TreqIntegrationTests
    Secure = theirs.HTTPSTreqIntegrationTests


def keep(process: Any) -> None:
    """
    Have their process of httpbin end when ours ends.  They end it at the shutdown of
    the reactor, which C{trial -j} fires after each test, while the next one needs it.
    """
    kill = process.kill

    def end() -> None:
        with contextlib.suppress(ProcessExitedAlready):
            kill()

    atexit.register(end)
    process.kill = lambda: None


class OnOurAgent:
    """
    Puts our names where theirs are looked up.
    """

    skip = missing

    def setUp(self: Any) -> Any:
        """
        Their set-up, with our Agent and pool.
        """
        if missing is None:
            self.patch(theirs, "Agent", partial(Agent, fastPath=FAST_PATH))
            self.patch(theirs, "HTTPConnectionPool", HTTPConnectionPool)
            if "kill" not in vars(self._httpbin_process):
                keep(self._httpbin_process)
        return super().setUp()  # type: ignore[misc]


class OurAgentTreqTests(OnOurAgent, Plain):  # type: ignore[misc]
    """
    Over TCP.
    """


class OurAgentHTTPSTreqTests(OnOurAgent, Secure):  # type: ignore[misc]
    """
    Over TLS.
    """


# Only ours run here.
del Plain, Secure
