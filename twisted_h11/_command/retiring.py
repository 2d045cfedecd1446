"""
A server that ends, or has itself replaced, when it has served so many requests.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

__all__ = ["retire_after"]

_log = Logger()


def retire_after(site: Any, most: int, jitter: int, call: Callable[[], object]) -> None:
    """
    Call something when a site has served so many requests, once.

    @param site: a L{Site<twisted_h11.server.Site>}; its method C{log}, which each
        request ends with, counts from now on.
    @param most: how many requests.
    @param jitter: a random number of requests up to this one is added.
    @param call: what is called.
    """
    left = most + random.randint(0, jitter)
    write = site.log

    def log(request: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            _log.info("This process has served as many requests as it is to serve")
            site.log = write
            call()
        write(request)

    site.log = log
