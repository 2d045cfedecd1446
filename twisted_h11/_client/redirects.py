"""
Following redirects (RFC 9110 section 15.4).

The agents here follow what twisted.web's follow, with these differences:

 - A relative C{Location} is resolved against the URI of the response that has it.
   twisted.web resolves each of them against the first URI of all, so that the second
   redirect may lead to the wrong server.
 - Spaces and bytes above 127 in a C{Location}, which many servers send, are
   escaped by percent signs, as in browsers; in twisted.web they are errors.
 - The application's C{Host} is not sent to another origin.
 - A redirected request has no body, so the fields about the body are left out.
 - HEAD stays HEAD, and 308 (Permanent Redirect) changes no method (sections 15.4.4 and
   15.4.9); in twisted.web's C{BrowserLikeRedirectAgent} it makes POST a GET.
 - All requests of a chain have one C{totalTimeout} together; in twisted.web, each has
   it anew.
 - A redirect with a long body does not keep its connection until somebody reads it;
   nor does one whose body is not complete when the next redirect has come, or when
   following it has failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urljoin

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web import client
from twisted.web.error import InfiniteRedirection, PageRedirect, RedirectWithNoLocation

from twisted_h11._client import errors
from twisted_h11._client.agent_headers import Headers, as_headers
from twisted_h11._client.chain import Chain, take_chain
from twisted_h11._client.errors import MalformedResponse
from twisted_h11._client.request import pairs_of
from twisted_h11._client.response import Response
from twisted_h11._client.uri import split_uri
from twisted_h11._http.abnf import SCHEME

__all__ = ["BrowserLikeRedirectAgent", "RedirectAgent"]

# Fields that another origin does not get.
_PRIVATE = frozenset(
    (
        b"authorization",
        b"cookie",
        b"cookie2",
        b"host",
        b"proxy-authorization",
        b"www-authenticate",
    )
)

# Fields about the body of a request (RFC 9110 section 15.4).
_ABOUT_BODY = frozenset(
    (
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-location",
        b"content-type",
        b"expect",
        b"trailer",
        b"transfer-encoding",
    )
)

# The longest URI that is followed, as long as a response head may be by default.  The
# path of a relative location is added to that of the URI before it, and escaping makes
# it three times as long, so that twenty of them would be a request of megabytes.
LONGEST_URI = 64 * 1024

# Characters of a location that are not escaped.
_ASCII = bytes({*range(128)} - {0x20})

_match_authority = re.compile(rb"(?:" + SCHEME + rb":)?//[^/?#]*").match


class RedirectAgent(client.RedirectAgent):
    """
    Follows redirects of GET and HEAD, and 303 (See Other) of other methods by GET; see
    L{twisted.web.client.RedirectAgent}.

    @param agent: sends the requests.
    @param redirectLimit: how many redirects are followed.
    @param sensitiveHeaderNames: names of fields that another origin does not get,
        besides those of credentials.

    @since: 0.1
    """

    # The statuses after which GET and HEAD are repeated, and those that lead to GET.
    _repeating: frozenset[int] = frozenset((301, 302, 307, 308))
    _getting: frozenset[int] = frozenset((303,))

    def __init__(
        self,
        agent: Any,
        redirectLimit: int = 20,
        sensitiveHeaderNames: Iterable[bytes] = (),
    ) -> None:
        names = list(sensitiveHeaderNames)
        super().__init__(agent, redirectLimit, names)
        self._sender = agent
        self._most = redirectLimit
        self._private = _PRIVATE.union(name.lower() for name in names)

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        """
        Send a request, and follow its redirects.

        @param headers: as for L{Agent.request<twisted_h11.client.Agent.request>}.
        """
        headers = as_headers(headers)
        chain = take_chain() or Chain()
        with chain:
            sent: Deferred[Any] = self._sender.request(
                method, uri, headers, bodyProducer
            )
        bare = bodyProducer is None
        sent.addCallback(self._received, method, uri, headers, bare, chain, 0, None)
        return sent.addErrback(errors.adopt)

    def _received(
        self,
        response: Any,
        method: bytes,
        uri: bytes,
        headers: Any,
        bare: bool,
        chain: Chain,
        hops: int,
        before: Any,
    ) -> Any:
        """
        Pass the response on, or follow a redirect.

        @param uri: the URI of the request that C{response} is for.
        @param bare: whether that request had no body.
        @param chain: the requests so far, and the next ones.
        @param hops: how many redirects there were before.
        @param before: the last of these, or C{None}.
        """
        code = response.code
        if code not in self._repeating and code not in self._getting:
            return response
        # Otherwise each redirect of a chain could keep a connection.
        _drop(before)
        try:
            target = self._target(response, method, uri, hops)
            if code in self._getting and method not in (b"GET", b"HEAD"):
                method, bare = b"GET", False
            headers = self._headersFor(headers, bare, _is_same_origin(uri, target))
            _let_go(response)
            with chain:
                sent: Deferred[Any] = self._sender.request(method, target, headers)
        except client.ResponseFailed:
            # Whoever gets it can read the response.
            raise
        except BaseException:
            _drop(response)
            raise

        def link(following: Any) -> Any:
            following.setPreviousResponse(response)
            return following

        def failed(failure: Failure) -> Failure:
            _drop(response)
            return failure

        sent.addCallbacks(link, failed)
        return sent.addCallback(
            self._received, method, target, headers, True, chain, hops + 1, response
        )

    def _headersFor(self, headers: Any, bare: bool, isSameOrigin: bool) -> Any:
        """
        The fields that the next request gets.
        """
        dropped: frozenset[bytes] = frozenset()
        if not isSameOrigin:
            dropped |= self._private
        if not bare:
            dropped |= _ABOUT_BODY
        return headers if headers is None else _without(headers, dropped)

    def _target(self, response: Any, method: bytes, uri: bytes, hops: int) -> bytes:
        """
        Where a redirect leads to.

        @raise ResponseFailed: if it is not followed.
        """
        code = response.code
        error: Exception
        locations = response.headers.getRawHeaders(b"location", [])
        if code in self._repeating and method not in (b"GET", b"HEAD"):
            error = PageRedirect(code, location=uri)
        elif hops >= self._most:
            why = b"Infinite redirection detected"
            error = InfiniteRedirection(code, why, location=uri)
        elif not locations:
            error = RedirectWithNoLocation(code, b"No location header field", uri)
        else:
            location = _escaped(locations[0])
            target: bytes = urljoin(uri, location)
            if b"#" not in location:
                # RFC 9110 section 10.2.2: it inherits the fragment.
                target = b"".join((target.partition(b"#")[0], *uri.partition(b"#")[1:]))
            if len(target) <= LONGEST_URI:
                return target
            text = f"The redirect leads to a URI of more than {LONGEST_URI} bytes"
            error = MalformedResponse(text)
        raise client.ResponseFailed([Failure(error)], response)


class BrowserLikeRedirectAgent(RedirectAgent, client.BrowserLikeRedirectAgent):
    """
    Follows redirects as browsers do: after a 301 and a 302, too, methods other than GET
    and HEAD become GET; see L{twisted.web.client.BrowserLikeRedirectAgent}.

    @since: 0.1
    """

    _repeating = frozenset((307, 308))
    _getting = frozenset((301, 302, 303))


def _escaped(location: bytes) -> bytes:
    """
    A location, with spaces and bytes above 127 escaped, which no URI has; but not in
    the host.
    """
    match = _match_authority(location)
    start = 0 if match is None else match.end()
    return location[:start] + quote(location[start:], safe=_ASCII).encode("ascii")


def _without(headers: Any, names: frozenset[bytes]) -> Any:
    """
    Headers without some names, in lower case.
    """
    if not names:
        return headers
    return Headers.fromPairs(
        pair for pair in pairs_of(headers) if pair[0].lower() not in names
    )


def _is_same_origin(one: bytes, other: bytes) -> bool:
    """
    Whether two URIs have the same scheme, host and port (RFC 9110 section 4.3.1).
    """
    try:
        (scheme, host, port, _), its = (
            split_uri(one.strip(), None),
            split_uri(other, None),
        )
    except ValueError:
        # The agent will refuse it.
        return False
    return (scheme, host.lower(), port) == (its[0], its[1].lower(), its[2])


def _let_go(response: Any) -> None:
    """
    Nobody will read the body of a redirect, most likely: it must not keep its
    connection.
    """
    original = _original(response)
    if original is not None:
        original._letGo()


def _drop(response: Any) -> None:
    """
    Nobody can read the body of a redirect any more, or has to: drop its connection, if
    the body is not complete, and nobody reads it.
    """
    original = _original(response)
    if original is not None:
        original._dropUnread()


def _original(response: Any) -> Response | None:
    """
    Our response, without the decoders around it; C{None} if it is of another agent.
    """
    while isinstance(response, client.GzipDecoder):
        response = response.original
    return response if isinstance(response, Response) else None
