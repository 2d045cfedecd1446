"""
Resources behind a password: HTTP Basic (RFC 7617).

For who has a password that is known to be right the resource is found and rendered as
if nothing stood before it, so that bodies may stream into it and ranges are those of
its files.  L{twisted.web.guard} wraps all that it lets in.
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

# Seconds after which it is worth trying again.
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
    A resource, and all below it, for those who have a name and a password.  Use it
    with TLS: the password goes with each request as it is.

    @param resource: what is protected.
    @param passwords: who may see it.
    @param realm: what the browser shows; no quotes.
    @param plain: paths such as C{b"/.well-known/acme-challenge/"}; what is below them
        is for everybody.
    @return: a resource.
    @raise TypeError: for an argument that is something else.
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
    # That of what is behind.
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
        # The resource that is behind gets the whole path.
        request.postpath.insert(0, request.prepath.pop())
        return self._resource if self._plain.has(request) else self._for(request)

    def putChild(self, path: bytes, child: IResource) -> None:
        """
        See L{IResource}.
        """
        self._resource.putChild(path, child)

    def render(self, request: Any) -> Any:
        """
        Render what has no path, such as CONNECT.
        """
        return adapted(self._for(request)).render(request)

    def _for(self, request: Any) -> Any:
        """
        What a client gets that has sent these credentials.
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
    What tells a client that it is not let in.
    """
    if failure.check(TooManyComparisons):
        return _Busy()
    if not failure.check(LoginFailed):
        Logger().failure("A password could not be compared", failure)
    return _Refused(realm)


class _Waiting(Resource):
    """
    Stands where the resource will be when a password was compared.

    @param asked: fires when that is so.
    @param found: has the resource then.
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
    Answers before the body of a request is here.
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
    Says that it is not the password.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Ask to come again.
        """
        request.setResponseCode(503)
        request.setHeader(b"Retry-After", _LATER)
        page = b"<!DOCTYPE html><title>503</title><h1>Too many come at a time</h1>\n"
        return replace_page(request, 503, page)
