"""
The server, the client, the pool and the reader of events keep their promises, whatever
comes in what order.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.machines.base import Machine, examples_wanted, run_machine
from tests.machines.client import ClientMachine, SlowClientMachine
from tests.machines.events import ClientEventsMachine, ServerEventsMachine
from tests.machines.pool import PoolMachine
from tests.machines.server import ServerMachine, SlowServerMachine

__all__ = ["MACHINES", "MachineTests"]

MACHINES: dict[str, type[Machine]] = {
    "server": ServerMachine,
    "server-h11": SlowServerMachine,
    "client": ClientMachine,
    "client-h11": SlowClientMachine,
    "pool": PoolMachine,
    "events-server": ServerEventsMachine,
    "events-client": ClientEventsMachine,
}


class MachineTests(SynchronousTestCase):
    """
    A few examples of each, always the same; C{TEST_MACHINES} says how many.
    """

    # An example takes some hundredths of a second.
    few = 12
    same = True

    def run_one(self, name: str) -> None:
        """
        Run a machine; what its application raises is in the log, and the machine
        itself looks for what else is.
        """
        machine = MACHINES[name]
        self.patch(machine, "forgetLog", staticmethod(self.flushLoggedErrors))
        run_machine(machine, examples_wanted(self.few), same=self.same)

    def test_server(self) -> None:
        """
        Answers are in order, complete or visibly cut; nothing is left.
        """
        self.run_one("server")

    def test_serverWithoutFastPath(self) -> None:
        """
        The same where all goes through h11.
        """
        self.run_one("server-h11")

    def test_client(self) -> None:
        """
        Each request has one result, and its own answer; nothing is left.
        """
        self.run_one("client")

    def test_clientWithoutFastPath(self) -> None:
        """
        The same where all goes through h11.
        """
        self.run_one("client-h11")

    def test_pool(self) -> None:
        """
        Bounds are kept, turns too, and nobody waits in vain; nothing is left.
        """
        self.run_one("pool")

    def test_eventsOfServer(self) -> None:
        """
        Events come once and in order, and a connection that is over ends.
        """
        self.run_one("events-server")

    def test_eventsOfClient(self) -> None:
        """
        The same in the other role.
        """
        self.run_one("events-client")
