"""
Packages that may be missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from twisted.trial.unittest import SkipTest

__all__ = ["need"]


def need(name: str) -> Any:
    """
    Import a module.

    @raise SkipTest: if it is not there.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise SkipTest(f"{name} is not installed: {error}") from None
