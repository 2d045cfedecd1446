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

The request is written, parsed, answered and parsed again by the code that does
it on a network; only the network is missing.  Time stands still until
C{agent.clock} is advanced.  treq works on it, see L{MemoryAgent}.

L{MemorySite} is the server alone: the test sends bytes and gets bytes.
"""

from twisted_h11._testing.agent import MemoryAgent
from twisted_h11._testing.site import MemoryConnection, MemorySite

__all__ = ["MemoryAgent", "MemoryConnection", "MemorySite"]
