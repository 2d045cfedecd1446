"""
What certbot and logrotate run, from docs/examples/deployment, with a server.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.long.test_tls_process import TLSProcessTestCase
from tests.support.command_cases import SOON, CommandTestCase
from tests.support.deployment import example
from tests.support.handshakes import serial
from tests.support.long_cases import unnamed
from tests.support.optional import find_program
from tests.support.ports import free_port

skip = unnamed()

PIDFILE = "/run/h11web/h11web.pid"


class CertbotTests(TLSProcessTestCase):
    """
    The hook.
    """

    def hook(self) -> None:
        """
        Run it as certbot does.
        """
        path = os.path.join(self.directory, "hook")
        Path(path).write_text(
            example(
                "certbot-hook.sh",
                ("/etc/h11web/certificates", f"{self.directory}/copies"),
                (PIDFILE, f"{self.directory}/twistd.pid"),
                ("-g shop", f"-g {os.getegid()}"),
            )
        )
        os.chmod(path, 0o755)
        subprocess.run(
            [path],
            env={**os.environ, "RENEWED_LINEAGE": f"{self.directory}/live/a.example"},
            check=True,
            timeout=60,
        )

    def test_renewed(self) -> None:
        """
        After it has run the new certificate is served, from a copy that the server's
        group may read, and nobody else.
        """
        os.makedirs(f"{self.directory}/copies/a.example")
        for name in ("fullchain.pem", "privkey.pem"):
            shutil.copy(
                f"{self.directory}/live/a.example/{name}",
                f"{self.directory}/copies/a.example/{name}",
            )
        process, (number,) = self.start("--https", "0", "--certificates", "copies")
        for _ in range(2):
            new = serial(self.renew())
            self.assertNotEqual(new, self.visit(number)[0])
            self.hook()
            self.until(process, "TLS: read all certificates again")
            self.assertEqual((new, True), self.visit(number))
        key = os.stat(f"{self.directory}/copies/a.example/privkey.pem")
        self.assertEqual(0o640, key.st_mode & 0o777)
        names = os.listdir(f"{self.directory}/copies/a.example")
        self.assertEqual(["fullchain.pem", "privkey.pem"], sorted(names))


class LogrotateTests(CommandTestCase):
    """
    The settings of logrotate.
    """

    def test_rotated(self) -> None:
        """
        Both logs go on in new files.
        """
        program = find_program("logrotate")
        if program is None:
            raise SkipTest("logrotate is not installed")
        log = os.path.join(self.directory, "log")
        os.mkdir(log, 0o755)
        conf = os.path.join(self.directory, "conf")
        Path(conf).write_text(
            example(
                "logrotate.conf",
                ("/var/log/h11web", log),
                (PIDFILE, f"{self.directory}/twistd.pid"),
                ("create 640 shop adm", "create 640"),
            )
        )
        os.chmod(conf, 0o644)
        port = free_port()
        process = self.popen(
            *("-n", "--logfile", "log/h11web.log", "h11web", "--logfile"),
            *("log/access.log", "--listen", f"tcp:{port}:interface=127.0.0.1"),
        )
        until = time.monotonic() + SOON
        while "Listening on" not in (
            self.read("log/h11web.log") if os.path.exists(f"{log}/h11web.log") else ""
        ):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        client = HTTPConnection("127.0.0.1", port, timeout=SOON)
        client.request("GET", "/before")
        client.getresponse().read()
        # Lines are written twice a second, and logrotate leaves an empty file.
        while not self.read("log/access.log"):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        subprocess.run(
            [program, "--force", "--state", f"{self.directory}/state", conf],
            check=True,
            timeout=60,
        )
        while not self.read("log/h11web.log"):
            self.assertLess(time.monotonic(), until)
            # It has something to say to that.
            process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        client.request("GET", "/after")
        client.getresponse().read()
        client.close()
        process.terminate()
        process.communicate(timeout=SOON)
        self.assertEqual(0, process.returncode)
        self.assertEqual(
            ["access.log", "access.log.1", "h11web.log", "h11web.log.1"],
            sorted(os.listdir(log)),
        )
        self.assertIn("GET /before ", self.read("log/access.log.1"))
        self.assertIn("GET /after ", self.read("log/access.log"))
        self.assertIn("Listening on", self.read("log/h11web.log.1"))
        self.assertIn("Server Shut Down", self.read("log/h11web.log"))
