"""
What the metrics count, against what wrk says that it has sent.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SkipTest

from tests.support.command_cases import TWISTD
from tests.support.long_cases import TOP, LongTestCase
from tests.support.optional import find_program
from tests.support.ports import free_port

# wrk counts answers; what is on its way when it ends was answered, too.
COUNTING = """
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) made = 0 end
function request() made = made + 1; return wrk.format("GET", "/") end
function done(summary, latency, requests)
  local all = 0
  for _, thread in ipairs(threads) do all = all + thread:get("made") end
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write
  print("made " .. all .. " answered " .. summary.requests .. " failed " .. failed)
end
"""

# One request is made only to see whether all are alike.
NOT_SENT = 1


class CountTests(LongTestCase):
    """
    To the request.
    """

    def setUp(self) -> None:
        """
        Find wrk.
        """
        super().setUp()
        if find_program("wrk") is None:
            raise SkipTest("wrk is not installed")
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.script = os.path.join(self.folder, "count.lua")
        with open(self.script, "w") as out:
            out.write(COUNTING)
        self.web, self.status = free_port(), free_port()

    def serve(self, *options: str) -> subprocess.Popen[bytes]:
        """
        Start a server, and wait for it.
        """
        where = "tcp:{}:interface=127.0.0.1"
        process = subprocess.Popen(
            [
                *(*TWISTD, "-n", "--pidfile", "", "--logfile", f"{self.folder}/log"),
                *("h11web", "--listen", where.format(self.web), "--no-access-log"),
                *("--status-listen", where.format(self.status), *options),
            ],
            cwd=TOP,
        )
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.terminate)
        self.eventually(self.isHealthy)
        return process

    def eventually(self, condition: Callable[[], bool]) -> None:
        """
        Wait until something is so.
        """
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def get(self, path: str) -> str:
        """
        Ask the status site.
        """
        where = f"http://127.0.0.1:{self.status}{path}"
        with urllib.request.urlopen(where, timeout=20) as answer:
            text: str = answer.read().decode()
            return text

    def isHealthy(self) -> bool:
        """
        Whether the server, with all its workers, is there.
        """
        try:
            self.get("/health")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def counted(self) -> int:
        """
        How many requests the metrics have.
        """
        return int(
            sum(
                sample.value
                for family in text_string_to_metric_families(self.get("/metrics"))
                for sample in family.samples
                if sample.name.endswith("_requests_total")
            )
        )

    def load(self) -> int:
        """
        Let wrk ask.

        @return: how many requests it has sent.
        """
        done = subprocess.run(
            [
                *("wrk", "-t2", "-c64", "-d3", "-s", self.script),
                f"http://127.0.0.1:{self.web}/",
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        [line] = [x for x in done.stdout.splitlines() if x.startswith("made ")]
        _, made, _, answered, _, failed = line.split()
        self.assertEqual("0", failed)
        self.assertLessEqual(0, int(made) - NOT_SENT - int(answered))
        self.assertLessEqual(int(made) - NOT_SENT - int(answered), 64)
        return int(made) - NOT_SENT

    def check(self, name: str) -> None:
        """
        Both count the same.
        """
        before = self.counted()
        sent = self.load()
        self.eventually(lambda: self.counted() - before >= sent)
        self.assertEqual(sent, self.counted() - before)
        self.say(f"{name}: wrk {sent}, metrics {sent}")

    def test_one(self) -> None:
        """
        With one process.
        """
        self.serve()
        self.check("one process")

    def test_four(self) -> None:
        """
        With four workers; and the count neither falls nor is wrong when one of them is
        killed.
        """
        process = self.serve("--workers", "4")
        self.check("four workers")
        before = self.counted()
        found = subprocess.run(
            ["pgrep", "-P", str(process.pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        workers = [int(pid) for pid in found.stdout.split()]
        os.kill(workers[0], signal.SIGKILL)
        self.assertEqual(before, self.counted())
        self.eventually(self.isHealthy)
        self.check("four workers, after one was killed")
