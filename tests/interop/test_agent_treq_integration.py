"""
treq's own integration tests, with our Agent and our pool in the place of
Twisted's.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet import reactor
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


class OneServer:
    """
    Their process of httpbin, ended when ours ends.  They end it at the shutdown of the
    reactor, which C{trial -j} fires after each test, while the next one asks for it.
    """

    def __init__(self, process: Any) -> None:
        """
        @param process: theirs.
        """
        self._process = process

    def server_description(self, reactor: Any) -> Any:
        """
        Where it listens, see theirs.
        """
        return self._process.server_description(self)

    def addSystemEventTrigger(
        self, phase: str, event: str, call: Callable[[], object]
    ) -> None:
        """
        What is asked of the reactor for the end.
        """

        def end() -> None:
            with suppress(ProcessExitedAlready):
                call()

        atexit.register(end)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


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
            if not isinstance(self._httpbin_process, OneServer):
                type(self)._httpbin_process = OneServer(self._httpbin_process)
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
