"""
Cookies: an agent that is not stopped by a cookie that Python's cookie jar can not keep,
nor by thousands of them.
"""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web import client
from twisted.web.http_headers import Headers as TwistedHeaders

from twisted_h11._client.passing_agent import PassingAgent, send_through

__all__ = ["CookieAgent"]

_FIELDS = (b"Set-Cookie", b"Set-Cookie2")

# How many fields of a response are read, as in curl.  A head may have thousands, and
# Python's jar, which has no bound, goes through all cookies of a host for each request.
MOST_COOKIES = 50


class CookieAgent(client.CookieAgent):
    """
    Stores and sends cookies; see L{twisted.web.client.CookieAgent}.

    A cookie that is not ASCII is not stored; twisted.web's agent fails the request.  Of
    the cookies of one response the first L{MOST_COOKIES} are stored.

    @param agent: sends the requests.
    @param cookieJar: keeps the cookies.

    @since: 0.1
    """

    def __init__(self, agent: Any, cookieJar: CookieJar) -> None:
        super().__init__(PassingAgent(agent, _Cookies), cookieJar)

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        """
        Send a request, with the cookies for its URI.

        @param headers: as for L{Agent.request<twisted_h11.client.Agent.request>}.
        """
        sent = send_through(
            super().request, self._agent, method, uri, headers, bodyProducer
        )
        return sent.addCallback(lambda shown: shown.response)


class _Cookies:
    """
    The cookies of a response that a cookie jar can keep.

    @ivar headers: the fields that have them.
    """

    def __init__(self, response: Any) -> None:
        self.response = response
        self.headers = TwistedHeaders()
        for name in _FIELDS:
            for value in response.headers.getRawHeaders(name, ())[:MOST_COOKIES]:
                if value.isascii():
                    self.headers.addRawHeader(name, value)
