"""
A readable report of a site's connections and running requests.

All text of a request is untrusted: it is escaped and shortened.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address

from twisted_h11._boundary.guarded import guarded
from twisted_h11._server.access_log import escape
from twisted_h11._server.states import Phase

__all__ = ["describe_connections"]

# How many characters of a request target are shown.
_MOST_TARGET = 100


def describe_connections(site: Any, most: int = 20) -> str:
    """
    Describe the connections of a site, by what they are doing, and the requests that
    wait for their responses, oldest first, with the time since their heads arrived.
    That time is known if C{site.timesRequests} is true.  Requests of HTTP/2 are not
    listed.

    @param site: a L{Site<twisted_h11.server.Site>}.
    @param most: how many requests are listed; of the others only the number is given.
    @return: some lines of text, without a line end after the last.

    @since: 0.1
    """
    connections = site._connections.open
    counts = Counter(connection.phase() for connection in connections)
    told = ", ".join(
        f"{counts[phase]} {phase.value}" for phase in Phase if phase in counts
    )
    flying = [
        connection
        for connection in connections
        if connection.phase() in (Phase.BODY, Phase.RESPONSE)
    ]
    now = site.reactor.seconds()
    ages = {
        channel: now - getattr(channel.cycle.head, "began", now) for channel in flying
    }
    flying.sort(key=lambda channel: -ages[channel])
    lines = [
        f"{len(connections)} connections" + (f": {told}" if told else ""),
        f"{len(flying)} requests in flight" + (", oldest first:" if flying else ""),
    ]
    lines.extend(_describe(channel, ages[channel]) for channel in flying[:most])
    if len(flying) > most:
        lines.append(f"  and {len(flying) - most} more")
    return "\n".join(lines)


def _describe(channel: Any, age: float) -> str:
    head = channel.cycle.head
    target = escape(head.target)
    if len(target) > _MOST_TARGET:
        target = target[:_MOST_TARGET] + "..."
    since = f"{age:.1f} s" if hasattr(head, "began") else "-"
    peer: list[str] = []
    guarded("getPeer", lambda: peer.append(_address(channel.getPeer())))
    client = peer[0] if peer else "-"
    return (
        f"  {since}, {client}, {channel.phase().value}: {escape(head.method)} {target}"
    )


def _address(address: Any) -> str:
    if isinstance(address, (IPv4Address, IPv6Address)):
        return escape(address.host)
    return type(address).__name__.removesuffix("Address").lower()
