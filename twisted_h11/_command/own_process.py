"""
A server that has its process for itself: what signals have it do, what it tells whoever
has started it, and when it is to be replaced.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

from twisted_h11._command.log_options import Logs
from twisted_h11._command.notify import REPLACE, Notifier
from twisted_h11._command.report import report
from twisted_h11._command.retiring import retire_after
from twisted_h11._command.service import ListeningService
from twisted_h11._command.signals import Signals
from twisted_h11._command.stopping import Stopping, stop
from twisted_h11._command.worker import end_alone, inherited
from twisted_h11.server import Site

__all__ = ["own_process"]


def own_process(
    config: Any, site: Site, logs: Logs, stopping: Stopping, listening: ListeningService
) -> None:
    """
    Have the process be that of a server.

    @param config: the options.
    @param site: the site.
    @param logs: its logs, and the program's.
    @param stopping: how it ends.
    @param listening: the service of its ports.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    worker = inherited()
    notifier = Notifier(
        loop,
        os.environ,
        None if worker is None else worker.isOrphaned,
        partial(end_alone, loop),
    )
    listening.tell(notifier)
    if config["max-requests"] is not None:
        retire_after(
            site,
            config["max-requests"],
            config["max-requests-jitter"] or 0,
            partial(notifier.tell, REPLACE) if worker else partial(stop, loop),
        )
    signals = Signals(loop)
    signals.add(signal.SIGHUP, config.reloadTLS)
    signals.add(signal.SIGUSR1, logs.reopen)
    signals.add(signal.SIGUSR2, partial(report, site))
    # Then the ages of requests are known.
    site.timesRequests = True
    stopping.heedEarlySignals()
    loop.callWhenRunning(stopping.heedSignals)
    # From now on: until then such a signal would end the process.
    signals.install()
    logs.addIdentifiers()
