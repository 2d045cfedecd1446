"""
Us behind a proxy: no bytes give us a request that the proxy did not mean.

The proxy marks each request that it sends on with an identity of its own, and logs it.
We must see each identity once at most, none that is not in the log, and none without.
"""

from __future__ import annotations

import time
from collections import Counter

from tests.differential.asking import ask_all
from tests.differential.peers import Server

__all__ = ["CHAINS", "run_chain", "wrong_in"]

CHAINS = ("nginx", "haproxy")


def wrong_in(seen: list[str], meant: list[str]) -> list[str]:
    """
    What is wrong with the identities of the requests that we have seen.
    """
    known = set(meant)
    found = Counter(seen)
    wrong = [f"{one!r} was seen {found[one]} times" for one in found if found[one] > 1]
    return wrong + [f"{one!r} was not meant" for one in found if one not in known]


def run_chain(
    proxy: str, behind: str, python: str, inputs: list[bytes], patience: float = 5
) -> tuple[int, int, list[str]]:
    """
    Send inputs through a proxy.

    @param patience: seconds to wait for the log of the proxy, where something is wrong.
    @return: how many requests it has meant, how many we have seen, and what is wrong.
    """
    with Server(proxy, python, behind) as server:
        ask_all(server.port, inputs)
        # A proxy writes down what it has sent on when that has been answered.
        deadline = time.monotonic() + patience
        while wrong_in(server.seen(), server.meant()) and time.monotonic() < deadline:
            time.sleep(0.2)
        server.flush()
        meant, seen = server.meant(), server.seen()
    return len(meant), len(seen), wrong_in(seen, meant)
