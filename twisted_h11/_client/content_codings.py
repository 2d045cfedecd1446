"""
Decoding the bodies of responses, with a bound on the codings of one response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web import client

from twisted_h11._client import errors
from twisted_h11._client.errors import MalformedResponse
from twisted_h11._client.passing_agent import PassingAgent, send_through
from twisted_h11._http.lists import members
from twisted_h11._http.negotiation import SAME_CODINGS

__all__ = ["MOST_CODINGS", "ContentDecoderAgent"]

# How many codings a response may have, as in curl and urllib3.  Each is a decoder that
# calls the next one, and Python bounds the depth of calls.
MOST_CODINGS = 5

_FIELD = b"content-encoding"


class ContentDecoderAgent(client.ContentDecoderAgent):
    """
    Decodes the bodies of responses; see L{twisted.web.client.ContentDecoderAgent}.

    The names of codings are compared in any case, and C{x-gzip} is C{gzip}.  A response
    with more than L{MOST_CODINGS} codings fails with a C{ResponseFailed}, and its
    connection is dropped.

    @param agent: sends the requests.
    @param decoders: pairs of the name of a coding, and of a function that takes a
        response and returns the decoded one, such as
        L{GzipDecoder<twisted_h11.client.GzipDecoder>}.

    @since: 0.1
    """

    def __init__(
        self, agent: Any, decoders: Sequence[tuple[bytes, Callable[[Any], Any]]]
    ) -> None:
        names = {name.lower(): name for name, _ in decoders}
        super().__init__(PassingAgent(agent, partial(_prepare, names)), decoders)

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        """
        Send a request that declares the codings.

        @param headers: as for L{Agent.request<twisted_h11.client.Agent.request>}.
        """
        return send_through(
            super().request, self._agent, method, uri, headers, bodyProducer
        )


def _prepare(names: Mapping[bytes, bytes], response: Any) -> Any:
    """
    Name the codings of a response that can be decoded as their decoders, or drop its
    connection.

    @param names: those of the decoders, by the same in lower case.
    @raise ResponseFailed: if it has too many codings.
    """
    codings = members(response.headers.getRawHeaders(_FIELD, ()))
    if len(codings) > MOST_CODINGS:
        _refuse(response, len(codings))
    at = len(codings)
    while at:
        name = codings[at - 1].lower()
        known = names.get(name) or names.get(SAME_CODINGS.get(name, name))
        if known is None:
            break
        at -= 1
        codings[at] = known
    if at < len(codings):
        response.headers.setRawHeaders(_FIELD, [b", ".join(codings)])
    return response


def _refuse(response: Any, count: int) -> None:
    abort = getattr(response, "abort", None)
    if abort is not None:
        abort()
    text = f"The response has {count} content codings, more than {MOST_CODINGS}"
    raise errors.Failed([Failure(MalformedResponse(text))], response)
