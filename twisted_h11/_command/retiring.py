"""
Ending or replacing a server after a number of requests.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

__all__ = ["retire_after"]

_log = Logger()


def retire_after(
    site: Any, most: int, jitter: int, call: Callable[[], object], again: bool = False
) -> None:
    """
    Call a function when a site has served a number of requests.

    @param site: a L{Site<twisted_h11.server.Site>}; its method C{log}, which is called
        at the end of each request, is replaced by one that counts.
    @param most: the number of requests.
    @param jitter: a random number of requests up to this one is added.
    @param call: the function.
    @param again: whether to call it again whenever as many more were served: a worker
        that asks for a successor stays if the successor does not start.
    """
    left = most + random.randint(0, jitter)
    write = site.log

    def log(request: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            _log.info("This process has reached its maximum number of requests")
            left = most + random.randint(0, jitter)
            if not again:
                site.log = write
            call()
        write(request)

    site.log = log
