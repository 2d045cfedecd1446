"""
C{twistd h11web} with TLS as a process.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SkipTest

from tests.support.command_cases import SOON, CommandTestCase
from tests.support.handshakes import (
    Authority,
    both,
    chain,
    serial,
    write_file,
)
from tests.support.long_cases import unnamed

skip = unnamed()

LISTENING = re.compile(r"Listening on https?://127\.0\.0\.1:(\d+)/")


def answers(secure: ssl.SSLSocket) -> bool:
    """
    Ask for something, and read the answer.
    """
    secure.sendall(b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        data = secure.recv(65536)
        if not data:
            return False
        said += data
    return said.startswith(b"HTTP/1.1 200 ")


class TLSProcessTestCase(CommandTestCase):
    """
    Runs servers with certificates as certbot has them.
    """

    def setUp(self) -> None:
        """
        Make the first.
        """
        super().setUp()
        self.authority = Authority()
        self.context = ssl.create_default_context()
        self.context.load_verify_locations(cadata=self.authority.pem.decode())
        self.renew()

    def renew(self) -> Any:
        """
        Write new ones.
        """
        leaf = self.authority.leaf("a.example")
        live = f"{self.directory}/live/a.example"
        write_file(f"{live}/fullchain.pem", chain(leaf))
        write_file(f"{live}/privkey.pem", leaf.private_key_pem.bytes())
        return leaf

    def start(self, *arguments: str) -> tuple[Any, list[int]]:
        """
        Start a server.

        @return: the process, and the ports that it has opened, when it has.
        """
        process = self.popen("-n", "h11web", "--interface=127.0.0.1", *arguments)
        wanted = len([name for name in arguments if name in ("--https", "--port")])
        said = ""
        assert process.stdout is not None
        while len(ports := LISTENING.findall(said)) < wanted:
            ready, _, _ = select.select([process.stdout], [], [], SOON)
            data = os.read(process.stdout.fileno(), 65536) if ready else b""
            self.assertTrue(data, "it does not listen")
            said += data.decode()
        return process, [int(port) for port in ports]

    def curl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run curl.
        """
        path = shutil.which("curl")
        if path is None:
            raise SkipTest("curl is not installed")
        ca = f"{self.directory}/ca.pem"
        with open(ca, "wb") as file:
            file.write(self.authority.pem)
        return subprocess.run(
            [path, "-sS", "--max-time", "20", "--cacert", ca, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    def until(self, process: Any, text: str) -> None:
        """
        Wait until the server says something.
        """
        said = ""
        while text not in said:
            ready, _, _ = select.select([process.stdout], [], [], SOON)
            data = os.read(process.stdout.fileno(), 65536) if ready else b""
            self.assertTrue(data, f"it did not say it, but {said}")
            said += data.decode()

    def visit(self, number: int) -> tuple[int, bool]:
        """
        Connect, and ask for something.

        @return: the serial number of the certificate, and whether there was an answer.
        """
        with (
            socket.create_connection(("127.0.0.1", number), SOON) as plain,
            self.context.wrap_socket(plain, server_hostname="a.example") as secure,
        ):
            found = secure.getpeercert()
            assert found is not None
            return int(str(found["serialNumber"]), 16), answers(secure)

    @contextlib.contextmanager
    def load(self, number: int) -> Iterator[list[int]]:
        """
        Have clients come and go, each with a connection of its own; nobody may fail.

        @return: the serial numbers of the certificates that they have seen so far.
        """
        ended = threading.Event()
        failures: list[Exception] = []
        visits: list[int] = []

        def visit() -> None:
            while not ended.is_set():
                try:
                    shown, answered = self.visit(number)
                    assert answered
                    visits.append(shown)
                except Exception as error:
                    failures.append(error)

        threads = [threading.Thread(target=visit) for _ in range(4)]
        try:
            for thread in threads:
                thread.start()
            yield visits
            count = len(visits)
            while len(visits) < count + 20 and not failures:
                time.sleep(0.01)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], failures)


class ProcessTests(TLSProcessTestCase):
    """
    As a process.
    """

    def test_served(self) -> None:
        """
        C{--https} serves with the certificates of a folder.
        """
        _, (number,) = self.start("--https", "0", "--certificates", "live")
        run = self.curl(
            *("--connect-to", f"::127.0.0.1:{number}", "https://a.example/x"),
        )
        self.assertEqual("", run.stderr)
        self.assertIn('"version": "TLSv1.3"', run.stdout)

    def test_clientCertificate(self) -> None:
        """
        With files, and certificates of clients, whose names are in the log.
        """
        live = "live/a.example"
        mine = self.authority.leaf("me@a.example", common_name="me")
        write_file(f"{self.directory}/me.pem", both(mine))
        write_file(f"{self.directory}/clients.pem", self.authority.pem)
        _, (plain, secure) = self.start(
            *("--https", "0", "--certificate", f"{live}/fullchain.pem"),
            *("--private-key", f"{live}/privkey.pem", "--tls-min-version", "1.3"),
            *("--client-ca", "clients.pem", "--client-certificate", "optional"),
            *("--port", "0", "--redirect-https", "--redirect-port", "8443"),
            *("--log-format", "{certificate} {tls}", "--logfile", "access"),
        )
        to = ("--connect-to", f"::127.0.0.1:{secure}", "https://a.example/")
        for options, status in (
            ((), 0),
            (("--cert", f"{self.directory}/me.pem"), 0),
            (("--tls-max", "1.2"), 35),
        ):
            self.assertEqual(status, self.curl(*options, *to).returncode, options)
        run = self.curl("-i", f"http://127.0.0.1:{plain}/x")
        self.assertIn("\nLocation: https://127.0.0.1:8443/x\n", run.stdout)
        path = f"{self.directory}/access"
        lines: list[str] = []
        for _ in range(1000):
            with open(path) as file:
                lines = file.read().splitlines()
            if len(lines) == 3:
                break
            time.sleep(0.01)
        self.assertEqual(["- TLSv1.3", "- -"], [lines[0], lines[2]])
        self.assertRegex(lines[1], "CN=me.* TLSv1.3")

    def test_renewedUnderLoad(self) -> None:
        """
        While clients come and go, a certificate is renewed: after SIGHUP each new
        connection gets the new one, those that are open go on, and nobody fails.  A bad
        one changes nothing, and is one line in the log.
        """
        old = serial(self.renew())
        process, (number,) = self.start(
            "--https", "0", "--certificates", "live", "--no-access-log"
        )
        with (
            socket.create_connection(("127.0.0.1", number), SOON) as plain,
            self.context.wrap_socket(plain, server_hostname="a.example") as running,
        ):
            self.assertTrue(answers(running))
            with self.load(number) as visits:
                serials = [old]
                for _ in range(3):
                    self.assertEqual(serials[-1], self.visit(number)[0])
                    serials.append(serial(self.renew()))
                    process.send_signal(signal.SIGHUP)
                    self.until(process, "TLS: read all certificates again")
                    self.assertEqual(serials[-1], self.visit(number)[0])
                write_file(f"{self.directory}/live/a.example/fullchain.pem", b"")
                process.send_signal(signal.SIGHUP)
                self.until(process, "found an empty file; the old certificate is kept")
                self.assertEqual(serials[-1], self.visit(number)[0])
            self.assertTrue(answers(running))
        self.assertEqual(set(serials), set(visits))

    def test_withoutTLS(self) -> None:
        """
        SIGHUP does no harm where there is no certificate.
        """
        process, _ = self.start("--port", "0")
        process.send_signal(signal.SIGHUP)
        self.until(process, "There are no certificates")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(SOON))

    def test_redirected(self) -> None:
        """
        Whoever comes without TLS is led to the port that is open with it, and told to
        come there at once the next time.
        """
        _, ports = self.start(
            *("--https", "0", "--certificates", "live", "--port", "0"),
            *("--redirect-https", "--hsts", "60"),
        )
        run = self.curl(
            *("-L", "-i", "--connect-to", f"a.example:{ports[0]}:127.0.0.1:{ports[0]}"),
            *("--connect-to", f"a.example:{ports[1]}:127.0.0.1:{ports[1]}"),
            f"http://a.example:{ports[0]}/x?y",
        )
        self.assertEqual("", run.stderr)
        first, second, body = run.stdout.split("\n\n", 2)
        self.assertIn(" 301 ", first)
        self.assertIn(f"\nLocation: https://a.example:{ports[1]}/x?y", first)
        self.assertNotIn("Strict-Transport-Security", first)
        self.assertIn(" 200 ", second)
        self.assertIn("\nStrict-Transport-Security: max-age=60", second)
        self.assertIn('"version": "TLSv1.3"', body)

    def test_check(self) -> None:
        """
        C{--check} loads the certificates, and tells of one that has expired.
        """
        arguments = (
            "-n",
            "h11web",
            "--check",
            "--https",
            "0",
            "--certificates",
            "live",
        )
        fine = "twistd h11web: everything is as it should be\n"
        self.assertEqual((0, fine, ""), self.run_(*arguments))
        old = self.authority.expired("b.example")
        write_file(f"{self.directory}/live/b.pem", both(old))
        status, out, err = self.run_(*arguments)
        self.assertEqual((0, fine), (status, out))
        path = f"{self.directory}/live/b.pem"
        self.assertEqual(
            f"twistd h11web: warning: {path}: the certificate has expired, on "
            "2020-01-01\n",
            err,
        )
        write_file(path, b"")
        status, out, err = self.run_(*arguments)
        self.assertEqual((1, ""), (status, out))
        self.assertIn(f"--certificates: {path}: expected a certificate", err)

    def test_refused(self) -> None:
        """
        What is wrong is one line, and a status.
        """
        missing = f"{self.directory}/nope: No such file or directory"
        self.assertEqual(
            (1, "", f"twistd h11web: --certificates: {missing}\n"),
            self.run_("-n", "h11web", "--https", "0", "--certificates", "nope"),
        )
