"""
Adapters for some of Twisted's resources.

C{twisted.web.wsgi.WSGIResource} and C{twcgi.CGIScript} make variables of a request's
fields; fields that must not become variables are hidden from them (see
L{twisted_h11._server.environ}).

C{WSGIResource} and C{proxy.ReverseProxyResource} write without back-pressure.  Both
get their data through calls of their reactor; so a copy of the resource is rendered,
with a reactor that delays those calls until the client has taken what was written.

Twisted's error pages are replaced by the site's own page for that status
(L{twisted_h11._server.error_pages}).

C{static.File} does not check a C{Range} field; it is checked before
(L{twisted_h11._server.ranges}).

This applies where this package calls Twisted's own C{render}.  A resource that
overrides C{render}, or calls another resource's C{render}, is not adapted.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.web import twcgi, wsgi
from zope.interface import directlyProvides, providedBy

from twisted_h11._boundary.twisted_private import is_error_page, with_reactor
from twisted_h11._server.environ import foldable_headers
from twisted_h11._server.error_pages import render_error
from twisted_h11._server.ranges import MAY_HAVE_RANGES, render_ranged

__all__ = ["ADAPTERS", "Adapted", "adapt_request", "adapted", "is_proxy_request"]

Render = Callable[[Any, Any], Any]


class _Adapters(dict[type, "Render | None"]):
    """
    For each class of resources the function that renders it; C{None} for its own
    C{render}.
    """

    def __missing__(self, kind: type) -> Render | None:
        if len(self) > 10_000:
            # The application makes classes all the time: do not keep them all.
            self.clear()
        self[kind] = found = _find(kind)
        return found


ADAPTERS = _Adapters()


def _find(kind: type) -> Render | None:
    render = getattr(kind, "render", None)
    if getattr(kind, "needsNoAdapter", False):
        # A class of this package.
        return None
    if issubclass(kind, wsgi.WSGIResource):
        if render is wsgi.WSGIResource.render:
            return _render_wsgi
        return _render_variables
    if issubclass(kind, twcgi.CGIScript):
        return _render_variables
    if is_error_page(kind):
        return render_error
    if issubclass(kind, MAY_HAVE_RANGES):
        return render_ranged
    base = _proxy_class(kind, "ReverseProxyResource")
    if base is not None and render is base.__dict__.get("render"):
        return _render_proxy
    return None


def _proxy_class(kind: type, *names: str) -> type | None:
    """
    The class of L{twisted.web.proxy} that C{kind} inherits from, found by its name:
    importing the module installs a reactor.
    """
    for base in kind.__mro__:
        if base.__module__ == "twisted.web.proxy" and base.__name__ in names:
            return base
    return None


def adapted(resource: Any) -> Any:
    """
    Wrap a found resource, so that its C{render} applies its adapter.

    @param resource: any resource.
    @return: the resource itself, if it has no adapter.
    """
    adapter = ADAPTERS[type(resource)]
    return resource if adapter is None else Adapted(resource, adapter)


class Adapted:
    """
    A resource that is rendered by its adapter, for requests that do not look it up in
    L{ADAPTERS}.  To anything but C{type} it looks like the resource.
    """

    def __init__(self, resource: Any, render: Render) -> None:
        self._resource = resource
        self._render = render

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._resource)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._resource, name)

    def __repr__(self) -> str:
        return repr(self._resource)

    def render(self, request: Any) -> Any:
        """
        Render the resource.
        """
        return self._render(self._resource, request)


# -- fields as variables ------------------------------------------------------------


class _NoAddress:
    """
    The address of an end that has neither host nor port, as on a UNIX socket; see
    L{make_environ<twisted_h11._server.environ.make_environ>}.
    """

    host = ""

    def __init__(self, port: str) -> None:
        self.port = port


def _render_variables(resource: Any, request: Any) -> Any:
    """
    Render while the request has only the fields that may become variables, and
    addresses that have a host and a port.
    """
    site = getattr(request, "site", None)
    headers = request.requestHeaders
    request.requestHeaders = foldable_headers(
        headers, getattr(site, "environUnderscores", False)
    )
    replaced = []
    if not hasattr(request.getHost(), "port"):
        server = _NoAddress("443" if request.isSecure() else "80")
        request.getHost = lambda: server
        replaced.append("getHost")
    if not hasattr(request.getClientAddress(), "host"):
        client = _NoAddress("")
        request.getClientAddress = lambda: client
        replaced.append("getClientAddress")
    try:
        return resource.render(request)
    finally:
        request.requestHeaders = headers
        for name in replaced:
            delattr(request, name)


# -- back-pressure ----------------------------------------------------------------


def _drained(request: Any) -> Callable[[], Deferred[None]] | None:
    """
    The C{drained} method for a request, or C{None} if its channel has none.
    """
    for thing in (request, getattr(request, "channel", None)):
        drained: Callable[[], Deferred[None]] | None = getattr(thing, "drained", None)
        if drained is not None:
            return drained
    return None


class _Reactor:
    """
    A reactor of which a subclass replaces one method.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


class _PacedCalls(_Reactor):
    """
    A reactor that delays the calls from one thread until the client takes more.  The
    thread waits until its call was made.
    """

    def __init__(self, reactor: Any, drained: Callable[[], Deferred[None]]) -> None:
        super().__init__(reactor)
        self._drained = drained

    def callFromThread(self, call: Any, *args: Any, **kwargs: Any) -> None:
        """
        See L{IReactorFromThreads.callFromThread}.
        """
        self._reactor.callFromThread(self._whenDrained, lambda: call(*args, **kwargs))

    def _whenDrained(self, call: Callable[[], object]) -> None:
        # Also when the client has gone: the call notices that by itself.
        self._drained().addBoth(lambda _: call())


def _render_wsgi(resource: Any, request: Any) -> Any:
    """
    Render a WSGIResource whose threads wait for the client.
    """
    drained = _drained(request)
    if drained is not None:
        resource = with_reactor(resource, lambda found: _PacedCalls(found, drained))
    return _render_variables(resource, request)


class _PacedConnections(_Reactor):
    """
    A reactor that pauses reading from its connections while the client takes nothing.
    """

    def __init__(self, reactor: Any, drained: Callable[[], Deferred[None]]) -> None:
        super().__init__(reactor)
        self._drained = drained

    def connectTCP(self, host: str, port: int, factory: Any, *args: Any) -> Any:
        """
        See L{IReactorTCP.connectTCP}.
        """
        paced = _PacedFactory(factory, self._drained)
        return self._reactor.connectTCP(host, port, paced, *args)


class _PacedFactory:
    """
    A factory whose protocols are paced.

    Twisted's connectors refer to their transports, and those to them, and both stay
    until the garbage collector comes.  So when a connection is over, this lets go of
    the factory, and with it of the request.  If others keep the factory to connect
    again, it is found again.
    """

    def __init__(self, factory: Any, drained: Callable[[], Deferred[None]]) -> None:
        self._factory = factory
        self._drained = WeakKeyDictionary({factory: drained})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)

    def _found(self) -> Any:
        if self._factory is None:
            self._factory = next(iter(self._drained), None)
        return self._factory

    def letGo(self) -> None:
        """
        The connection is over.
        """
        self._factory = None

    def doStop(self) -> None:
        """
        See L{IProtocolFactory.doStop}.
        """
        factory = self._found()
        self.letGo()
        factory.doStop()

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        """
        See L{IClientFactory.clientConnectionFailed}.
        """
        try:
            self._found().clientConnectionFailed(connector, reason)
        except Exception:
            # Then the factory is not stopped.
            self.letGo()
            raise

    def buildProtocol(self, address: Any) -> Any:
        """
        See L{IProtocolFactory.buildProtocol}.
        """
        factory = self._found()
        protocol = factory.buildProtocol(address)
        if protocol is None:
            return None
        return _PacedProtocol(protocol, self._drained[factory], self)


class _PacedProtocol:
    """
    A protocol whose transport is paused while the client takes nothing.
    """

    def __init__(
        self,
        protocol: Any,
        drained: Callable[[], Deferred[None]],
        factory: _PacedFactory,
    ) -> None:
        self._protocol = protocol
        self._drained = drained
        self._factory = factory
        directlyProvides(self, providedBy(protocol))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    def connectionLost(self, reason: Any) -> None:
        """
        See L{IProtocol.connectionLost}.
        """
        try:
            self._protocol.connectionLost(reason)
        except Exception:
            # Twisted's proxy finishes its request, whatever has become of it.  Then the
            # factory is not told.
            self._factory.letGo()
            raise

    def dataReceived(self, data: bytes) -> None:
        """
        See L{IProtocol.dataReceived}.
        """
        self._protocol.dataReceived(data)
        transport: Any = self._protocol.transport
        if transport is None or getattr(transport, "disconnecting", True):
            return
        waiting = self._drained()
        if waiting.called:
            waiting.addErrback(lambda _: None)
        else:
            transport.pauseProducing()
            # Also when the client has gone: read the end of the connection.
            waiting.addBoth(lambda _: transport.resumeProducing())


def _render_proxy(resource: Any, request: Any) -> Any:
    """
    Render a ReverseProxyResource that reads from its server as fast as the client
    takes the response.
    """
    drained = _drained(request)
    if drained is not None:
        resource = copy(resource)
        resource.reactor = _PacedConnections(resource.reactor, drained)
    return resource.render(request)


def is_proxy_request(kind: type) -> bool:
    """
    Whether L{adapt_request} applies to requests of a class.
    """
    return _proxy_class(kind, "ProxyRequest", "ReverseProxyRequest") is not None


def adapt_request(request: Any) -> None:
    """
    Have a L{twisted.web.proxy.ProxyRequest}, or a C{ReverseProxyRequest}, wait for
    its client, as L{ADAPTERS} do for resources.
    """
    request.reactor = _PacedConnections(request.reactor, request.channel.drained)
