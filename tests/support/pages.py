"""
Does what a page of the documentation says, word for word.

Of a page count:

  - C{.. literalinclude::} with a caption: a file of that name is saved.
  - C{.. code-block:: console}: commands begin with C{$}; what stands below one is what
    it says, with C{...} for what may be anything.  A plain C{curl -sS http://...}
    may be asked until it says that.
  - the same with C{:class: serve}: at last a server, in another terminal.  The next one
    on the same port is started when this one was stopped.
  - with C{:class: meanwhile}: goes on in another terminal while the rest is done.
  - with C{:class: setup}: is left out, unless the page is tried in a clone.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

__all__ = ["DOCS", "Block", "Reader", "read_page", "walkable_pages"]

TOP = Path(__file__).resolve().parents[2]
DOCS = TOP / "docs"

# The ports that pages name.
PORTS = ("8080", "8000", "9000")
SOON = 30.0

# How commands and settings say on which port they listen; a proxy names another, too.
_LISTENS = re.compile(rf"(?:tcp:|listen 127\.0\.0\.1:)({'|'.join(PORTS)})\b")

_BLOCK = re.compile(
    r"^\.\. (?P<kind>literalinclude|code-block):: (?P<argument>\S+)\n"
    r"(?P<options>(?:   :.*\n)*)(?P<content>(?:\n|   .*\n)*)",
    re.MULTILINE,
)


@dataclass
class Block:
    """
    Something to do.

    @ivar kind: C{save}, C{run}, C{serve}, C{meanwhile} or C{setup}.
    @ivar name: of the file that is saved.
    @ivar text: what is in it.
    @ivar commands: the commands, each with what it says.
    """

    kind: str
    name: str = ""
    text: str = ""
    commands: list[tuple[str, str]] = field(default_factory=list)


def walkable_pages() -> list[Path]:
    """
    The pages that say what to do from their first word to their last.
    """
    pages = [DOCS / "index.rst", *DOCS.glob("tutorial_*.rst")]
    return sorted([*pages, *(DOCS / "howto").glob("*.rst")])


def read_page(page: Path) -> list[Block]:
    """
    What a page says is to be done.
    """
    blocks = []
    for found in _BLOCK.finditer(page.read_text("utf-8") + "\n"):
        options = dict(re.findall(r"   :(\S+): (.*)", found["options"]))
        if found["kind"] == "literalinclude":
            if "caption" in options:
                source = (page.parent / found["argument"]).read_text("utf-8")
                blocks.append(Block("save", options["caption"], source))
        elif found["argument"] == "console":
            kind = options.get("class", "run")
            blocks.append(Block(kind, commands=_commands(found["content"])))
    return blocks


def _commands(content: str) -> list[tuple[str, str]]:
    lines = [line[3:] for line in content.strip("\n").split("\n")]
    found: list[tuple[str, str]] = []
    whole = "\n".join(lines).replace("\\\n", " ")
    for line in whole.split("\n"):
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found:
            command, said = found[-1]
            found[-1] = command, f"{said}{line}\n"
    return found


class Reader:
    """
    Somebody who does what a page says, in a folder.

    @ivar folder: where.
    @ivar environment: the variables of the commands.
    """

    def __init__(self, case: Any, folder: str) -> None:
        self.case = case
        self.folder = folder
        self.ports = {port: str(free_port()) for port in PORTS}
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
            "PYTHONPATH": str(TOP),
        }
        self.saved: dict[str, str] = {}
        self.serving: dict[str, Any] = {}
        self.others: list[tuple[Any, str, str]] = []

    def ours(self, text: str) -> str:
        """
        Put the ports of this test in the place of the page's.
        """
        for port, number in self.ports.items():
            text = re.sub(rf"\b{port}\b", number, text)
        return text

    def do(self, page: Path, setup: bool = False) -> int:
        """
        Do all of a page, or fail.

        @param setup: whether to set the environment up, too.
        @return: how many commands that were.
        """
        count = 0
        for block in read_page(page):
            if block.kind != "setup" or setup:
                count += len(block.commands)
            if block.kind == "save":
                self.saved[block.name] = block.text
                Path(self.folder, block.name).write_text(self.ours(block.text))
            elif block.kind == "serve":
                self.serve(*block.commands)
            elif block.kind == "meanwhile":
                for command, said in block.commands:
                    self.begin(command, said)
            elif block.kind == "setup":
                if setup:
                    self.setUp("\n".join(command for command, _ in block.commands))
            else:
                self.case.assertEqual("run", block.kind)
                for command, said in block.commands:
                    self.run_(command, said)
        for process, path, said in self.others:
            # What was sent last may be on its way.
            until = time.monotonic() + SOON
            while time.monotonic() < until:
                if self.isSame(said, Path(path).read_text("utf-8")):
                    break
                time.sleep(0.02)
            self.same(said, Path(path).read_text("utf-8"), "meanwhile")
            self.stop(process)
        for process in list(self.serving.values()):
            self.stop(process)
        return count

    def start(self, command: str, output: str) -> Any:
        """
        Start a command in another terminal.
        """
        with open(output, "wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {self.ours(command)}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.case.addCleanup(self.stop, process)
        return process

    def stop(self, process: Any) -> None:
        """
        Press Control and C there.
        """
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(SOON)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def serve(self, *commands: tuple[str, str]) -> None:
        """
        Start a server, and wait until it listens.

        @param commands: what is done in its terminal before, and at last the server.
        """
        *before, (command, _) = commands
        text = command
        for name, content in self.saved.items():
            if re.search(rf"\b{re.escape(Path(name).stem)}\b", command):
                text += content
        found = _LISTENS.search(text)
        port = found[1] if found else next(one for one in PORTS if one in text)
        if port in self.serving:
            self.stop(self.serving.pop(port))
        for other, said in before:
            self.run_(other, said)
        output = os.path.join(self.folder, f".{port}.out")
        process = self.serving[port] = self.start(command, output)
        until = time.monotonic() + SOON
        while True:
            with socket.socket() as tried:
                if not tried.connect_ex(("127.0.0.1", int(self.ports[port]))):
                    return
            if process.poll() is not None or time.monotonic() > until:
                self.case.fail(f"{command}: {Path(output).read_text('utf-8')}")
            time.sleep(0.02)

    def begin(self, command: str, said: str) -> None:
        """
        Start what goes on meanwhile, and wait for its first line, if it has one.
        """
        output = os.path.join(self.folder, f".{len(self.others)}.meanwhile")
        process = self.start(command, output)
        self.others.append((process, output, said))
        if said:
            first = said.split("\n")[0]
            until = time.monotonic() + SOON
            while first not in Path(output).read_text("utf-8"):
                if process.poll() is not None or time.monotonic() > until:
                    self.case.fail(f"{command}: {Path(output).read_text('utf-8')}")
                time.sleep(0.02)

    def run_(self, command: str, said: str) -> None:
        """
        Run a command to its end, and look at what it says.
        """
        until = time.monotonic() + SOON
        while True:
            done = subprocess.run(
                ["bash", "-c", self.ours(command)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SOON,
                check=False,
            )
            again = command.startswith("curl -sS http") and time.monotonic() < until
            if not again or self.isSame(said, done.stdout):
                break
            time.sleep(0.05)
        self.case.assertEqual(0, done.returncode, f"{command}: {done.stdout}")
        self.same(said, done.stdout, command)

    def setUp(self, commands: str) -> None:
        """
        Set up in a clone, which is the folder until the page leaves it.
        """
        del self.environment["PYTHONPATH"]
        where = os.path.join(self.folder, ".where")
        done = subprocess.run(
            ["bash", "-ec", f'{commands}\nprintf "%s\\n" "$PWD" "$PATH" >"$0"', where],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        self.case.assertEqual(0, done.returncode, done.stdout)
        self.folder, self.environment["PATH"] = (
            Path(where).read_text("utf-8").splitlines()
        )

    def isSame(self, said: str, really: str) -> bool:
        """
        Whether this was to be said.
        """
        said, really = (
            re.sub(r"[ \t]+", " ", re.sub(r"[ \t]+$", "", text, flags=re.M)).strip("\n")
            for text in (self.ours(said), really)
        )
        return not said or OutputChecker().check_output(
            said + "\n", really + "\n", ELLIPSIS
        )

    def same(self, said: str, really: str, command: str) -> None:
        """
        Fail if it was not.
        """
        if not self.isSame(said, really):
            self.case.fail(f"{command} says\n{really}\nand not\n{self.ours(said)}")
