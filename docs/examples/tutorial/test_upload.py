import upload
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11.client import readBody
from twisted_h11.testing import MemoryAgent


class UploadTests(SynchronousTestCase):
    def test_upload(self) -> None:
        """
        What is sent is in the file.
        """
        self.patch(upload, "deferToThread", maybeDeferred)
        agent = MemoryAgent(upload.Upload())
        self.addCleanup(agent.close)
        asked = agent.request(b"PUT", b"http://example.com/", None, b"hello")
        response = self.successResultOf(asked)
        self.assertEqual(201, response.code)
        name = self.successResultOf(readBody(response)).split()[0]
        with open(name, "rb") as file:
            self.assertEqual(b"hello", file.read())
