"""
Both ends in memory, for the tests of programs: no sockets, no waiting.

L{MemoryAgent} is an agent whose requests go to a resource::

    class GreetingTests(SynchronousTestCase):
        def test_greeting(self):
            agent = MemoryAgent(Greeting())
            response = self.successResultOf(
                agent.request(b"GET", b"http://example.com/?name=World"))
            body = self.successResultOf(readBody(response))
            self.assertEqual(b"Hello, World", body)

Requests and responses are written and parsed by the same code as on a network; only the
sockets are missing.  Time passes only when C{agent.clock} is advanced.  treq works on
it, see L{MemoryAgent}.

L{MemorySite} is the server alone: the test sends bytes and gets bytes.
"""

from twisted_h11._testing.agent import MemoryAgent
from twisted_h11._testing.site import MemoryConnection, MemorySite

__all__ = ["MemoryAgent", "MemoryConnection", "MemorySite"]
