"""
The comparison with all servers that are there.
"""

from __future__ import annotations

import os
import sys

from tests.differential import test_differential as short
from tests.differential.peers import PEERS
from tests.support.long_cases import skip_unless_named


class LongDifferentialTests(short.DifferentialTests):
    """
    Hundreds of requests of another seed.  C{TWISTED_H11_PEERS} is the Python of an
    environment with the servers from PyPI; what is not there is left out.
    """

    count = 600
    seed = 2
    peers = PEERS
    python = os.environ.get("TWISTED_H11_PEERS", sys.executable)

    def setUp(self) -> None:
        """
        Skip unless it was asked for.
        """
        skip_unless_named()
