"""
Decoding the bodies of responses, with a bound on the codings of one response.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web import client

from twisted_h11._client import errors
from twisted_h11._client.agent_headers import are_headers, as_headers
from twisted_h11._client.errors import MalformedResponse
from twisted_h11._client.passing_agent import PassingAgent
from twisted_h11._http.lists import members

__all__ = ["MOST_CODINGS", "ContentDecoderAgent"]

# How many codings a response may have, as in curl and urllib3.  Each is a decoder that
# calls the next one, and Python bounds the depth of calls.
MOST_CODINGS = 5


class ContentDecoderAgent(client.ContentDecoderAgent):
    """
    Decodes the bodies of responses; see L{twisted.web.client.ContentDecoderAgent}.

    A response with more than L{MOST_CODINGS} codings fails with a C{ResponseFailed},
    and its connection is dropped.

    @param agent: sends the requests.
    @param decoders: pairs of the name of a coding, and of a function that takes a
        response and returns the decoded one, such as
        L{GzipDecoder<twisted_h11.client.GzipDecoder>}.

    @since: 0.1
    """

    def __init__(
        self, agent: Any, decoders: Sequence[tuple[bytes, Callable[[Any], Any]]]
    ) -> None:
        super().__init__(PassingAgent(agent, _check), decoders)

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        """
        Send a request that declares the codings.

        @param headers: as for L{Agent.request<twisted_h11.client.Agent.request>}.
        """
        headers = as_headers(headers)
        send = super().request if are_headers(headers) else self._agent.request
        sent: Deferred[Any] = send(method, uri, headers, bodyProducer)
        return sent


def _check(response: Any) -> Any:
    """
    Pass a response on, or drop its connection.

    @raise ResponseFailed: if it has too many codings.
    """
    codings = members(response.headers.getRawHeaders(b"content-encoding", ()))
    if len(codings) <= MOST_CODINGS:
        return response
    abort = getattr(response, "abort", None)
    if abort is not None:
        abort()
    text = f"The response has {len(codings)} content codings, more than {MOST_CODINGS}"
    raise errors.Failed([Failure(MalformedResponse(text))], response)
