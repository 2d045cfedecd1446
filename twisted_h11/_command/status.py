"""
The status site of C{twistd h11web}: its option, and when it starts and ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.task import LoopingCall
from twisted.python import usage

from twisted_h11._boundary.variables import METRICS_DIRECTORY
from twisted_h11._command.endpoints import explain, parse_endpoint
from twisted_h11._command.service import ListeningService
from twisted_h11.metrics import Metrics, StatusResource
from twisted_h11.server import Site

__all__ = ["StatusOptions", "StatusService"]

_STATUS = (
    "Endpoint description to show the state of the server on, such as "
    "tcp:9000:interface=127.0.0.1: /health, /metrics (needs twisted-h11[metrics]), and "
    "a page. Paths of requests are shown: let only those reach it who may know."
)


# Seconds between the times that other workers learn what this one does.
_INTERVAL = 1.0

_Drain = Callable[[], Deferred[None]]


class StatusOptions(usage.Options):
    """
    Where the state of the server is shown.

    After L{checkStatus}, C{self["status"]} is the endpoint and its name, and
    C{self["metrics"]} what counts; both C{None} without the option.

    @since: 0.1
    """

    heading = "Status"

    optParameters: ClassVar[list[list[Any]]] = [["status-listen", None, None, _STATUS]]

    def checkStatus(self, reactorFor: Callable[[str], Any]) -> None:
        """
        Parse the endpoint.

        @param reactorFor: finds the reactor for the description of an endpoint.
        """
        self["status"] = self["metrics"] = None
        description = self["status-listen"]
        if description is None:
            return
        try:
            endpoint = parse_endpoint(reactorFor(description), description)
        except ValueError as error:
            raise usage.UsageError(f"--status-listen {description}: {error}") from None
        self["status"] = (description, endpoint)
        try:
            self["metrics"] = Metrics(os.environ.get(METRICS_DIRECTORY))
        except OSError as error:
            raise usage.UsageError(f"--status-listen: {explain(error)}") from None


class StatusService(Service):
    """
    Shows the state of a site from its start until its last connection has ended, so
    that C{/health} can say that it is about to end.

    @param status: the endpoint and its name.
    @param metrics: of the site.
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

        @raise StartError: if that is not possible.
        """
        super().privilegedStartService()
        self._listening.privilegedStartService()

    def startService(self) -> None:
        """
        Listen, if that is not done.
        """
        super().startService()
        self._listening.startService()
        self._refreshing.start(_INTERVAL)

    def until(self, drain: _Drain) -> _Drain:
        """
        What drains the site, and has this service end then.

        @param drain: what drains it.
        """

        def drainAndEnd() -> Deferred[None]:
            def ended(result: Any) -> Any:
                self._ended.callback(None)
                return result

            return drain().addBoth(ended)

        return drainAndEnd

    def check(self) -> None:
        """
        See whether it can listen.

        @raise StartError: if not.
        """
        self._listening.check()

    def stopService(self) -> Deferred[None]:
        """
        Listen until the site has ended.

        @return: fires when that is so.
        """
        super().stopService()
        if self._refreshing.running:
            self._refreshing.stop()
        return self._ended.addCallback(lambda _: self._listening.stopService())
