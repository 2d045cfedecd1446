"""
The commands of docs/deployment.rst that take their time: the image's, and watchfiles.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.long.test_deployment_containers import instruction, instructions
from tests.support.command_cases import SOON
from tests.support.deployment import DEPLOYMENT, SHOP, example, with_
from tests.support.long_cases import TOP, LongTestCase
from tests.support.optional import need
from tests.support.ports import free_port

_CHANGED = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "7")])
    return [b"changed"]
"""


class DeploymentTestCase(LongTestCase):
    """
    A folder, and what runs in it.
    """

    def setUp(self) -> None:
        """
        Make the folder.
        """
        super().setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        Path(self.folder, "shop.py").write_text(SHOP)
        self.port = free_port()

    def run_(self, command: list[str], **environment: str) -> Any:
        """
        Start something, in a group of its own.
        """
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

        def end() -> None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

        self.addCleanup(end)
        return process

    def answer(self, wanted: str) -> None:
        """
        Wait until the server answers something.
        """
        until = time.monotonic() + SOON
        said = ""
        while wanted not in said:
            self.assertLess(time.monotonic(), until, said)
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/x", timeout=5) as response:
                    said = response.read().decode()
            except (URLError, ConnectionError):
                time.sleep(0.05)


class ImageTests(DeploymentTestCase):
    """
    The Dockerfile, by parts.
    """

    def test_built(self) -> None:
        """
        What it installs runs what it runs.
        """
        made = os.path.join(self.folder, "venv")
        venv.create(made, with_pip=True)
        path = f"{made}/bin{os.pathsep}{os.environ['PATH']}"
        app = os.path.join(self.folder, "app")
        os.mkdir(app)
        ran = []
        for kind, rest in instructions():
            if kind == "COPY":
                for name in rest.split()[:-1]:
                    source = DEPLOYMENT / name
                    if not source.exists():
                        source = Path(self.folder, name)
                    shutil.copy(source, app)
            if kind == "RUN" and not rest.startswith("useradd "):
                # Not from the index, but what is tested here.
                requirements = Path(app, "requirements.txt")
                requirements.write_text(
                    example("requirements.txt").replace(
                        "twisted-h11[metrics]", f"twisted-h11[metrics] @ file://{TOP}"
                    )
                )
                subprocess.run(
                    ["/bin/sh", "-c", rest],
                    cwd=app,
                    env={**os.environ, "PATH": path, "PIP_QUIET": "1"},
                    check=True,
                    timeout=300,
                )
                ran.append(rest.split()[0])
        self.assertEqual(["pip", "python"], ran)
        given = dict(one.split("=", 1) for one in instruction("ENV").split())
        status = f"tcp:{free_port()}:interface=127.0.0.1"
        given["H11WEB_STATUS_LISTEN"] = status
        command = json.loads(instruction("CMD"))
        local = f"tcp:{self.port}:interface=127.0.0.1"
        command[-1] = with_(command[-1], ("tcp:8080", local))
        command[0] = f"{made}/bin/twistd"
        self.folder = app
        self.addCleanup(setattr, self, "folder", os.path.dirname(app))
        process = self.run_(command, PATH=path, PYTHONPATH="", **given)
        self.answer("127.0.0.1, by http")
        process.terminate()
        self.assertEqual(0, process.wait(SOON))


class WatchTests(DeploymentTestCase):
    """
    watchfiles.
    """

    def test_changed(self) -> None:
        """
        A changed file is served at once, again and again.
        """
        need("watchfiles")
        text = (DEPLOYMENT.parents[1] / "deployment.rst").read_text("utf-8")
        found = re.search(r"\$ (watchfiles .*)", text)
        assert found is not None
        command = shlex.split(
            with_(
                found[1],
                ("twistd", f"{os.path.dirname(sys.executable)}/twistd"),
                ("--grace", f"-p tcp:{self.port}:interface=127.0.0.1 --grace"),
            )
        )
        self.run_([sys.executable, "-m", *command], PYTHONPATH=str(TOP))
        for _ in range(2):
            self.answer("127.0.0.1 http")
            Path(self.folder, "shop.py").write_text(_CHANGED)
            self.answer("changed")
            Path(self.folder, "shop.py").write_text(SHOP)
        self.answer("127.0.0.1 http")
