"""
Methods that a resource does not have (RFC 9110 sections 9.1, 15.5.6 and 15.6.2).

The status is 501 for methods that the server does not know, and 405 for known methods
that this resource does not have.  HEAD exists where GET does.  L{Resource} always has
a C{render_HEAD}, which calls a C{render_GET} that may be missing; so an
C{AttributeError} for that name counts as L{UnsupportedMethod}, also from a resource
below a wrapper.
"""

from __future__ import annotations

from html import escape
from typing import Any

from twisted.web.error import UnsupportedMethod
from twisted.web.resource import Resource

__all__ = [
    "KNOWN_METHODS",
    "allow_field",
    "methods_told",
    "refusal_page",
    "render_by_method",
]

KNOWN_METHODS = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
)


# The names of the methods to call, made once.
_RENDERING = {name: f"render_{name.decode('ascii')}" for name in KNOWN_METHODS}

_render: Any = Resource.render


def render_by_method(resrc: Any, request: Any) -> Any:
    """
    Call C{render} of a resource.  L{Resource.render}, unless it is overridden, has no
    effect but to call a method: then that is called, which takes half of the time.
    """
    render = resrc.render
    name = _RENDERING.get(request.method)
    # A wrapper may pass on the render of another resource.
    if (
        name is not None
        and getattr(render, "__func__", None) is _render
        and render.__self__ is resrc
    ):
        method = getattr(resrc, name, None)
        if method:
            return method(request)
    return render(request)


def methods_told(error: BaseException, method: bytes, resrc: Any) -> list[bytes] | None:
    """
    The methods of a resource, if C{error} means that it does not have the requested
    method.

    @param error: the exception that its C{render} has raised.
    @param method: the method of the request.
    @param resrc: the resource that was rendered.
    @return: their names; C{None} if the error is about something else.
    """
    if isinstance(error, UnsupportedMethod):
        names: Any = error.allowedMethods
    elif method == b"HEAD" and isinstance(error, (AttributeError, TypeError)):
        lacking = _without_get(error, resrc)
        if lacking is None:
            return None
        # Without GET, even if the resource declares it.
        names = [name for name in _declared(lacking) if name not in ("GET", b"GET")]
    else:
        return None
    return [name.encode("ascii") if isinstance(name, str) else name for name in names]


def _without_get(error: Exception, resrc: Any) -> Resource | None:
    """
    The resource whose C{render_HEAD} has called a missing C{render_GET}.
    """
    if isinstance(error, AttributeError) and error.name == "render_GET":
        return error.obj if isinstance(error.obj, Resource) else None
    if (
        isinstance(error, TypeError)
        and isinstance(resrc, Resource)
        and type(resrc).render is Resource.render
        and getattr(resrc, "render_GET", None) is None
        and not _has_own_head(resrc)
    ):
        # A subclass has set render_GET = None to remove GET.
        return resrc
    return None


def _declared(resrc: Resource) -> Any:
    """
    The methods that a resource declares, or has.
    """
    declared = getattr(resrc, "allowedMethods", None)
    if declared is not None:
        return declared
    return [name[7:] for name in dir(type(resrc)) if name.startswith("render_")]


def allow_field(resrc: Any, names: list[bytes], method: bytes) -> list[bytes]:
    """
    The members of C{Allow} in a 405 response.

    @param resrc: the resource that was rendered.
    @param names: the methods that it declares.
    @param method: the requested method, which it does not have.
    @return: the methods that it has, each once, in their order.
    """
    allowed = [name for name in dict.fromkeys(names) if name != method]
    if method == b"HEAD":
        return [name for name in allowed if name != b"GET"]
    if b"GET" in allowed:
        if b"HEAD" not in allowed:
            allowed.insert(allowed.index(b"GET") + 1, b"HEAD")
    elif b"HEAD" in allowed and not _has_own_head(resrc):
        allowed.remove(b"HEAD")
    return allowed


def _has_own_head(resrc: Any) -> bool:
    head = getattr(resrc, "render_HEAD", None)
    return getattr(head, "__func__", head) not in (None, Resource.render_HEAD)


def refusal_page(method: bytes, allowed: list[bytes]) -> tuple[int, str, str]:
    """
    The error page for a method that a resource does not have.

    @return: the arguments of L{error_page<twisted_h11._http.response_to_send>}: the
        status, the reason phrase and the HTML.
    """
    if method not in KNOWN_METHODS:
        # twisted.web's sentence, which clients and tests search for.
        what = escape(method.decode("ascii", "replace"))
        sentence = f"I don't know how to treat a {what} request."
        return 501, "Not Implemented", f"<p>{sentence}</p>"
    names = ", ".join(name.decode("ascii", "replace") for name in allowed) or "none"
    sentence = f"This resource has {escape(names)}, and no {method.decode('ascii')}."
    return 405, "Method Not Allowed", f"<p>{sentence}</p>"
