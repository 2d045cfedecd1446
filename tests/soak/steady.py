"""
Good clients in a process of their own, so that the latency which they tell is the
server's, and not that of clients with more to do.
"""

from __future__ import annotations

from tests.soak.clients import run
from tests.soak.good import keeper

__all__: list[str] = []

if __name__ == "__main__":
    run([(keeper, 1)])
