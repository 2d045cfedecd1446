"""
Every private name of Twisted that this package uses, and what is done without.

A test fails when one of them changes.
"""

from __future__ import annotations

from typing import Any

from twisted.web import resource

__all__ = ["encoder_for", "parses_forms"]

_IEncodingResource: Any = getattr(resource, "_IEncodingResource", None)


def encoder_for(resrc: Any, request: Any) -> Any:
    """
    The encoder that a L{resource.EncodingResourceWrapper} chooses.

    Without the private interface: whatever has a C{getEncoder} is asked.

    @return: an encoder, or C{None} for content as it is.
    """
    if _IEncodingResource is not None:
        if not _IEncodingResource.providedBy(resrc):
            return None
    elif not hasattr(resrc, "getEncoder"):
        return None
    return resrc.getEncoder(request)


def parses_forms(site: Any) -> bool:
    """
    The site's C{parsePOSTFormSubmission} (Twisted 25.5 and later).

    Without the private attribute: forms are parsed, as before that release.
    """
    return bool(getattr(site, "_parsePOSTFormSubmission", True))
