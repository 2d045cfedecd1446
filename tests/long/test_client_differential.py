"""
The comparison with all clients that are there.
"""

from __future__ import annotations

import os
import sys

from tests.differential import test_client_differential as short
from tests.differential.client_asking import CLIENTS
from tests.support.long_cases import unnamed

skip = unnamed()


class LongClientDifferentialTests(short.ClientDifferentialTests):
    """
    Hundreds of answers of another seed.  C{TWISTED_H11_PEERS} is the Python of an
    environment with the clients from PyPI; what is not there is left out.
    """

    count = 400
    seed = 2
    peers = CLIENTS
    python = os.environ.get("TWISTED_H11_PEERS", sys.executable)
    patience = 0.5
    ends = False
