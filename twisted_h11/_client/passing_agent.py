"""
What our agents put around twisted.web's wrappers: an agent below, which gives them
responses in another form, and the headers above.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.iweb import IAgent
from zope.interface import implementer

from twisted_h11._client.agent_headers import are_headers, as_headers

__all__ = ["PassingAgent", "send_through"]


@implementer(IAgent)
class PassingAgent:
    """
    An agent that passes its responses through a function.

    @param agent: sends the requests.
    @param change: called with each response; it returns the response to use, or raises.
    """

    def __init__(self, agent: Any, change: Callable[[Any], Any]) -> None:
        self._agent = agent
        self._change = change

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        """
        See L{IAgent}.
        """
        sent: Deferred[Any] = self._agent.request(method, uri, headers, bodyProducer)
        return sent.addCallback(self._change)


def send_through(
    wrapper: Callable[..., Deferred[Any]],
    below: Any,
    method: bytes,
    uri: bytes,
    headers: Any,
    bodyProducer: Any,
) -> Deferred[Any]:
    """
    Send a request through a wrapper of twisted.web, whose headers may be pairs.  What
    is not valid goes directly to the agent below, which reports it.

    @param wrapper: the C{request} of the wrapper.
    @param below: the L{PassingAgent} below the wrapper.
    """
    headers = as_headers(headers)
    send = wrapper if are_headers(headers) else below.request
    return send(method, uri, headers, bodyProducer)
