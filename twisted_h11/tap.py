"""
C{twistd h11web}: the command that serves files, WSGI applications and
resources with L{twisted_h11.server.Site}.

The options are in L{twisted_h11._command.options}, the service that listens, and stops
gracefully, in L{twisted_h11._command.service}.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from twisted.application.service import IService, MultiService

from twisted_h11._command.standard import open_standard

# Before the reactor is imported, which would get these numbers: twistd opens them anew
# when it becomes a daemon.
with suppress(OSError):
    open_standard()

from twisted.web.tap import makePersonalServerFactory

from twisted_h11._command.log_options import Logs
from twisted_h11._command.options import Options
from twisted_h11._command.own_process import own_process
from twisted_h11._command.parent import make_parent
from twisted_h11._command.served import make_root, make_site
from twisted_h11._command.service import ListeningService
from twisted_h11._command.standard import say
from twisted_h11._command.status import StatusService
from twisted_h11._command.stopping import Stopping, leave
from twisted_h11._command.twistd_paths import leaves_nothing
from twisted_h11._command.unserved import warn_of_unserved
from twisted_h11._command.worker import inherited

__all__ = ["Options", "makeService"]


def makeService(config: Options) -> IService:
    """
    Make the service that the options describe.

    @param config: L{Options} that have parsed a command line.

    @raise StartError: if the server can not be made with these options, for example
        with HTTP/2 if its dependencies are missing.

    @since: 0.1
    """
    service = MultiService()
    root = make_root(config, service)
    site = make_site(config, root)
    # If the service is embedded in another program, it must not end the process.
    command = config.parent
    logs = Logs(site, config["programLog"])
    pidfile = command.get("pidfile") if command is not None else None
    worker = inherited()
    stopping = Stopping(
        site,
        root,
        config["grace"],
        None if command is None else partial(leave, pidfile),
        idle=config["drain-idle"],
        patient=worker is not None,
    )
    factory = makePersonalServerFactory(site) if config["personal"] else site
    drain, status = stopping.drain, None
    if config["status"] is not None:
        status = StatusService(config["status"], config["metrics"], site)
        status.setServiceParent(service)
        drain = status.until(drain)
    listening = ListeningService(config["listen"], factory, drain)
    stopping.status = lambda: int(listening.failed)
    if config["check"]:
        with leaves_nothing(site.logPath):
            if status is None:
                listening.check()
            else:
                status.check(listening.check)
        config.tellWarnings()
        say("twistd h11web: everything is as it should be")
        raise SystemExit(0)
    if command is not None:
        if worker is None:
            warn_of_unserved()
        if config["workers"] is not None:
            return make_parent(config, logs)
        own_process(config, site, logs, stopping, listening)
    listening.setServiceParent(service)
    return service
