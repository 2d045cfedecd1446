"""
Every private name of Twisted's client and of TLS that this package's client uses, and
the fallback without it.

A test fails when one of them changes.
"""

from __future__ import annotations

import gc
import sys
from inspect import getclosurevars, isfunction
from typing import Any

from twisted.internet import _sslverify, task
from twisted.web import client, http

__all__ = [
    "DataLoss",
    "accept_name",
    "asking_agent",
    "creator_of_layer",
    "name_in_callback",
    "produce_on",
    "verified_name",
    "ways_of",
]

# What programs look for among the reasons of a body that was cut.  Without the private
# class they do not find it.
DataLoss: Any = getattr(http, "_DataLoss", Exception)


def accept_name(endpoint: Any) -> None:
    """
    Have a C{HostnameEndpoint} of Twisted's look up a name that IDNA does not allow: it
    has set C{_badHostname}, and would refuse to.

    Without the private attribute: such names are refused, as by Twisted's agent.
    """
    if getattr(endpoint, "_badHostname", False):
        endpoint._badHostname = False


def verified_name(creator: Any) -> str | None:
    """
    The name that Twisted's creator of client connections verifies, in ASCII.

    Without the private attribute: C{None}; callers take the name of the URI.
    """
    name = getattr(creator, "_hostnameASCII", None)
    return name if isinstance(name, str) else None


def creator_of_layer(transport: Any) -> Any:
    """
    The creator of a TLS layer's connection; C{None} for other transports.

    Its factory keeps it in C{_connectionCreator}, and since Twisted 26.4 in what
    C{_creatorCallable} encloses.  Without these: C{None}, and the names of
    connections that an application's own endpoint makes are verified by Twisted
    alone.
    """
    factory = getattr(transport, "factory", None)
    creator = getattr(factory, "_connectionCreator", None)
    if creator is not None:
        return creator
    make = getattr(factory, "_creatorCallable", None)
    if not isfunction(make):
        return None
    method = getclosurevars(make).nonlocals.get("baseCallable")
    return getattr(method, "__self__", None)


def name_in_callback(connection: Any) -> str | None:
    """
    The name for which the callback of Twisted 26.4 and later verifies an OpenSSL
    connection; C{None} if the connection has any other callback.

    pyOpenSSL keeps it in C{_verify_helper}, and Twisted makes it in C{_verifyCB}.
    Without these: C{None}, and where an application's own creator of connections
    has that callback, the names are verified by Twisted alone.
    """
    callback = getattr(getattr(connection, "_verify_helper", None), "callback", None)
    code = getattr(getattr(_sslverify, "_verifyCB", None), "__code__", None)
    get_referents = getattr(gc, "get_referents", None)
    if callback is None or code is None or get_referents is None:
        return None
    for wrapper in get_referents(*get_referents(callback)):
        verify = getattr(wrapper, "__wrapped__", None)
        if isfunction(verify) and verify.__code__ in code.co_consts:
            identity: Any = getclosurevars(verify).nonlocals.get("svcid")
            if hasattr(identity, "hostname"):
                return str(identity.hostname.decode("ascii"))
            if hasattr(identity, "ip"):
                return str(identity.ip)
    return None


# Every agent of Twisted's calls its pool in this method, with the endpoint in a
# local variable of this name.
_asking: Any = getattr(client.Agent, "_requestWithEndpoint", None)
_asking_code = getattr(_asking, "__code__", None)


def asking_agent(endpoint: Any) -> Any:
    """
    The agent of Twisted's that is calling a pool for a connection by C{endpoint}; to be
    called from within that call.

    Without the private method: C{None}, and only connections by the same endpoint
    object are re-used.
    """
    frame = sys._getframe(1)
    for _ in range(10):
        if frame.f_code is _asking_code:
            variables = frame.f_locals
            return variables.get("self") if variables["endpoint"] is endpoint else None
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None


def ways_of(agent: Any) -> tuple[Any, ...] | None:
    """
    The objects from which an agent of Twisted's makes its endpoints.

    Without the private attributes: the agent itself.

    @return: reactor, policy and local address; or the endpoint factory alone; or the
        agent alone if it has a method of its own for that; C{None} for an agent whose
        endpoint is always the same.
    """
    if not isinstance(agent, client.Agent):
        return None
    for name in ("request", "_getEndpoint", "_requestWithEndpoint"):
        method = getattr(getattr(agent, name, None), "__func__", None)
        if method is None or method is not getattr(client.Agent, name):
            return (agent,)
    factory: Any = getattr(agent, "_endpointFactory", agent)
    if type(factory) is not getattr(client, "_StandardEndpointFactory", None):
        return (factory,)
    try:
        return factory._reactor, factory._policyForHTTPS, factory._bindAddress
    except AttributeError:
        return (agent,)


def produce_on(producer: Any, cooperate: Any) -> None:
    """
    Make a L{FileBodyProducer} run its task with C{cooperate}, unless it was given a
    cooperator.

    Without the private attribute: the task runs with the reactor, and never where no
    reactor runs.
    """
    if isinstance(producer, client.FileBodyProducer):
        if getattr(producer, "_cooperate", None) is task.cooperate:
            producer._cooperate = cooperate
