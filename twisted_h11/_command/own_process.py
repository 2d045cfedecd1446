"""
A server with a process of its own: its signals, its notifications to systemd or to a
parent, its replacement, and its garbage collector.
"""

from __future__ import annotations

import gc
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

__all__ = ["freeze_heap", "own_process"]


def freeze_heap() -> None:
    """
    Exempt all objects that exist from garbage collection.

    At the start these are modules, classes and the resources, which live as long as the
    process.  A full collection that has to look at them takes some 40 ms, during which
    no request is served; frameworks whose requests are cyclic garbage cause several a
    second.
    """
    gc.collect()
    gc.freeze()


def own_process(
    config: Any, site: Site, logs: Logs, stopping: Stopping, listening: ListeningService
) -> None:
    """
    Set up signals, notifications, the bound on requests and the garbage collector for
    this process.

    @param config: the options.
    @param site: the site.
    @param logs: the access log and the program's log.
    @param stopping: ends the process.
    @param listening: the service of the site's ports.
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
            again=worker is not None,
        )
    signals = Signals(loop)
    signals.add(signal.SIGHUP, config.reloadTLS)
    signals.add(signal.SIGUSR1, logs.reopen)
    signals.add(signal.SIGUSR2, partial(report, site))
    # The report of SIGUSR2 shows the ages of requests.
    site.timesRequests = True
    stopping.heedEarlySignals()
    loop.callWhenRunning(stopping.heedSignals)
    loop.callWhenRunning(freeze_heap)
    # Installed early: without a handler these signals end the process.
    signals.install()
    logs.addIdentifiers()
