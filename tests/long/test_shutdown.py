"""
SIGTERM under load.
"""

from __future__ import annotations

import signal
import threading
import time

from tests.support.long_cases import LongTestCase, Server


class Asking(threading.Thread):
    """
    Asks until the server closes.

    @ivar whole: how many responses were complete.
    @ivar problem: what was wrong with the last one.
    """

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.client = server.client()
        self.whole = 0
        self.problem = ""

    def run(self) -> None:
        """
        One request after the other; none after a response that says close.
        """
        try:
            while True:
                self.client.ask("/wait")
                status, body = self.client.answer()
                if status != 200 or body != b"x" * 1000:
                    self.problem = f"{status} {len(body)}"
                    return
                self.whole += 1
        except (EOFError, OSError) as error:
            if not isinstance(error, (EOFError, ConnectionError)):
                self.problem = repr(error)
        finally:
            self.client.close()


class ShutdownTests(LongTestCase):
    """
    The server ends without losing what it has begun.
    """

    def test_everyRequestIsAnswered(self) -> None:
        """
        Each request that the application saw has its whole response, five times
        in a row.
        """
        for _ in range(5):
            server = self.server()
            threads = [Asking(server) for _ in range(60)]
            for thread in threads:
                thread.start()
            time.sleep(1.5)
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            begun = int(server.stop().split()[-1])
            seconds = time.monotonic() - started
            for thread in threads:
                thread.join()
            whole = sum(thread.whole for thread in threads)
            self.say(f"{begun} begun, {whole} answered, ended in {seconds:.2f} s")
            self.assertEqual([], [t.problem for t in threads if t.problem])
            self.assertEqual(begun, whole)
            self.assertGreater(whole, 500)
