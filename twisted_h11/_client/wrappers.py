"""
What twisted.web has around an agent, with failures that are L{RequestError}s.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web import client

from twisted_h11._client.errors import adopt

__all__ = ["BrowserLikeRedirectAgent", "RedirectAgent", "readBody"]


def readBody(response: Any) -> Deferred[bytes]:
    """
    All of a response's body; see L{twisted.web.client.readBody}.

    @param response: a L{Response<twisted_h11.client.Response>}, or another
        C{IResponse}.
    @return: a Deferred that fires with the body, or fails with a
        L{RequestError<twisted_h11.client.RequestError>}.

    @since: 0.1
    """
    return client.readBody(response).addErrback(adopt)


class RedirectAgent(client.RedirectAgent):
    """
    Follows redirects; see L{twisted.web.client.RedirectAgent}.

    @since: 0.1
    """

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        """
        Send a request, and more where the answer is a redirect.
        """
        response: Deferred[Any] = super().request(method, uri, headers, bodyProducer)
        return response.addErrback(adopt)


class BrowserLikeRedirectAgent(RedirectAgent, client.BrowserLikeRedirectAgent):
    """
    Follows redirects as browsers do; see
    L{twisted.web.client.BrowserLikeRedirectAgent}.

    @since: 0.1
    """
