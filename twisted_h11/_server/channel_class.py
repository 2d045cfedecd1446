"""
The class of a site's connections.

What all connections of a site have in common is an attribute of a class that is made
for that site, so that an idle connection need not keep it.  Sites that want to know
more of their requests than others, or that are behind a proxy, have classes that do
more; nobody else pays for it.
"""

from __future__ import annotations

from typing import Any

from twisted_h11._server.channel import Channel
from twisted_h11._server.identified import IdentifiedChannel
from twisted_h11._server.measured import MeasuredChannel, TimedChannel
from twisted_h11._server.proxied import ProxiedChannel

__all__ = ["ChannelClass"]

# Not to be bound to a channel when they are found on its class.
_CALLABLES = ("cooperate", "callLater", "requestFactory")


class ChannelClass:
    """
    Makes the class of a site's connections, and another one when what they have in
    common has changed.
    """

    def __init__(self) -> None:
        self._made: Any = None
        self._madeOf: Any = None

    def having(
        self, common: dict[str, Any], timed: bool, identified: bool, measured: bool
    ) -> Any:
        """
        The class.

        @param common: what its attributes are.
        @param timed: whether it is a L{TimedChannel}.
        @param identified: whether it is an L{IdentifiedChannel}.
        @param measured: whether it is a L{MeasuredChannel}.
        """
        bases: tuple[type, ...] = (
            # First: what it refuses has a time and an identifier, too.
            *([ProxiedChannel] if common["proxied"] is not None else ()),
            *([IdentifiedChannel] if identified else ()),
            *([MeasuredChannel] if measured else [TimedChannel] if timed else ()),
        ) or (Channel,)
        if self._madeOf != (common, bases):
            self._madeOf = common, bases
            made = {k: v for k, v in common.items() if k not in _CALLABLES}
            made.update((k, staticmethod(common[k])) for k in _CALLABLES)
            self._made = type("Channel", bases, made)
        return self._made
