"""
The class of a site's connections.

The values that all connections of a site share are attributes of a class made for that
site, to save memory in each idle connection.  Sites with metrics, timed requests,
request identifiers, trusted proxies or a root path have classes with additional bases;
other sites do not pay for these.
"""

from __future__ import annotations

from typing import Any

from twisted_h11._server.channel import Channel
from twisted_h11._server.identified import IdentifiedChannel
from twisted_h11._server.measured import MeasuredChannel, TimedChannel
from twisted_h11._server.proxied import ProxiedChannel

__all__ = ["ChannelClass"]

# Wrapped in staticmethod: on the class they would be bound to the channel.
_CALLABLES = ("cooperate", "callLater", "requestFactory", "seconds")


class ChannelClass:
    """
    Makes the class of a site's connections, and a new one when a shared value has
    changed.
    """

    def __init__(self) -> None:
        self._made: Any = None
        self._madeOf: Any = None

    def having(
        self, common: dict[str, Any], timed: bool, identified: bool, measured: bool
    ) -> Any:
        """
        The class for the given values, cached.

        @param common: its attributes.
        @param timed: whether it is a L{TimedChannel}.
        @param identified: whether it is an L{IdentifiedChannel}.
        @param measured: whether it is a L{MeasuredChannel}.
        """
        bases: tuple[type, ...] = (
            # First base: requests that it refuses need a time and an identifier, too.
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
