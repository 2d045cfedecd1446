"""
An agent without a network.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.iweb import IAgent
from zope.interface import implementer

from twisted_h11._boundary.checks import BOOL, REACTOR, checked, instance, optional
from twisted_h11._boundary.twisted_private_client import produce_on
from twisted_h11._testing.site import MemorySite, Network
from twisted_h11.client import Agent, ClientSettings, HTTPConnectionPool

__all__ = ["MemoryAgent"]


@implementer(IAgent)
class MemoryAgent:
    """
    An agent whose requests all go to one resource, without a network.

    If a resource responds at once, the Deferred of C{request} has fired when C{request}
    returns, and the body can be read at once.  If it responds later, call L{flush}
    after it has; if it waits for time to pass, call C{clock.advance}, and then
    L{flush}.  Pull producers, and the bodies of
    L{FileBodyProducer<twisted.web.client.FileBodyProducer>}, run within a flush.

    @param resource: the root of the site, or a factory.
    @param clock: the time of both ends; a new L{Clock} if it is not given.
    @param settings: a L{ClientSettings}.
    @param fastPath: whether common messages may be read and written without h11's
        state machine, at either end.
    @param options: more arguments for L{Site<twisted_h11.server.Site>}.

    @ivar site: the L{MemorySite}.
    @ivar clock: the time.
    @ivar pool: the pool of connections, which persist.

    @since: 0.1
    """

    @checked(
        clock=optional(REACTOR),
        settings=optional(instance("ClientSettings", ClientSettings)),
        fastPath=BOOL,
    )
    def __init__(
        self,
        resource: Any,
        clock: Clock | None = None,
        settings: ClientSettings | None = None,
        fastPath: bool = True,
        **options: Any,
    ) -> None:
        self.site = MemorySite(resource, clock, fastPath=fastPath, **options)
        self.clock = self.site.clock
        self.pool = HTTPConnectionPool(self.clock)
        self._agent = Agent.usingEndpointFactory(
            self.clock,
            Network(self.site),
            self.pool,
            settings=settings,
            fastPath=fastPath,
        )

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Any = None,
        bodyProducer: Any = None,
    ) -> Deferred[Any]:
        """
        Send a request; see L{Agent.request<twisted_h11.client.Agent.request>}.
        """
        produce_on(bodyProducer, self.site.cooperator.cooperate)
        deferred = self._agent.request(method, uri, headers, bodyProducer)
        self.flush()
        return deferred

    def flush(self) -> None:
        """
        Deliver all written data; see L{MemorySite.flush}.
        """
        self.site.flush()

    def close(self) -> None:
        """
        Drop all connections; requests that are still open fail.
        """
        self.pool.close()
        self.flush()
        self.site.close()
