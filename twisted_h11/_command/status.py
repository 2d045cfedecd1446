"""
The status site of C{twistd h11web}: its option, and when it starts and ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.task import LoopingCall
from twisted.python import usage

from twisted_h11._boundary.variables import METRICS_DIRECTORY
from twisted_h11._command.endpoints import explain, parse_endpoint
from twisted_h11._command.service import ListeningService
from twisted_h11._command.twistd_paths import start_directory
from twisted_h11.metrics import Metrics, StatusResource
from twisted_h11.server import Site

__all__ = ["StatusOptions", "StatusService"]

_STATUS = (
    "Endpoint description to show the state of the server on, such as "
    "tcp:9000:interface=127.0.0.1: /health, /metrics (needs twisted-h11[metrics]), and "
    "a page. It shows the paths of requests: restrict access to it."
)


# Seconds between updates of this worker's numbers for the other workers.
_INTERVAL = 1.0

_Drain = Callable[[], Deferred[None]]


class StatusOptions(usage.Options):
    """
    The option for the status site.

    After L{checkStatus}, C{self["status"]} is the endpoint and its name, and
    C{self["metrics"]} is a L{Metrics}; both are C{None} without the option.

    @since: 0.1
    """

    heading = "Status"

    optParameters: ClassVar[list[list[Any]]] = [["status-listen", None, None, _STATUS]]

    def checkStatus(self, reactorFor: Callable[[str], Any]) -> None:
        """
        Parse the endpoint.

        @param reactorFor: returns the reactor for an endpoint description.
        """
        self["status"] = self["metrics"] = None
        description = self["status-listen"]
        if description is None:
            return
        try:
            endpoint = parse_endpoint(
                reactorFor(description), description, start_directory(self.parent)
            )
        except ValueError as error:
            raise usage.UsageError(f"--status-listen {description}: {error}") from None
        self["status"] = (description, endpoint)
        # Later, in another root (twistd --chroot), it could not be imported.
        with suppress(ImportError):
            import_module("prometheus_client.core")
        try:
            self["metrics"] = Metrics(os.environ.get(METRICS_DIRECTORY))
        except OSError as error:
            raise usage.UsageError(f"--status-listen: {explain(error)}") from None


class StatusService(Service):
    """
    The service of the status site.  It listens until the last connection of the main
    site has ended, so that C{/health} can say that the server is stopping.

    @param status: the endpoint and its name.
    @param metrics: the metrics of the site.
    @param site: the site.
    """

    def __init__(
        self,
        status: tuple[str, IStreamServerEndpoint],
        metrics: Metrics,
        site: Site,
    ) -> None:
        resource = StatusResource(metrics, lambda: site.isDraining)
        factory = Site(resource, accessLog=False)
        self._listening = ListeningService([status], factory)
        self._refreshing = LoopingCall(metrics.refresh)
        self._ended: Deferred[None] = Deferred()

    def privilegedStartService(self) -> None:
        """
        Listen.

        @raise StartError: if the port can not be opened.
        """
        super().privilegedStartService()
        self._listening.privilegedStartService()

    def startService(self) -> None:
        """
        Listen, unless C{privilegedStartService} has done so.
        """
        super().startService()
        self._listening.startService()
        self._refreshing.start(_INTERVAL)

    def until(self, drain: _Drain) -> _Drain:
        """
        Make a function that drains the site, and then lets this service end.

        @param drain: drains the site.
        """

        return lambda: drain().addBoth(self._end)

    def _end(self, result: Any) -> Deferred[Any]:
        """
        Close the port: after the end of the site, or if the site could not listen.
        """
        closed = self._listening.stopService()
        if not self._ended.called:
            closed.addCallback(self._ended.callback)
        return closed.addCallback(lambda _: result)

    def check(self, more: Callable[[], object]) -> None:
        """
        Check that the port can be opened.

        @param more: called while it is open.
        @raise StartError: if not.
        """
        self._listening.check(more)

    def stopService(self) -> Deferred[None]:
        """
        Stop listening when the site has ended.

        @return: fires when the port is closed.
        """
        super().stopService()
        if self._refreshing.running:
            self._refreshing.stop()
        return self._ended
