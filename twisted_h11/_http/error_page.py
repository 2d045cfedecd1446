"""
The page that stands in a response when a request can not be served.
"""

from __future__ import annotations

from html import escape

__all__ = ["error_page"]

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{code} {brief}</title></head>
<body><h1>{brief}</h1>{detail}</body>
</html>
"""


def error_page(code: int, brief: str, detail: str) -> bytes:
    """
    A page of our own for a request that can not be served.

    @param detail: HTML; whoever calls has escaped what must be.
    """
    page = _PAGE.format(code=code, brief=escape(brief), detail=detail)
    return page.encode("utf-8")
