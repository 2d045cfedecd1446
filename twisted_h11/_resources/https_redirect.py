"""
The redirect from C{http:} to C{https:}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote_from_bytes

from twisted.web.resource import IResource, Resource
from zope.interface import implementer

from twisted_h11._boundary.checks import BYTES, checked, listed, wrong
from twisted_h11._http.abnf import is_host
from twisted_h11._resources.exempt import Exempt
from twisted_h11._server.adapted import adapted
from twisted_h11.interfaces import IStreamingResource

__all__ = ["HTTPSRedirect"]

_HTTPS = 443

# The characters of a path or a query that are not encoded (RFC 3986 sections 3.3 and
# 3.4), and the percent sign of those that are.
_SAFE = "/?%:@!$&'()*+,;=-._~[]"


@implementer(IStreamingResource)
class HTTPSRedirect:
    """
    A resource that is served over TLS only.  Other requests are redirected to the same
    URL with C{https:}: by 301 for GET and HEAD, and by 308, which keeps the method and
    the body, for other methods.

    The host is that of the request (C{Host}, or the authority of its target), which the
    server has checked; a request without one, possible in HTTP/1.0, gets a 400.
    C{request.isSecure()} tells whether a client uses TLS, and heeds trusted proxies.

    @since: 0.1
    """

    isLeaf = False
    # The body limit is that of the wrapped resource.
    keepsBodyLimit = True

    @checked(plain=listed(BYTES))
    def __init__(
        self,
        resource: IResource,
        port: int | Callable[[], int | None] = _HTTPS,
        plain: Iterable[bytes] = (),
    ) -> None:
        """
        @param resource: the resource to serve over TLS.
        @param port: the port of the new URLs, as clients see it; or a function that
            is called for each request and returns it, or C{None} for 443.
        @param plain: paths such as C{b"/.well-known/acme-challenge/"}; all below
            them is served without TLS, too.
        @raise TypeError: for an argument of a wrong type.
        @raise ValueError: for a path that does not begin and end with a slash.
        """
        if isinstance(resource, type) or not hasattr(resource, "getChildWithDefault"):
            raise wrong("resource", "a resource (an instance, not a class)", resource)
        self._plain = Exempt(plain)
        if not callable(port) and not (isinstance(port, int) and 0 < port < 65536):
            raise wrong("port", "a port number, or callable", port)
        self._resource: Any = resource
        self._port = port

    def getChildWithDefault(self, name: bytes, request: Any) -> Any:
        """
        See L{IResource}.
        """
        # The wrapped resource gets the whole path.
        request.postpath.insert(0, request.prepath.pop())
        return self.resourceBehind(request)

    def resourceBehind(self, request: Any) -> Any:
        """
        The resource that answers a request routed here: the wrapped resource, or
        the redirect.
        """
        if request.isSecure() or self._plain.has(request):
            return self._resource
        return _Moved(self._port)

    def putChild(self, path: bytes, child: IResource) -> None:
        """
        See L{IResource}.
        """
        self._resource.putChild(path, child)

    def render(self, request: Any) -> Any:
        """
        Render a request with no path below this resource: for the path where this
        resource was put, or CONNECT.
        """
        return adapted(self.resourceBehind(request)).render(request)


@implementer(IStreamingResource)
class _Moved(Resource):
    """
    The redirect.  Responds without waiting for the request's body.
    """

    isLeaf = True

    def __init__(self, port: int | Callable[[], int | None]) -> None:
        super().__init__()
        self._port = port

    def render(self, request: Any) -> bytes:
        """
        Redirect the request to C{https:}.
        """
        hosts = request.requestHeaders.getRawHeaders(b"Host") or [b""]
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        if is_host(hosts[0]) is None or request.method == b"CONNECT":
            request.setResponseCode(400)
            return b"This is served with TLS only, and there is no URL of it.\n"
        location = self._location(hosts[0], request)
        request.setResponseCode(301 if request.method in (b"GET", b"HEAD") else 308)
        request.setHeader(b"Location", location)
        return b"This is served with TLS only: %b\n" % location

    def _location(self, host: bytes, request: Any) -> bytes:
        name, colon, port = host.rpartition(b":")
        if not colon or port.endswith(b"]"):
            name = host
        to = self._port() if callable(self._port) else self._port
        if to not in (None, _HTTPS):
            name += b":%d" % to
        _, mark, query = request.uri.partition(b"?")
        target = quote_from_bytes(request.path + mark + query, _SAFE)
        return b"https://" + name + target.encode("ascii")
