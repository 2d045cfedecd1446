"""
Connections behind a proxy: requests as the client has sent them.

A site that trusts proxies, or has a root path, makes its connections of
L{ProxiedChannel}.  The channel has the values of the client before the request is made:
the address, whether the client uses TLS, and the head with the host and the path that
the client has sent.  So requests of foreign classes get the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IAddress
from twisted.web.resource import Resource

from twisted_h11._http.abnf import is_absolute_form, is_origin_form, is_target
from twisted_h11._http.fastpath import FastHead
from twisted_h11._http.forwarded import Malformed, read_host
from twisted_h11._http.strict_requests import Refused, RequestHead
from twisted_h11._server.channel import Channel
from twisted_h11._server.cycle import Cycle
from twisted_h11._server.routing import absolute_target
from twisted_h11._server.trusted import Origin, TrustedProxies, to_address

__all__ = ["Proxied", "ProxiedChannel", "check_root_path", "proxied_by"]


# -- the root path ------------------------------------------------------------------


def check_root_path(path: bytes) -> bytes:
    """
    Check a root path for L{Site}.

    @param path: the path, such as C{b"/app"}.
    @return: the path, without a slash at its end.
    @raise ValueError: if C{path} is not a path.

    @since: 0.1
    """
    path = path.rstrip(b"/") if path.strip(b"/") else b""
    segments = [unquote_to_bytes(segment) for segment in path.split(b"/")[1:]]
    if path and (
        path[:1] != b"/"
        or b"?" in path
        or not is_target(path)
        or not is_origin_form(path)
        or any(segment in (b"", b".", b"..") for segment in segments)
    ):
        raise ValueError(
            "a root path is a path as in a URL, such as /app, without empty segments, "
            f"dots, query and fragment, not {path.decode('latin-1')!r}"
        )
    return path


def _below(root: bytes, method: bytes, target: bytes) -> bytes:
    """
    The target that the client has sent: the proxy has removed the root path.
    """
    if target[:1] == b"/":
        return root + target
    absolute = is_absolute_form(target)
    if absolute is None or method == b"CONNECT":
        return target
    path, query = absolute[2] or b"/", absolute[3] or b""
    return target[: absolute.end(1)] + root + path + query


# Optional attributes of a head.
_NOTED = ("began", "requestId")

# -- requests -----------------------------------------------------------------------


class Proxied:
    """
    The proxies in front of a site.

    @param trusted: the trusted proxies, or C{None}.
    @param rootPath: the path that they remove from the path of each request.
    """

    def __init__(self, trusted: TrustedProxies | None, rootPath: bytes) -> None:
        self.trusted = trusted
        self.rootPath = rootPath

    def mount(self, resource: Any) -> Any:
        """
        Put the root resource of a site, if there is one, below the root path.
        """
        if resource is None:
            return None
        for segment in reversed(self.rootPath.split(b"/")[1:]):
            parent = Resource()
            parent.putChild(unquote_to_bytes(segment), resource)
            resource = parent
        return resource

    def origin(self, peer: IAddress, values: Any) -> Origin | None:
        """
        The origin of a request by the fields of a trusted proxy.

        @param peer: the address of the transport's peer.
        @param values: returns the values of a field, by its name.
        @return: C{None} if the peer is not trusted, or has sent none of the fields.
        @raise Refused: if a field is malformed.
        """
        trusted = self.trusted
        if trusted is None or not trusted.trusts(peer):
            return None
        return self._believe(trusted, values)

    def originOf(self, peer: IAddress, head: RequestHead) -> Origin | None:
        """
        The same as L{origin}, for a head.
        """
        trusted = self.trusted
        if trusted is None or not trusted.trusts(peer):
            return None
        if type(head) is FastHead and trusted.beginning not in head.lowered:
            return None
        return self._believe(trusted, values_of(head))

    def _believe(self, trusted: TrustedProxies, values: Any) -> Origin | None:
        try:
            return trusted.origin(values)
        except Malformed as error:
            raise Refused(400, str(error)) from None

    def head(self, head: RequestHead, origin: Origin | None) -> RequestHead:
        """
        The head with the host and the path that the client has sent.
        """
        host = None if origin is None else origin.host
        if not self.rootPath and host is None:
            return head
        target = head.target
        if self.rootPath:
            target = _below(self.rootPath, head.method, target)
        return _changed(head, target, host)

    def watch(self, request: Any, stream: Any) -> Any:
        """
        Set the origin of an HTTP/2 request before it is processed.  Its fields are only
        complete when C{requestReceived} is called.

        @param request: the request.
        @param stream: its channel.
        @return: the request.
        """
        process = request.requestReceived

        def requestReceived(command: bytes, path: bytes, version: bytes) -> None:
            # Break the reference cycle.
            del request.requestReceived
            try:
                self._see(request, stream)
            except Refused as refused:
                _refuse(request, command, path, version, refused)
                return
            if self.rootPath:
                path = _below(self.rootPath, command, path)
            process(command, path, version)

        request.requestReceived = requestReceived
        return request

    def _see(self, request: Any, stream: Any) -> None:
        headers = request.requestHeaders

        def values(name: bytes) -> Sequence[bytes]:
            found: Sequence[bytes] = headers.getRawHeaders(name, [])
            return found

        origin = self.origin(stream.getPeer(), values)
        if origin is None:
            return
        secure = stream.isSecure() if origin.secure is None else origin.secure
        stream.isSecure = lambda: secure
        if origin.client is not None:
            request.client = origin.client
        if origin.host is not None:
            headers.setRawHeaders(b"Host", [origin.host])
        hosts = values(b"host")
        authority = hosts[0] if hosts else None
        request.host = public_host(authority, secure, request.host)


def proxied_by(trusted: TrustedProxies | None, rootPath: bytes) -> Proxied | None:
    """
    Make the L{Proxied} of a site.

    @return: C{None} without trusted proxies and a root path.
    @raise ValueError: if C{rootPath} is not a path.
    """
    rootPath = check_root_path(rootPath)
    if trusted is None and not rootPath:
        return None
    return Proxied(trusted, rootPath)


def _refuse(
    request: Any, command: bytes, path: bytes, version: bytes, refused: Refused
) -> None:
    """
    Send an error response to an HTTP/2 request that the application does not get.
    """
    request.method, request.uri, request.clientproto = command, path, version
    request.path = path.partition(b"?")[0]
    page = refused.reason.encode("utf-8") + b"\n"
    request.setResponseCode(refused.status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(page))
    request.write(b"" if command == b"HEAD" else page)
    request.finish()


def _changed(head: RequestHead, target: bytes, host: bytes | None) -> RequestHead:
    """
    A copy of a head with another target, and another host unless that is C{None}.
    """
    made: RequestHead
    if type(head) is FastHead:
        block, lowered = head.block, head.lowered
        if host is not None:
            # A fast head has exactly one Host.
            at = lowered.find(b"\nhost:") + 1
            block = b"%bHost: %b%b" % (block[:at], host, block[block.find(b"\r", at) :])
            lowered = block.lower()
        length, keepAlive = head.length or 0, head.keepAlive
        made = FastHead(
            head.method, target, block, lowered, length, keepAlive, head.end
        )
        made.logged = head.logged
    else:
        fields = head.fields
        if host is not None:
            fields = [(b"Host", host)]
            fields += [pair for pair in head.fields if pair[0].lower() != b"host"]
        made = RequestHead(
            head.method,
            target,
            head.version,
            fields,
            head.length,
            head.keepAlive,
            head.expectsContinue,
        )
    made.received = head
    for name in _NOTED:
        if hasattr(head, name):
            setattr(made, name, getattr(head, name))
    return made


def values_of(head: RequestHead) -> Any:
    """
    @return: a function that returns the values of a field in a head, by its name in
        lower case.
    """
    if isinstance(head, FastHead):
        return head.find

    def find(name: bytes) -> Sequence[bytes]:
        return [value for key, value in head.fields if key.lower() == name]

    return find


@lru_cache(maxsize=256)
def _address_of(authority: bytes, secure: bool) -> IAddress | None:
    try:
        name, port = read_host(authority)
    except Malformed:
        return None
    return to_address(name, port or (443 if secure else 80))


def public_host(authority: bytes | None, secure: bool, otherwise: IAddress) -> IAddress:
    """
    The address that a client has connected to, by the authority of its request.

    @param authority: the authority, or C{None}.
    @param secure: whether the client has used TLS.
    @param otherwise: the address to return without a valid authority.
    """
    # No name is longer (RFC 1035 section 2.3.4): do not cache such text.
    if not authority or len(authority) > 300:
        return otherwise
    return _address_of(authority, secure) or otherwise


# -- connections --------------------------------------------------------------------


class ProxiedChannel(Channel):
    """
    A connection of a site that is behind a proxy.

    @ivar proxied: the proxies of the site.
    @ivar hostIsForwarded: whether the host of the current request is from a proxy's
        field, which overrides its target.
    """

    proxied: Proxied
    hostIsForwarded = False

    _origin: Origin | None = None
    _public: IAddress | None = None

    def makeCycle(self, head: RequestHead, unseenHead: bytes | None) -> Cycle:
        """
        See L{Channel.makeCycle}.

        @raise Refused: if a field of a trusted proxy is malformed.
        """
        self._origin = self._public = None
        self.hostIsForwarded = False
        cycle = super().makeCycle(head, unseenHead)
        proxied = self.proxied
        origin = proxied.originOf(super().getPeer(), head)
        cycle.head = seen = proxied.head(head, origin)
        if origin is not None:
            self._origin = origin
            self.hostIsForwarded = origin.host is not None
            self._public = self._publicHost(seen)
        return cycle

    def _publicHost(self, head: RequestHead) -> IAddress:
        hosts = values_of(head)(b"host")
        if not self.hostIsForwarded and head.target[:1] != b"/":
            absolute = absolute_target(head.method, head.target)
            hosts = hosts if absolute is None else absolute[:1]
        authority = hosts[0] if hosts else None
        return public_host(authority, self.isSecure(), super().getHost())

    def connectedPeer(self) -> IAddress:
        """
        The address of the transport's peer, usually the proxy.
        """
        return super().getPeer()

    def getPeer(self) -> IAddress:
        """
        The address of the client of the current request; between requests, of the
        transport's peer.
        """
        origin = self._origin
        if origin is None or origin.client is None or self.cycle is None:
            return super().getPeer()
        return origin.client

    def getHost(self) -> IAddress:
        """
        The address that the client of the current request has connected to.
        """
        if self._public is None or self.cycle is None:
            return super().getHost()
        return self._public

    def isSecure(self) -> bool:
        """
        Whether the client of the current request has used TLS.
        """
        origin = self._origin
        if origin is None or origin.secure is None or self.cycle is None:
            return super().isSecure()
        return origin.secure
