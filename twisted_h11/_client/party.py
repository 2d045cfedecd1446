"""
What a connection and a request must have in common for the connection to be re-used.

A connection is re-used only for a request that would have made the same connection.
So the pool's keys contain, besides scheme, host and port, how the connection was made:
the policy that verifies the server and has the client certificate, the local address,
the reactor that resolves names (it may reject some), the proxy with its credentials,
or the endpoint factory; but no time-outs.

A L{Party} stands for such objects.  Equal objects have one L{Party} at a time, so that
keys are compared by identity, fast, and without the C{__eq__} of application classes.
A L{Party} refers to its objects, so that their C{id} is not used again; it is freed
with the last agent and the last connection that have it in their keys.

Twisted's agents ask a pool by scheme, host and port only, with an endpoint made for
the one request.  L{plain_key} finds the agent by that endpoint.  A connection whose
agent is not found is shared only by requests with the same endpoint.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any
from weakref import WeakValueDictionary

from twisted.internet import endpoints

from twisted_h11._boundary.twisted_private_client import asking_agent, ways_of

__all__ = ["SECURE", "Party", "is_for", "party", "place", "plain_key", "standard_party"]

# Types that are compared by value; all others are compared by identity.
_VALUES = frozenset((str, bytes, int, float, bool, type(None)))

# The schemes that mean TLS.
SECURE = frozenset((b"https", b"wss"))

# The modules whose endpoints have their destination in their attributes.
_KNOWN = frozenset((endpoints.__name__, "twisted_h11._client.tunnel"))

# How deeply endpoints may be wrapped in each other.
_DEPTH = 5


class Party:
    """
    Objects that decide which connections may be shared; see L{party}.
    """

    __slots__ = ("__weakref__", "_things")

    def __init__(self, things: tuple[object, ...]) -> None:
        self._things = things

    def __repr__(self) -> str:
        kinds = ", ".join(type(thing).__name__ for thing in self._things)
        return f"<{type(self).__name__} of {kinds} at {id(self):#x}>"


_parties: WeakValueDictionary[Hashable, Party] = WeakValueDictionary()


def party(*things: object) -> Party:
    """
    The L{Party} of C{things}: the same for the same objects, and for equal strings,
    numbers and tuples of them.
    """
    name = tuple(map(_name, things))
    found = _parties.get(name)
    if found is None:
        found = _parties[name] = Party(things)
    return found


def _name(thing: object) -> Hashable:
    kind = type(thing)
    if kind in _VALUES:
        return kind, thing
    if isinstance(thing, tuple) and kind is tuple:
        return tuple, tuple(map(_name, thing))
    return id(thing)


def place(endpoint: Any) -> tuple[Hashable, ...]:
    """
    The destination of an endpoint of Twisted's own classes, or of a tunnel: the
    strings and numbers among its attributes, and among those of the endpoints that it
    wraps, without time-outs.

    @return: empty for endpoints of other classes: their attributes may change.
    """
    return _place(endpoint, _DEPTH)


def _place(endpoint: Any, depth: int) -> tuple[Hashable, ...]:
    kind: Any = type(endpoint)
    if kind.__module__ not in _KNOWN or depth == 0:
        return ()
    parts: list[Hashable] = [kind]
    for name, value in vars(endpoint).items():
        if "timeout" in name.lower():
            continue
        if type(value) in _VALUES or type(value) is tuple:
            parts.append(_name(value))
        elif type(value).__module__ in _KNOWN:
            parts.append(_place(value, depth - 1))
    return tuple(parts)


def standard_party(secure: bool, reactor: Any, policy: Any, bindAddress: Any) -> Party:
    """
    The L{Party} of a connection over TCP.

    @param secure: whether the connection uses TLS, by C{policy}.
    """
    if secure:
        return party("TLS", reactor, bindAddress, policy)
    return party("TCP", reactor, bindAddress)


def is_for(key: Hashable, origin: Hashable) -> bool:
    """
    Whether C{key} belongs to C{origin}, for any agent.
    """
    if not isinstance(key, tuple) or not isinstance(origin, tuple):
        return False
    return key[: len(origin)] == origin


def plain_key(key: Any, endpoint: Any) -> Hashable:
    """
    The pool's key for the shorter key of one of Twisted's agents.

    @param key: the agent's key: scheme, host and port.
    @param endpoint: the agent's endpoint for the request.
    """
    try:
        hash(key)
    except TypeError:
        # The key of Twisted's ProxyAgent contains the endpoint.
        key = party(*key) if isinstance(key, tuple) else party(key)
    whole = key if isinstance(key, tuple) else (key,)
    agent = asking_agent(endpoint)
    ways = None if agent is None else ways_of(agent)
    if ways is None:
        # Only the same endpoint certainly connects to the same place.
        return (*whole, party(endpoint))
    if len(ways) == 1:
        return (*whole, *place(endpoint), party(*ways))
    secure = type(endpoint) is not endpoints.HostnameEndpoint
    return (*whole, standard_party(secure, *ways))
