"""
The site: resources, sessions, limits and a log, for all connections of a server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.web.resource import EncodingResourceWrapper

from twisted_h11 import __version__
from twisted_h11._boundary.checks import (
    BOOL,
    BYTES,
    CALLABLE,
    INT,
    NUMBER,
    PAIRS,
    PATH,
    REACTOR,
    Kind,
    checked,
    instance,
    optional,
    wrong,
)
from twisted_h11._http.abnf import is_token, is_trimmed_value
from twisted_h11._server.adapted import ADAPTERS, Adapted
from twisted_h11._server.added_fields import max_age
from twisted_h11._server.channel import Channel
from twisted_h11._server.channel_class import ChannelClass
from twisted_h11._server.compression import Compression
from twisted_h11._server.connections import Connections
from twisted_h11._server.encoded import Encoded
from twisted_h11._server.error_pages import ErrorPages
from twisted_h11._server.http2 import Negotiator, check_http2
from twisted_h11._server.logged_site import LoggedSite
from twisted_h11._server.proxied import proxied_by
from twisted_h11._server.ranges import render_ranged, settle_range
from twisted_h11._server.request import Request
from twisted_h11._server.request_ids import make_request_ids
from twisted_h11._server.routing import check_root, find_resource
from twisted_h11._server.trusted import TrustedProxies
from twisted_h11._wire.outbox import Outbox
from twisted_h11.limits import Limits

__all__ = ["SERVER_HEADER", "Site"]

SERVER_HEADER = b"twisted-h11/" + __version__.encode("ascii")
"""
The default value of the C{Server} field.
"""

METRICS = Kind(
    "metrics (twisted_h11.metrics.Metrics)",
    lambda value: callable(getattr(value, "watch", None)),
)

# The default of the argument timeout.
_NOT_GIVEN: Any = -1.0


def _timed(limits: Limits, timeout: float | None) -> Limits:
    """
    Limits with the argument C{timeout} of a site.
    """
    first = limits.firstByteTimeout
    if timeout is None:
        first = None
    elif not 0 < timeout < inf:
        raise ValueError(f"timeout must be more than 0, and finite: {timeout!r}")
    elif first is not None:
        first = min(first, timeout)
    return replace(limits, idleTimeout=timeout, firstByteTimeout=first)


class Site(LoggedSite):
    """
    A web site: resources, sessions and a log, over HTTP/1.1.

    @ivar limits: the L{Limits} of its connections, with the argument C{timeout}.
    @ivar serverHeader: the value of the C{Server} field, or C{None}.
    @ivar extraHeaders: pairs of bytes that every response gets.
    @ivar transportSecurity: the value of C{Strict-Transport-Security}, or C{None}.
    @ivar isDraining: whether L{drain} was called.
    @ivar metrics: the L{Metrics<twisted_h11.metrics.Metrics>}, or C{None}.
    @ivar environUnderscores: whether fields with an underscore in their names become
        variables of WSGI and CGI programs.  There they can be mistaken for fields that
        only a proxy may set.
    @ivar trustedProxies: the L{TrustedProxies}, or C{None} if no proxy is trusted.

    @since: 0.1
    """

    requestFactory: Any = Request
    isDraining = False

    # Set by twisted_h11.testing, which has no reactor.
    _cooperate: Any = None

    _log = Logger()

    @checked(
        requestFactory=optional(CALLABLE),
        logPath=optional(PATH),
        timeout=optional(NUMBER),
        logFormatter=optional(CALLABLE),
        reactor=optional(REACTOR),
        parsePOSTFormSubmission=BOOL,
        limits=optional(instance("Limits", Limits)),
        http2=BOOL,
        fastPath=BOOL,
        serverHeader=optional(BYTES),
        accessLog=BOOL,
        environUnderscores=BOOL,
        hsts=optional(INT),
        logRotateSize=optional(NUMBER),
        logRotateCount=NUMBER,
        trustedProxies=optional(instance("TrustedProxies", TrustedProxies)),
        rootPath=BYTES,
        requestIds=BOOL,
        requestIdHeader=optional(BYTES),
        compression=optional(instance("Compression", Compression)),
        errorPages=optional(instance("ErrorPages", ErrorPages)),
        metrics=optional(METRICS),
    )
    def __init__(
        self,
        resource: Any,
        requestFactory: Any = None,
        logPath: Any = None,
        timeout: float | None = _NOT_GIVEN,
        logFormatter: Any = None,
        reactor: Any = None,
        *,
        parsePOSTFormSubmission: bool = True,
        limits: Limits | None = None,
        http2: bool = False,
        fastPath: bool = True,
        serverHeader: bytes | None = SERVER_HEADER,
        accessLog: bool = True,
        extraHeaders: Iterable[tuple[bytes, bytes]] = (),
        environUnderscores: bool = False,
        hsts: int | None = None,
        logRotateSize: int | None = None,
        logRotateCount: int = 5,
        trustedProxies: TrustedProxies | None = None,
        rootPath: bytes = b"",
        requestIds: bool = False,
        requestIdHeader: bytes | None = None,
        compression: Compression | None = None,
        errorPages: ErrorPages | None = None,
        metrics: Any = None,
    ) -> None:
        """
        All other arguments are those of L{twisted.web.server.Site}.  C{timeout}, in
        seconds, replaces C{Limits.idleTimeout} and also bounds the wait for the first
        byte; C{None} disables both.

        @param resource: the root resource.
        @param requestFactory: makes the request of a channel; L{Request}, or any
            subclass of L{twisted.web.http.Request}.
        @param limits: all bounds; by default those of L{Limits}.
        @param http2: whether HTTP/2 is offered on TLS connections.  It is
            experimental: Twisted handles the streams, and C{limits} are enforced
            around it, where possible.
        @param fastPath: whether common messages may be handled without h11.  The
            responses are the same.
        @param serverHeader: the value of the C{Server} field; C{None} for no such
            field.
        @param accessLog: whether there is an access log.
        @param extraHeaders: pairs of name and value for every response.
        @param environUnderscores: whether WSGI and CGI programs get fields with an
            underscore in their names.
        @param hsts: for how many seconds browsers must use TLS only, sent in responses
            over TLS (C{Strict-Transport-Security}, RFC 6797); 0 revokes it.
        @param logRotateSize: how many bytes the file C{logPath} may have before it is
            renamed, see L{LogFile}; C{None} to never rename it.
        @param logRotateCount: how many renamed files are kept.
        @param trustedProxies: the proxies whose fields give the client's address,
            scheme and host; by default none.
        @param rootPath: the path that a proxy removes from the path of each request,
            such as C{b"/app"}.  It is put before the path again, and the root
            resource is placed below it.
        @param requestIds: whether requests have identifiers: C{request.requestId},
            C{request_id} in the access log, and L{current_request_id}.
        @param requestIdHeader: the field in which trusted proxies send identifiers,
            such as C{b"X-Request-ID"}.  A value that is not a token (RFC 9110 section
            5.6.2), or too long, is replaced; by default all are made here.
        @param compression: which responses are compressed; by default none.
        @param errorPages: pages that replace the default error pages of this package
            and Twisted's.
        @param metrics: a L{Metrics<twisted_h11.metrics.Metrics>} of this site only.
        @raise TypeError: for an argument of a wrong type.
        @raise ValueError: if HTTP/2 is not available, C{timeout} is negative or
            infinite, a field can not be sent, the root path is not a path, or
            C{requestIdHeader} is given without C{trustedProxies}.
        """
        if type(self).getResourceFor is Site.getResourceFor:
            check_root(resource)
        self.limits = limits if limits is not None else Limits()
        if timeout is not _NOT_GIVEN:
            self.limits = _timed(self.limits, timeout)
        timeout = self.limits.idleTimeout
        self.trustedProxies = trustedProxies
        self.proxied = proxied_by(trustedProxies, rootPath)
        if self.proxied is not None:
            resource = self.proxied.mount(resource)
        # An argument of Twisted since 25.5.
        more = {} if parsePOSTFormSubmission else {"parsePOSTFormSubmission": False}
        super().__init__(
            resource, requestFactory, logPath, timeout, logFormatter, reactor, **more
        )
        if http2:
            check_http2()
        self._http2 = http2
        self.fastPath = fastPath
        self.serverHeader = serverHeader
        if isinstance(extraHeaders, Iterator):
            extraHeaders = list(extraHeaders)
        if not PAIRS.test(extraHeaders):
            raise wrong("extraHeaders", PAIRS.name, extraHeaders)
        self.extraHeaders = list(extraHeaders)
        self.environUnderscores = environUnderscores
        self.transportSecurity = max_age(hsts)
        self.compression = compression
        self.errorPages = errorPages
        for name, value in [(b"Server", serverHeader or b""), *self.extraHeaders]:
            if not is_token(name) or not is_trimmed_value(value):
                raise ValueError(f"this is not a header field: {name!r}: {value!r}")
        self._beginLog(accessLog, logFormatter, (logRotateSize, logRotateCount))
        self.metrics = metrics
        if metrics is not None:
            self.timesRequests = True
            metrics.watch(self._look)
        self._outbox = Outbox()
        self._connections = Connections()
        self._channels = ChannelClass()
        self.requestIds = make_request_ids(
            requestIds, requestIdHeader, trustedProxies, self.limits.maxRequestIdLength
        )

    def getResourceFor(self, request: Any) -> Any:
        """
        See L{twisted.web.server.Site.getResourceFor}.
        """
        request.site = self
        request.sitepath = list(request.prepath)
        found = find_resource(self.resource, request)
        # The first test is faster.
        if type(request) is Request or isinstance(request, Request):
            # Request.render applies the adapter.
            return found
        adapter = ADAPTERS[type(found)]
        if adapter is render_ranged:
            if isinstance(found, EncodingResourceWrapper):
                return Encoded(found)
            settle_range(request, found)
            return found
        return found if adapter is None else Adapted(found, adapter)

    def findsByPath(self) -> bool:
        """
        Whether L{getResourceFor} is not overridden: then a resource may be found before
        the body of its request has arrived.
        """
        return getattr(self.getResourceFor, "__func__", None) is Site.getResourceFor

    # -- connections ----------------------------------------------------------

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Make the protocol of one connection.
        """
        if self._http2:
            return Negotiator(
                self,
                self._connections,
                self._buildChannel,
                partial(super().buildProtocol, addr),
            )
        return self._buildChannel()

    def _buildChannel(self) -> Channel:
        common = {
            "connections": self._connections,
            "factory": self,
            "site": self,
            "requestFactory": self.requestFactory,
            "limits": self.limits,
            "timeOut": self.timeOut,
            "callLater": self.reactor.callLater,
            "seconds": self.reactor.seconds,
            "fastPath": self.fastPath,
            "outbox": self._outbox,
            "cooperate": self._cooperate,
            "proxied": self.proxied,
        }
        channel: Channel = self._channels.having(
            common,
            self.timesRequests,
            self.requestIds is not None,
            self.metrics is not None,
        )()
        return channel

    @property
    def connectionCount(self) -> int:
        """
        How many connections are open, including those that were given away.
        """
        return len(self._connections)

    def acceptableProtocols(self) -> list[bytes]:
        """
        See L{twisted.internet.interfaces.IProtocolNegotiationFactory}.
        """
        return [b"h2", b"http/1.1"] if self._http2 else [b"http/1.1"]

    # -- the end ----------------------------------------------------------------

    @checked(timeout=optional(NUMBER), idle=NUMBER)
    def drain(self, timeout: float | None = None, idle: float = 0.0) -> Deferred[None]:
        """
        End all connections: idle ones at once or soon, busy ones after their current
        response, and those that were given away when their protocols end them
        (L{IDrainable<twisted_h11.interfaces.IDrainable>}).

        New connections are not refused: stop listening first.

        @param timeout: seconds after which the rest is aborted; C{None} to
            wait for ever.
        @param idle: how many seconds idle connections stay open, so that a request that
            is on its way gets its response, with C{Connection: close}.  nginx has
            C{keepalive_min_timeout} for that.
        @return: a Deferred that fires with C{None} when no connection is left.
        """
        self.isDraining = True
        return self._connections.drain(timeout, self.reactor, idle)

    def startFactory(self) -> None:
        """
        See L{twisted.web.http.HTTPFactory.startFactory}.
        """
        super().startFactory()
        self.isDraining = False
        self._connections.start(self.limits)
        made = self.protocol
        if getattr(made, "__func__", made) is not LoggedSite.protocol:
            self._log.warn(
                "The protocol of the site, {protocol}, is not used; set "
                "requestFactory, or override buildProtocol",
                protocol=made,
            )
        if self._http2:
            self._log.info(
                "HTTP/2 is offered, which is experimental: Twisted handles the "
                "streams, and the limits are enforced around it"
            )

    def stopFactory(self) -> None:
        """
        Close the log when the last connection has ended.
        """
        self._connections.whenEmpty(self._closeLog)

    def _look(self) -> tuple[list[str], int]:
        """
        For the metrics: the states of all connections, and how many lines of the log
        were dropped.
        """
        states = [one.phase().name.lower() for one in self._connections.open]
        return states, self.droppedLogLines
