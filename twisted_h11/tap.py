"""
C{twistd h11web}: the command that serves files, WSGI applications and
resources with L{twisted_h11.server.Site}.

The options are in L{twisted_h11._command.options}; what listens, and stops gracefully,
is in L{twisted_h11._command.service}.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import Any

from twisted.application.service import IService, IServiceCollection, MultiService
from twisted.web import static
from twisted.web.tap import makePersonalServerFactory

from twisted_h11._command.endpoints import is_plain
from twisted_h11._command.log_options import Logs
from twisted_h11._command.notify import REPLACE, Notifier
from twisted_h11._command.options import Options
from twisted_h11._command.parent import make_parent
from twisted_h11._command.report import report
from twisted_h11._command.retiring import retire_after
from twisted_h11._command.service import ListeningService, StartError
from twisted_h11._command.signals import Signals
from twisted_h11._command.status import StatusService
from twisted_h11._command.stopping import Stopping, leave
from twisted_h11._command.welcome import Welcome
from twisted_h11._command.worker import end_alone, inherited
from twisted_h11.server import Site

__all__ = ["Options", "makeService"]


def makeService(config: Options) -> IService:
    """
    Make the service that the options describe.

    @param config: L{Options} that have parsed a command line.

    @raise StartError: when the server can not be made like that, for instance
        with HTTP/2 where its dependencies are missing.

    @since: 0.1
    """
    service = MultiService()
    root = config["root"]
    if root is None and not config["vhosts"]:
        root = Welcome()
    for file in (root, *config["files"]):
        if isinstance(file, static.File):
            # Scripts below it find the service collection there.
            file.registry.setComponent(IServiceCollection, service)

    settings: dict[str, Any] = {}
    if "serverHeader" in config:
        settings["serverHeader"] = config["serverHeader"]
    try:
        site = Site(
            config.secureRoot(config.wrapRoot(root)),
            limits=config["limits"],
            http2=bool(config["http2"]),
            hsts=config["hsts"],
            compression=config["compression"],
            errorPages=config["errorPages"],
            extraHeaders=tuple(config["extraHeaders"]),
            environUnderscores=bool(config["environ-underscores"]),
            trustedProxies=config["proxies"],
            rootPath=config["rootPath"],
            metrics=config["metrics"],
            **config["logging"],
            **settings,
        )
        if config["http2"] and all(is_plain(name) for name, _ in config["listen"]):
            raise ValueError(
                "--http2 needs TLS: --https 443 --certificate FILE, or an endpoint "
                "such as --listen ssl:8443:privateKey=key.pem:certKey=cert.pem"
            )
    except ValueError as error:
        print(f"twistd h11web: {error}", file=sys.stderr)
        raise StartError(str(error)) from None
    site.displayTracebacks = bool(config["display-tracebacks"])

    # Embedded in something else the process is not ours to end.
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
        listening.check()
        if status is not None:
            status.check()
        config.tellWarnings()
        print("twistd h11web: everything is as it should be")
        raise SystemExit(0)
    if command is not None:
        from twisted.internet import reactor

        loop: Any = reactor
        signals = Signals(loop)
        notifier = Notifier(
            loop,
            os.environ,
            None if worker is None else worker.isOrphaned,
            partial(end_alone, loop),
        )
        if config["workers"] is not None:
            return make_parent(config, logs, signals, notifier)
        listening.tell(notifier)
        if config["max-requests"] is not None:
            retire_after(
                site,
                config["max-requests"],
                config["max-requests-jitter"] or 0,
                partial(notifier.tell, REPLACE) if worker else loop.stop,
            )
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
    listening.setServiceParent(service)
    return service
