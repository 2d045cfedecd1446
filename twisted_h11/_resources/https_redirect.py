"""
From C{http:} to C{https:}.
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
from twisted_h11.interfaces import IStreamingResource

__all__ = ["HTTPSRedirect"]

_HTTPS = 443

# What may stand in a path or a query as it is (RFC 3986 section 3.3 and 3.4), and the
# sign of what is encoded already.
_SAFE = "/?%:@!$&'()*+,;=-._~[]"


@implementer(IStreamingResource)
class HTTPSRedirect:
    """
    A resource for those who use TLS; others are sent to the same address with
    C{https:}: by 301 for GET and HEAD, and by 308, which keeps the method and the body,
    for all other methods.

    The host is that of the request (C{Host}, or the authority of its target), which the
    server has found well-formed; a request without one, as HTTP/1.0 may be, is 400.
    Whether a client uses TLS says C{request.isSecure()}, which believes a proxy that is
    trusted.

    @since: 0.1
    """

    isLeaf = False
    # That of what is behind.
    keepsBodyLimit = True

    @checked(plain=listed(BYTES))
    def __init__(
        self,
        resource: IResource,
        port: int | Callable[[], int | None] = _HTTPS,
        plain: Iterable[bytes] = (),
    ) -> None:
        """
        @param resource: what is served with TLS.
        @param port: the port for the addresses, as clients have it; or what tells it
            when it is needed, C{None} for the usual one, 443.
        @param plain: paths such as C{b"/.well-known/acme-challenge/"}; what is below
            them is served without TLS, too.
        @raise TypeError: for an argument that is something else.
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
        # The resource that is behind gets the whole path.
        request.postpath.insert(0, request.prepath.pop())
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
        Render what has no path, such as CONNECT.
        """
        return self._resource.render(request)


@implementer(IStreamingResource)
class _Moved(Resource):
    """
    Answers before the body of a request is here.
    """

    isLeaf = True

    def __init__(self, port: int | Callable[[], int | None]) -> None:
        super().__init__()
        self._port = port

    def render(self, request: Any) -> bytes:
        """
        Say where to go.
        """
        hosts = request.requestHeaders.getRawHeaders(b"Host") or [b""]
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        if is_host(hosts[0]) is None:
            request.setResponseCode(400)
            return b"This is served with TLS only, and the request names no host.\n"
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
