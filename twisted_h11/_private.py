"""
Every private name of Twisted that this package uses, and what is done without.

A test fails when one of them changes.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from copy import copy
from inspect import getclosurevars, isfunction
from typing import Any

from twisted.internet import task
from twisted.web import client, resource
from twisted.web.http_headers import Headers

__all__ = [
    "asking_agent",
    "creator_of_layer",
    "encoder_for",
    "end_well",
    "parses_forms",
    "produce_on",
    "raw_fields",
    "response_headers",
    "set_known",
    "verified_name",
    "ways_of",
    "with_reactor",
]

_IEncodingResource: Any = getattr(resource, "_IEncodingResource", None)


def encoder_for(resrc: Any, request: Any) -> Any:
    """
    The encoder that a L{resource.EncodingResourceWrapper} chooses.

    Without the private interface: whatever has a C{getEncoder} is asked.

    @return: an encoder, or C{None} for content as it is.
    """
    getEncoder = getattr(resrc, "getEncoder", None)
    if getEncoder is None:
        return None
    if _IEncodingResource is not None and not _IEncodingResource.providedBy(resrc):
        return None
    return getEncoder(request)


def parses_forms(site: Any) -> bool:
    """
    The site's C{parsePOSTFormSubmission} (Twisted 25.5 and later).

    Without the private attribute: forms are parsed, as before that release.
    """
    return bool(getattr(site, "_parsePOSTFormSubmission", True))


def end_well(reactor: Any) -> None:
    """
    Have twistd end with status 0 when SIGTERM has stopped it: that is what it was
    asked to do.  By itself it ends by the same signal once more.

    Without the private attribute: it ends by the signal.
    """
    if getattr(reactor, "_exitSignal", None) == signal.SIGTERM:
        reactor._exitSignal = None


def with_reactor(resource: Any, make: Callable[[Any], Any]) -> Any:
    """
    A copy of a L{twisted.web.wsgi.WSGIResource} with another reactor.

    Without the private attribute: the resource itself.

    @param make: makes the reactor, given that of the resource.
    """
    reactor = getattr(resource, "_reactor", None)
    if reactor is None:
        return resource
    resource = copy(resource)
    resource._reactor = make(reactor)
    return resource


# Where Headers keeps its fields, by canonical name.  Setting a field that we
# made ourselves needs none of the checks that setRawHeaders makes, and those
# are a tenth of what a small response costs.
_RAW = "_rawHeaders"
_transparent = isinstance(getattr(Headers(), _RAW, None), dict)


def response_headers(server: bytes | None, date: bytes) -> Headers:
    """
    The fields that every response begins with.
    """
    headers = Headers()
    if server is not None:
        set_known(headers, b"Server", server)
    set_known(headers, b"Date", date)
    return headers


def set_known(headers: Headers, name: bytes, value: bytes) -> None:
    """
    Set a field whose name is canonical, and whose value has no line end.

    Without the private attribute: C{setRawHeaders}.
    """
    if _transparent:
        headers._rawHeaders[name] = [value]
    else:
        headers.setRawHeaders(name, [value])


def raw_fields(headers: Headers) -> dict[bytes, list[bytes]]:
    """
    The fields by canonical name; not to be changed.

    Without the private attribute: a copy.
    """
    if _transparent:
        return headers._rawHeaders
    return {name: list(values) for name, values in headers.getAllRawHeaders()}


def verified_name(creator: Any) -> str | None:
    """
    The name that Twisted's creator of client connections verifies, in ASCII.

    Without the private attribute: C{None}; callers take the name of the URI.
    """
    name = getattr(creator, "_hostnameASCII", None)
    return name if isinstance(name, str) else None


def creator_of_layer(transport: Any) -> Any:
    """
    The creator of a TLS layer's connection; C{None} for what is not TLS.

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


# Every agent of Twisted's asks its pool in this method, with the endpoint in a
# variable of this name.
_asking: Any = getattr(client.Agent, "_requestWithEndpoint", None)
_asking_code = getattr(_asking, "__code__", None)


def asking_agent(endpoint: Any) -> Any:
    """
    The agent of Twisted's that asks a pool for a connection by C{endpoint}, from
    within that call.

    Without the private method: C{None}, and only connections by the very same
    endpoint are used again.
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
    What an agent of Twisted's has its endpoints from.

    Without the private attributes: the agent itself.

    @return: reactor, policy and local address, or the one endpoint factory, or the
        agent where it does that in a way of its own; C{None} for an agent whose
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
    Have a L{FileBodyProducer} take its turns with C{cooperate}, unless it was
    given something to take them with.

    Without the private attribute: it takes those of the reactor, and waits for
    ever where there is none.
    """
    if isinstance(producer, client.FileBodyProducer):
        if getattr(producer, "_cooperate", None) is task.cooperate:
            producer._cooperate = cooperate
