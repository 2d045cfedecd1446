"""
Packages and programs that may be missing.
"""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from typing import Any

from twisted.trial.unittest import SkipTest

__all__ = ["find_program", "need"]

# Where servers are, and where a plain user's PATH does not lead.
_SERVERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def need(name: str) -> Any:
    """
    Import a module.

    @raise SkipTest: if it is not there.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise SkipTest(f"{name} is not installed: {error}") from None


def find_program(name: str) -> str | None:
    """
    The path of a program, of a server too.

    @return: C{None} if it is not there.
    """
    folders = [os.environ.get("PATH", os.defpath), *_SERVERS]
    return shutil.which(name, path=os.pathsep.join(folders))
