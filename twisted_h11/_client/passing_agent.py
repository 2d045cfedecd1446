"""
An agent below one of twisted.web's wrappers, which is given responses in another form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.iweb import IAgent
from zope.interface import implementer

__all__ = ["PassingAgent"]


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
