"""
The Dockerfile and the manifests of docs/examples/deployment: what they run is run, and
what they say fits the server.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.support.command_cases import SOON, CommandTestCase
from tests.support.deployment import SHOP, example, with_
from tests.support.long_cases import unnamed
from tests.support.optional import need
from tests.support.ports import free_port
from twisted_h11._command.configuration import PREFIX

skip = unnamed()


def instructions() -> list[tuple[str, str]]:
    """
    The lines of the Dockerfile.
    """
    text = re.sub(r"^#.*\n", "", example("Dockerfile"), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines if line]


def instruction(name: str) -> str:
    """
    The last one of a kind.
    """
    return [rest for kind, rest in instructions() if kind == name][-1]


class ContainerTestCase(CommandTestCase):
    """
    A folder with what is copied into the image.
    """

    def setUp(self) -> None:
        """
        Copy it.
        """
        super().setUp()
        self.copied = set()
        for kind, rest in instructions():
            if kind == "COPY":
                *names, _ = rest.split()
                self.copied.update(names)
        for name in self.copied:
            text = SHOP if name == "shop.py" else example(name)
            with open(os.path.join(self.directory, name), "w") as file:
                file.write(text)
        self.front, self.status = free_port(), free_port()
        given = dict(one.split("=", 1) for one in instruction("ENV").split())
        given["H11WEB_STATUS_LISTEN"] = with_(
            given["H11WEB_STATUS_LISTEN"],
            ("tcp:9000", f"tcp:{self.status}:interface=127.0.0.1"),
        )
        self.environment.update(given, PYTHONDONTWRITEBYTECODE="1")

    def command(self) -> Any:
        """
        What the image runs.
        """
        first, *rest = json.loads(instruction("CMD"))
        self.assertEqual("twistd", first)
        local = f"tcp:{self.front}:interface=127.0.0.1"
        return [
            with_(one, ("tcp:8080", local)) if "tcp" in one else one for one in rest
        ]

    def start(self) -> Any:
        """
        Start it, and wait until it listens.
        """
        process = self.popen(*self.command())
        until = time.monotonic() + SOON
        while True:
            self.assertLess(time.monotonic(), until)
            if process.poll() is not None:
                self.fail(f"it ended: {process.communicate()}")
            try:
                socket.create_connection(("127.0.0.1", self.front), SOON).close()
                return process
            except ConnectionError:
                time.sleep(0.02)

    def health(self, path: str = "/health") -> int:
        """
        What the status site says.
        """
        try:
            url = f"http://127.0.0.1:{self.status}{path}"
            with urlopen(url, timeout=SOON) as response:
                return int(response.status)
        except HTTPError as error:
            return error.code


class DockerfileTests(ContainerTestCase):
    """
    What the image runs.
    """

    def healthy(self) -> int:
        """
        The status of the command that asks whether it is well.
        """
        _, _, command = instruction("HEALTHCHECK").partition("CMD ")
        first, *rest = json.loads(command)
        self.assertEqual("python", first)
        rest[-1] = with_(rest[-1], ("localhost:9000", f"127.0.0.1:{self.status}"))
        return subprocess.run(
            [sys.executable, *rest],
            env=self.environment,
            cwd=self.directory,
            check=False,
            timeout=60,
        ).returncode

    def test_command(self) -> None:
        """
        It serves as it is said, says that it is well, and does not any more when it is
        told to end; a request that has begun is answered, the process ends with 0, the
        log goes to its output, and nothing is written to its folder.
        """
        self.assertEqual("SIGTERM", instruction("STOPSIGNAL"))
        self.assertEqual({"requirements.txt", "shop.py", "h11web.toml"}, self.copied)
        process = self.start()
        self.assertEqual(0, self.healthy())
        client = socket.create_connection(("127.0.0.1", self.front), SOON)
        self.addCleanup(client.close)
        client.sendall(b"GET /slow=3 HTTP/1.1\r\nHost: a\r\n\r\n")
        # Until a thread has it.
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + SOON
        while self.health() != 503:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        self.assertNotEqual(0, self.healthy())
        self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 200 "))
        client.close()
        out, err = process.communicate(timeout=SOON)
        self.assertEqual((0, ""), (process.returncode, err))
        self.assertIn('"GET /slow=3 HTTP/1.1" 200', out)
        self.assertEqual(sorted(self.copied), self.files())

    def test_ports(self) -> None:
        """
        The ports that are exposed are those that are listened on.
        """
        command, given = instruction("CMD"), instruction("ENV")
        one, two = instruction("EXPOSE").split()
        self.assertIn(f"--listen=tcp:{one}", command)
        self.assertIn(f"H11WEB_STATUS_LISTEN=tcp:{two}", given)
        self.assertIn(f":{two}/health", instruction("HEALTHCHECK"))


class KubernetesTests(ContainerTestCase):
    """
    The manifests.
    """

    def setUp(self) -> None:
        """
        Parse them.
        """
        super().setUp()
        parsed = list(need("yaml").safe_load_all(example("kubernetes.yaml")))
        self.objects = {one["kind"]: one for one in parsed}
        self.assertEqual(len(parsed), len(self.objects))
        self.pod = self.objects["Deployment"]["spec"]["template"]["spec"]
        (self.container,) = self.pod["containers"]
        self.variables = {one["name"]: one["value"] for one in self.container["env"]}

    def test_ending(self) -> None:
        """
        The pod is not killed while the server may still answer; it gives others time to
        hear of its end.
        """
        first, pause = self.container["lifecycle"]["preStop"]["exec"]["command"]
        self.assertEqual("sleep", first)
        self.assertGreater(
            self.pod["terminationGracePeriodSeconds"],
            int(pause) + float(self.variables["H11WEB_GRACE"]) + 1,
        )

    def test_links(self) -> None:
        """
        Services do not become variables, of which one could pass for an option.
        """
        self.assertIs(False, self.pod["enableServiceLinks"])

    def test_names(self) -> None:
        """
        What names something else names what is there.
        """
        ports = {one["name"]: one["containerPort"] for one in self.container["ports"]}
        exposed = [int(port) for port in instruction("EXPOSE").split()]
        self.assertEqual(exposed, [ports["http"], ports["status"]])
        (served,) = self.objects["Service"]["spec"]["ports"]
        self.assertIn(served["targetPort"], ports)
        labels = self.objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
        for selector in (
            self.objects["Deployment"]["spec"]["selector"]["matchLabels"],
            self.objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
            self.objects["Service"]["spec"]["selector"],
        ):
            self.assertEqual(labels, selector)
        volumes = {one["name"] for one in self.pod["volumes"]}
        mounted = {one["name"] for one in self.container["volumeMounts"]}
        self.assertEqual(volumes, mounted)
        user = shlex.split(instruction("USER"))
        self.assertEqual([str(self.pod["securityContext"]["runAsUser"])], user)

    def test_probes(self) -> None:
        """
        With the variables of the pod the server starts, and the probes find what they
        look for.
        """
        self.assertTrue(all(name.startswith(PREFIX) for name in self.variables))
        self.environment.update(self.variables)
        process = self.start()
        for kind in ("startupProbe", "readinessProbe"):
            asked = self.container[kind]["httpGet"]
            self.assertEqual("status", asked["port"])
            self.assertEqual(200, self.health(asked["path"]))
        self.assertEqual(
            {"port": "status"}, self.container["livenessProbe"]["tcpSocket"]
        )
        process.terminate()
        process.communicate(timeout=SOON)
        self.assertEqual(0, process.returncode)
