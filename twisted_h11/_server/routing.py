"""
Finding a resource before the body of the request has arrived.

Code that was written for twisted.web may read C{request.content} in its
C{getChild}, and have side effects there.  So before the body has arrived, routing
only goes:

  - along static children (C{putChild}), while C{getChildWithDefault} is
    twisted.web's own;
  - through resources that declare L{IStreamingResource}, which allows it.

Where a site, a request or a resource overrides a step, routing stops.  It goes on from
there when the body is complete, so that no C{getChild} is called twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource, getChildForRequest

from twisted_h11._boundary.checks import wrong
from twisted_h11._http.abnf import is_absolute_form
from twisted_h11._server.interfaces import Routed
from twisted_h11.interfaces import IStreamingResource

__all__ = [
    "absolute_target",
    "check_root",
    "find_resource",
    "path_segments",
    "route_early",
]

# `37 in path` is four times as fast as `b"%" in path`.
_PERCENT = ord("%")


def path_segments(path: bytes) -> list[bytes]:
    """
    The segments of a path, decoded.
    """
    path = path[1:]
    if _PERCENT not in path:
        return path.split(b"/")
    return [unquote_to_bytes(segment) for segment in path.split(b"/")]


def absolute_target(method: bytes, target: bytes) -> tuple[bytes, bytes] | None:
    """
    The authority and the path of a target in absolute-form; C{None} for any other.
    The authority overrides the Host field (RFC 9112 section 3.2.2).
    """
    match = is_absolute_form(target)
    if match is None or method == b"CONNECT":
        return None
    authority, path, query = match.groups()
    if not path:
        # RFC 9112 section 3.2.4
        path = b"*" if method == b"OPTIONS" and not query else b"/"
    return authority, path


def check_root(resource: Any) -> None:
    """
    Check that an object can be the root resource of a site.
    """
    if isinstance(resource, type) or (
        resource is not None
        and not IResource.providedBy(resource)
        and not hasattr(resource, "render")
        and not hasattr(resource, "getChildWithDefault")
    ):
        raise wrong("resource", "a resource (an instance, not a class)", resource)


def find_resource(resource: Any, request: Any) -> Any:
    """
    Find the resource of a request, from a given resource on.

    @param resource: the resource to begin at.
    @param request: the request; its C{postpath} is the path to follow.
    """
    try:
        return getChildForRequest(resource, request)
    except ValueError:
        # No file name has a NUL: functions of the system raise ValueError for it.
        if any(b"\0" in s for s in (*request.prepath, *request.postpath)):
            return notFound()
        raise


def route_early(
    site: Routed | None, request: Any, target: bytes
) -> tuple[Any, int | None]:
    """
    Find the resource of a request as far as possible without its body.

    @param site: the site.
    @param request: the request; one of this package keeps how far routing went.
    @param target: its target.
    @return: the streaming resource that was reached, or C{None}; and how many
        bytes the body may have, C{None} for any number.
    """
    if site is None:
        return None, None
    most: Any = site.limits.maxBodyLength
    if not site.findsByPath():
        return None, most
    resource = site.resource
    limit = getattr(resource, "maxBodyLength", None)
    streaming = IStreamingResource.providedBy(resource)
    if getattr(resource, "isLeaf", False) and not streaming:
        return None, most if limit is None else limit
    early = getattr(request, "mayRouteEarly", None)
    streams = early is not None and early()
    path = request.path if streams else target.partition(b"?")[0]
    if early is not None and path[:1] != b"/":
        # This package's Request uses the path of an absolute-form target.
        absolute = is_absolute_form(path)
        path = path if absolute is None else absolute[2]
        path = path or b"/"
    prepath: list[bytes] = []
    postpath = path_segments(path)
    asked = False
    while not getattr(resource, "isLeaf", False):
        # A wrapper says so by its class: others forward attributes.
        wraps = hasattr(type(resource), "resourceBehind")
        if streams and streaming and (postpath or wraps):
            if not asked:
                asked = True
                request.prepareEarly()
            request.prepath, request.postpath = prepath, postpath
            if postpath:
                prepath.append(postpath.pop(0))
                resource = resource.getChildWithDefault(prepath[-1], request)
            else:
                # The wrapped resource may need the body before it is rendered.
                resource = resource.resourceBehind(request)
            # As in twisted.web, getChild may have taken more of the path.
            prepath, postpath = request.prepath, request.postpath
        elif postpath and postpath[0] in (children := _static_children(resource)):
            prepath.append(postpath.pop(0))
            resource = children[prepath[-1]]
        else:
            break
        limit = getattr(resource, "maxBodyLength", limit)
        streaming = IStreamingResource.providedBy(resource)
    if streams and streaming and (not postpath or getattr(resource, "isLeaf", False)):
        if not asked:
            request.prepareEarly()
        request.prepath, request.postpath = prepath, postpath
        if limit is None and getattr(resource, "keepsBodyLimit", False):
            limit = most
        return resource, limit
    if asked:
        # Some getChild was called: go on from here when the body is complete.
        request.prepath, request.postpath = prepath, postpath
        request.routed = resource
    return None, most if limit is None else limit


def _static_children(resource: Any) -> Mapping[bytes, Any]:
    """
    The children that a resource has by C{putChild}; none if its C{getChildWithDefault}
    is not twisted.web's own.

    A wrapper, such as L{twisted.web.resource.EncodingResourceWrapper}, may have the
    method of the resource that it wraps; then the children are that resource's.
    """
    method = getattr(resource, "getChildWithDefault", None)
    if getattr(method, "__func__", None) is not Resource.getChildWithDefault:
        return {}
    owner: Any = getattr(method, "__self__", None)
    children: Mapping[bytes, Any] = getattr(owner, "children", {})
    return children
