"""
Resources behind a password: HTTP Basic (RFC 7617).

With a right password the resource is found and rendered directly, so that bodies stream
into it, and its files answer range requests.  L{twisted.web.guard} wraps the resource
instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.cred.error import LoginFailed
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.guard import BasicCredentialFactory
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from twisted_h11._boundary.checks import BYTES, STR, checked, instance, listed
from twisted_h11._resources.exempt import Exempt
from twisted_h11._resources.passwords import PasswordFile, TooManyComparisons
from twisted_h11._server.adapted import adapted
from twisted_h11._server.error_pages import replace_page
from twisted_h11._server.routing import find_resource
from twisted_h11.interfaces import IStreamingResource

__all__ = ["protect"]

# Retry-After, in seconds.
_LATER = b"1"


@checked(
    passwords=instance("a PasswordFile", PasswordFile), realm=STR, plain=listed(BYTES)
)
def protect(
    resource: Any,
    passwords: PasswordFile,
    realm: str = "Restricted",
    plain: Iterable[bytes] = (),
) -> IResource:
    """
    Protect a resource, and all below it, with a name and a password.  Use it with TLS:
    each request has the password in clear text.

    @param resource: the resource to protect.
    @param passwords: the names and passwords.
    @param realm: the name that browsers show; no quotes.
    @param plain: paths such as C{b"/.well-known/acme-challenge/"}; all below them needs
        no password.
    @return: the protected resource.
    @raise TypeError: for an argument of a wrong type.
    @raise ValueError: for a realm with quotes or control characters, and for a path
        that does not begin and end with a slash.

    @since: 0.1
    """
    if '"' in realm or "\\" in realm or not realm.isprintable():
        raise ValueError(f"a realm has no quotes or control characters: {realm!r}")
    return _Protected(resource, passwords, realm.encode(), Exempt(plain))


@implementer(IStreamingResource)
class _Protected:
    isLeaf = False
    # The body limit is that of the wrapped resource.
    keepsBodyLimit = True

    def __init__(
        self, resource: Any, passwords: PasswordFile, realm: bytes, plain: Exempt
    ) -> None:
        self._resource = resource
        self._passwords = passwords
        self._realm = realm
        self._plain = plain
        self._factory = BasicCredentialFactory(realm)

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
        a refusal.
        """
        return self._resource if self._plain.has(request) else self._for(request)

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

    def _for(self, request: Any) -> Any:
        """
        The resource for a request, depending on its credentials.
        """
        fields = request.requestHeaders.getRawHeaders(b"Authorization", ())
        scheme, _, said = fields[0].partition(b" ") if len(fields) == 1 else (b"",) * 3
        if scheme.lower() != self._factory.scheme:
            return _Refused(self._realm)
        try:
            credentials = self._factory.decode(said.strip(b" "), request)
        except LoginFailed:
            return _Refused(self._realm)
        asked = self._passwords.requestAvatarId(credentials)
        found: list[Any] = []
        asked.addCallbacks(
            lambda _: found.append(self._resource),
            lambda failure: found.append(_refusal(failure, self._realm)),
        )
        return found[0] if found else _Waiting(asked, found)


def _refusal(failure: Failure, realm: bytes) -> Any:
    """
    The resource for a request whose password is not accepted.
    """
    if failure.check(TooManyComparisons):
        return _Busy()
    if not failure.check(LoginFailed):
        Logger().failure("A password could not be compared", failure)
    return _Refused(realm)


class _Waiting(Resource):
    """
    Renders the resource when a password was compared.

    @param asked: fires when it was compared.
    @param found: a list that has the resource then.
    """

    isLeaf = True

    def __init__(self, asked: Deferred[None], found: list[Any]) -> None:
        super().__init__()
        self._asked = asked
        self._found = found

    def render(self, request: Any) -> Any:
        """
        See L{IResource.render}.
        """
        gone: list[Any] = []
        request.notifyFinish().addErrback(gone.append)

        def go(_: object) -> None:
            if not gone:
                request.render(adapted(find_resource(self._found[0], request)))

        self._asked.addCallback(go).addErrback(
            lambda failure: request.processingFailed(failure)
        )
        return NOT_DONE_YET


@implementer(IStreamingResource)
class _Refused(Resource):
    """
    The 401 response.  Responds without waiting for the request's body.
    """

    isLeaf = True

    def __init__(self, realm: bytes) -> None:
        super().__init__()
        self._realm = realm

    def render(self, request: Any) -> bytes:
        """
        Ask for a password.
        """
        request.setResponseCode(401)
        challenge = b'Basic realm="%b", charset="UTF-8"' % self._realm
        request.setHeader(b"WWW-Authenticate", challenge)
        page = b"<!DOCTYPE html><title>401</title><h1>Unauthorized</h1>\n"
        return replace_page(request, 401, page)


@implementer(IStreamingResource)
class _Busy(Resource):
    """
    The 503 response when too many passwords wait to be compared.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Respond with C{Retry-After}.
        """
        request.setResponseCode(503)
        request.setHeader(b"Retry-After", _LATER)
        page = b"<!DOCTYPE html><title>503</title><h1>Too many log-ins at a time</h1>\n"
        return replace_page(request, 503, page)
