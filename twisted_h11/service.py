"""
Sites as a service of L{twisted.application}: they listen when the service starts, and
finish their responses when it stops.

::

    from twisted.application import service
    from twisted_h11.service import SiteService

    application = service.Application("web")
    SiteService([("tcp:8080", site)]).setServiceParent(application)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    fail,
    maybeDeferred,
    succeed,
)
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_h11._boundary.checks import (
    NUMBER,
    Kind,
    checked,
    listed,
    optional,
)
from twisted_h11._boundary.explain import explain
from twisted_h11._boundary.guarded import log_failure

__all__ = ["DEFAULT_GRACE", "ListenError", "SiteService"]

DEFAULT_GRACE = 30.0
"""
Seconds that busy connections get when a service stops, as with Gunicorn's
C{graceful_timeout} and Kubernetes' C{terminationGracePeriodSeconds}.
"""


_LISTEN = listed(
    Kind(
        "pairs of an endpoint and a site",
        lambda pair: (
            isinstance(pair, (tuple, list))
            and len(pair) == 2
            and (isinstance(pair[0], str) or callable(getattr(pair[0], "listen", None)))
            and callable(getattr(pair[1], "buildProtocol", None))
        ),
    )
)


class ListenError(Exception):
    """
    A service can not listen.  The message has the endpoint and the reason.

    @since: 0.1
    """


class SiteService(Service):
    """
    Listens on endpoints with sites.

    When the service starts it listens on all of its endpoints, before the process drops
    its privileges.  When it stops it closes its ports, and drains all sites at once
    (L{Site.drain<twisted_h11.server.Site.drain>}): idle connections are closed, busy
    ones end after their response, protocols that took a connection over are called to
    close it, and the rest is dropped after the grace.  The service has stopped when all
    connections are gone.

    A site may be on several endpoints, and may be wrapped, as by
    L{ProxyProtocolFactory<twisted_h11.server.ProxyProtocolFactory>} and
    L{TLSMemoryBIOFactory<twisted.protocols.tls.TLSMemoryBIOFactory>}.  Other factories
    may be used, too; the service does not wait for their connections.

    @ivar ports: the ports of the endpoints.

    @since: 0.1
    """

    _log = Logger()

    @checked(listen=_LISTEN, grace=optional(NUMBER), drainIdle=NUMBER)
    def __init__(
        self,
        listen: Iterable[tuple[str | IStreamServerEndpoint, Any]],
        grace: float | None = DEFAULT_GRACE,
        reactor: Any = None,
        names: Sequence[str] | None = None,
        drainIdle: float = 0.0,
    ) -> None:
        """
        @param listen: pairs of an endpoint, or its description as
            L{serverFromString<twisted.internet.endpoints.serverFromString>} takes it,
            and a site.
        @param grace: seconds that connections get when the service stops; C{None} to
            wait for ever.
        @param reactor: for descriptions; by default the global one.
        @param names: the names of the endpoints in messages, one for each; by default
            their descriptions.
        @param drainIdle: seconds for which idle connections stay open when the service
            stops, each for one more request.
        @raise TypeError: for an argument of the wrong type.
        @raise ValueError: for an invalid description, and for more or fewer names than
            endpoints.
        """
        if reactor is None:
            from twisted.internet import reactor
        self._reactor: Any = reactor
        self._grace = grace
        self._drainIdle = drainIdle
        self._served = [self._parse(pair) for pair in listen]
        if names is not None:
            if len(names) != len(self._served):
                raise ValueError(
                    "there must be a name for each endpoint: "
                    f"{len(names)} for {len(self._served)}"
                )
            self._served = [
                (name, endpoint, factory)
                for name, (_, endpoint, factory) in zip(
                    names, self._served, strict=True
                )
            ]
        self.ports: list[Any] = []
        self._opened = False
        self._waiting: list[Deferred[Any]] = []
        self._failure: ListenError | None = None
        self._told: list[Deferred[list[Any]]] = []

    def _parse(self, pair: Any) -> tuple[str, IStreamServerEndpoint, Any]:
        endpoint, factory = pair
        if not isinstance(endpoint, str):
            return repr(endpoint), endpoint, factory
        try:
            return endpoint, serverFromString(self._reactor, endpoint), factory
        except Exception as error:
            raise ValueError(f"{endpoint}: {explain(error)}") from error

    # -- the start ------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """
        Listen on all endpoints.

        @raise ListenError: if an endpoint fails at once; then the service listens on
            none.
        """
        super().privilegedStartService()
        if self._opened:
            return
        self._opened = True
        self._failure = None
        for name, endpoint, factory in self._served:
            self._open(name, endpoint, factory)
        self._tellListening()

    def startService(self) -> None:
        """
        Listen on all endpoints, unless L{privilegedStartService} has done it.
        """
        super().startService()
        if not self._opened:
            self.privilegedStartService()

    def whenListening(self) -> Deferred[list[Any]]:
        """
        Wait until the service listens on all of its endpoints.  Twisted's endpoints
        listen as soon as the service has started; others may take longer.

        @return: fires with the ports (L{IListeningPort
            <twisted.internet.interfaces.IListeningPort>}), or fails with
            L{ListenError}.
        """
        if self._failure is not None:
            return fail(self._failure)
        if self._opened and not self._waiting:
            return succeed(list(self.ports))
        waiting: Deferred[list[Any]] = Deferred()
        self._told.append(waiting)
        return waiting

    def _open(self, name: str, endpoint: IStreamServerEndpoint, factory: Any) -> None:
        failedNow: list[Failure] = []
        starting = True

        def opened(port: Any) -> None:
            self._waiting.remove(waiting)
            self.ports.append(port)
            self.opened(name, port)
            if not starting:
                self._tellListening()

        def failed(failure: Failure) -> None:
            self._waiting.remove(waiting)
            if failure.check(CancelledError):
                return
            if starting:
                failedNow.append(failure)
            else:
                self._failed(self.failedToOpen(name, failure))
                self.failedLater()

        waiting: Deferred[Any] = maybeDeferred(endpoint.listen, factory)
        self._waiting.append(waiting)
        waiting.addCallbacks(opened, failed)
        starting = False
        if failedNow:
            error = self.failedToOpen(name, failedNow[0])
            self.closeNow()
            self._failed(error)
            raise error

    def _tellListening(self) -> None:
        if not self._waiting and self._failure is None:
            told, self._told = self._told, []
            for waiting in told:
                waiting.callback(list(self.ports))

    def _failed(self, error: Exception) -> None:
        known = error if isinstance(error, ListenError) else ListenError(str(error))
        self._failure = known
        told, self._told = self._told, []
        for waiting in told:
            waiting.errback(known)

    def closeNow(self) -> None:
        """
        Close all ports, so that no path of a UNIX socket is left behind.

        A port closes in a later turn of the reactor.  If the reactor does not run,
        because the process ends during the start, it is run for a few turns.
        """
        ended: list[object] = []
        # A Deferred that has been called may wait for another one.
        self.stopService().addBoth(ended.append)
        turns = 0
        while not (self._reactor.running or ended or turns == 10):
            # The delay has no default in the asyncio reactor.
            self._reactor.iterate(0)
            turns += 1

    # -- the end --------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """
        Close the ports, then drain the sites.

        @return: fires when all connections are gone.
        """
        super().stopService()
        waiting, self._waiting = self._waiting, []
        ports, self.ports = self.ports, []
        self._opened = False
        for pending in waiting:
            self._waiting.append(pending)
            pending.cancel()
        closing = []
        for port in ports:
            # The endpoint stdio: gives an object that is not a port.
            close = getattr(port, "stopListening", None)
            if close is not None:
                closed = maybeDeferred(close)
                closing.append(closed.addErrback(partial(log_failure, "A port's end")))

        def drain(_: object) -> Deferred[None]:
            return self.drainSites()

        done: Deferred[Any] = DeferredList(closing)
        return done.addCallback(drain)

    # -- for subclasses -------------------------------------------------------------

    def opened(self, name: str, port: Any) -> None:
        """
        Called when the service listens on an endpoint; logs the address.

        @param name: the description of the endpoint.
        @param port: its port.
        """
        getHost = getattr(port, "getHost", None)
        self._log.info(
            "Listening on {endpoint}: {where}",
            endpoint=name,
            where=getHost() if getHost is not None else port,
        )

    def failedToOpen(self, name: str, failure: Failure) -> Exception:
        """
        Called when the service can not listen on an endpoint; logs the reason.

        @return: the exception for the start to raise.
        """
        assert failure.value is not None
        reason = explain(failure.value)
        self._log.error(
            "Can not listen on {endpoint}: {reason}", endpoint=name, reason=reason
        )
        return ListenError(f"can not listen on {name}: {reason}")

    def failedLater(self) -> None:
        """
        Called when an endpoint fails after the service has started; by default does
        nothing.
        """

    def drainSites(self) -> Deferred[None]:
        """
        Called when all ports are closed; drains the sites.

        @return: fires when the service has stopped.
        """
        sites = []
        for _, _, factory in self._served:
            site = factory
            while not callable(getattr(site, "drain", None)):
                site = getattr(site, "wrappedFactory", None)
                if site is None:
                    break
            if site is not None and site not in sites:
                sites.append(site)
        more = {"idle": self._drainIdle} if self._drainIdle else {}
        drained = [maybeDeferred(site.drain, self._grace, **more) for site in sites]
        done: Deferred[Any] = DeferredList(drained, consumeErrors=True)
        return done.addCallback(lambda _: None)
