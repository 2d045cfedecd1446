"""
Who talks to whom: what a connection must have in common with a request.

A connection is good for a request only if the request would have made the same one.
So the pool's keys say, besides scheme, host and port, by whom the connection was made:
the policy that verifies the server and shows a client certificate, the local address,
the reactor that looks names up (it may refuse some), the proxy with its credentials,
or the endpoint factory; but not how long anybody waits.

A L{Party} stands for such things.  For equal things there is one L{Party} at a time,
so that keys are compared by identity, fast, whatever the classes of an application say
of equality.  It refers to the things, so that none can go and leave its address in
memory to another; it goes with the last agent and the last connection that have it in
their keys.

Twisted's agents ask a pool with scheme, host and port only, and with an endpoint made
for the one request.  L{plain_key} finds out which agent asks.  What it can not find
out is not shared.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any
from weakref import WeakValueDictionary

from twisted.internet import endpoints

from twisted_h11._boundary.twisted_private_client import asking_agent, ways_of

__all__ = ["SECURE", "Party", "is_for", "party", "place", "plain_key", "standard_party"]

# What is compared by value; everything else is compared by identity.
_VALUES = frozenset((str, bytes, int, float, bool, type(None)))

# The schemes that mean TLS.
SECURE = frozenset((b"https", b"wss"))

# The modules with endpoints of which the attributes say where they lead.
_KNOWN = frozenset((endpoints.__name__, "twisted_h11._client.tunnel"))

# How deeply endpoints may be wrapped in each other.
_DEPTH = 5


class Party:
    """
    Things that decide who talks to whom; see L{party}.
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
    The party of C{things}: the same for the same objects, and for equal text,
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
    Where an endpoint connects to, as far as one of Twisted's own classes, or a
    tunnel, tells: what text and numbers it and the endpoints in it consist of, times
    excepted.

    @return: empty for endpoints of other classes, which may count or remember
        what they like.
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
    The party of a connection over TCP.

    @param secure: whether TLS is spoken on it, as C{policy} wants it.
    """
    if secure:
        return party("TLS", reactor, bindAddress, policy)
    return party("TCP", reactor, bindAddress)


def is_for(key: Hashable, origin: Hashable) -> bool:
    """
    Whether a whole key is one for C{origin}, whoever asks.
    """
    if not isinstance(key, tuple) or not isinstance(origin, tuple):
        return False
    return key[: len(origin)] == origin


def plain_key(key: Any, endpoint: Any) -> Hashable:
    """
    The whole key for C{key}, which one of Twisted's agents has made.

    @param endpoint: how it would connect.
    """
    try:
        hash(key)
    except TypeError:
        # That of a C{ProxyAgent} has the endpoint in it.
        key = party(*key) if isinstance(key, tuple) else party(key)
    whole = key if isinstance(key, tuple) else (key,)
    agent = asking_agent(endpoint)
    ways = None if agent is None else ways_of(agent)
    if ways is None:
        # The same endpoint again leads to the same place; of another nobody knows.
        return (*whole, party(endpoint))
    if len(ways) == 1:
        return (*whole, *place(endpoint), party(*ways))
    secure = type(endpoint) is not endpoints.HostnameEndpoint
    return (*whole, standard_party(secure, *ways))
