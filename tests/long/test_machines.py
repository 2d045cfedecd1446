"""
The state machines for longer, with other examples each time.
"""

from __future__ import annotations

from tests.machines import test_machines as machines
from tests.support.long_cases import skip_unless_named


class LongMachineTests(machines.MachineTests):
    """
    Some hundred examples of each; hypothesis says how a failure can be had again.
    """

    few = 120
    same = False

    def setUp(self) -> None:
        """
        Skip unless it was asked for.
        """
        skip_unless_named()
