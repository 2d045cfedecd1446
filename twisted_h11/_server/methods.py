"""
Methods that a resource does not have (RFC 9110 sections 9.1, 15.5.6 and 15.6.2).

501 is for methods that the server does not know, 405 for those that it knows and
this resource does not have.  HEAD exists where GET does.  L{Resource} has a
C{render_HEAD} in every case, which asks for a C{render_GET} that need not be
there; so that name, asked for and not found, says as much as
L{UnsupportedMethod}, from however deep below a wrapper it comes.
"""

from __future__ import annotations

from html import escape
from typing import Any

from twisted.web.error import UnsupportedMethod
from twisted.web.resource import Resource

__all__ = ["KNOWN_METHODS", "allow_field", "methods_told", "refusal_page"]

KNOWN_METHODS = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
)


def methods_told(error: BaseException, method: bytes, resrc: Any) -> list[bytes] | None:
    """
    The methods that a resource says it has, if C{error} says that it does not
    have the one that was asked for.

    @param error: what its C{render} has raised.
    @param method: of the request.
    @param resrc: the resource that was rendered.
    @return: their names; C{None} if the error is about something else.
    """
    if isinstance(error, UnsupportedMethod):
        names: Any = error.allowedMethods
    elif method == b"HEAD" and isinstance(error, (AttributeError, TypeError)):
        lacking = _without_get(error, resrc)
        if lacking is None:
            return None
        # GET is not among them, whatever was declared.
        names = [name for name in _declared(lacking) if name not in ("GET", b"GET")]
    else:
        return None
    return [name.encode("ascii") if isinstance(name, str) else name for name in names]


def _without_get(error: Exception, resrc: Any) -> Resource | None:
    """
    The resource that has asked itself for a C{render_GET} that it does not have.
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
        # How a subclass says that it has no GET any more.
        return resrc
    return None


def _declared(resrc: Resource) -> Any:
    """
    The methods that a resource has, as L{UnsupportedMethod} would tell them.
    """
    declared = getattr(resrc, "allowedMethods", None)
    if declared is not None:
        return declared
    return [name[7:] for name in dir(type(resrc)) if name.startswith("render_")]


def allow_field(resrc: Any, names: list[bytes], method: bytes) -> list[bytes]:
    """
    What 405 says of a resource.

    @param resrc: the resource that was rendered.
    @param names: the methods that it says it has.
    @param method: the one that it was asked for, and does not have.
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
    What the page says for a method that is not there.

    @return: the status, and what
        L{error_page<twisted_h11._http.response_to_send>} takes.
    """
    if method not in KNOWN_METHODS:
        # The sentence of twisted.web, which clients and tests look for.
        what = escape(method.decode("ascii", "replace"))
        sentence = f"I don't know how to treat a {what} request."
        return 501, "Not Implemented", f"<p>{sentence}</p>"
    names = ", ".join(name.decode("ascii", "replace") for name in allowed) or "none"
    sentence = f"This resource has {escape(names)}, and no {method.decode('ascii')}."
    return 405, "Method Not Allowed", f"<p>{sentence}</p>"
