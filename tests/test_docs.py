"""
The documentation says what the code does.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import h11
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.times import end_no_turn
from twisted_h11 import protocol
from twisted_h11.server import Site, describe_limits, describe_log_fields
from twisted_h11.tap import Options

TOP = Path(__file__).resolve().parent.parent
DOCS = TOP / "docs"


def load(path: Path) -> dict[str, Any]:
    """
    Run a Python file that is in no package.
    """
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), names)
    return names


def generated(name: str = "generated") -> dict[str, Any]:
    """
    A module that makes parts of the documentation.
    """
    try:
        return load(DOCS / "_ext" / f"{name}.py")
    except ModuleNotFoundError as error:
        if error.name not in ("docutils", "sphinx"):
            raise
        raise SkipTest("docutils is not installed (extra docs)") from None


def converted(docstring: str) -> str:
    """
    A docstring as Sphinx gets it, without the empty lines.
    """
    lines = load(DOCS / "_ext" / "epytext.py")["convert"](docstring.split("\n"))
    return "\n".join(line for line in lines if line.strip())


class GeneratedTests(SynchronousTestCase):
    """
    Tables that are made from the code.
    """

    def test_limits(self) -> None:
        """
        The table of limits has one row for each field, with its explanation.
        """
        lines = generated()["limits_table"]()
        rows = [line for line in lines if line.startswith("   * - ``")]
        self.assertEqual(
            rows, [f"   * - ``{field.name}``" for field in describe_limits()]
        )
        for field in describe_limits():
            self.assertIn(f"     - {field.metadata['doc']}", lines)

    def test_noMarkup(self) -> None:
        """
        What options and limits say of themselves is plain text, for it is shown in
        a terminal, too.
        """
        for text in (
            *(field.metadata["doc"] for field in describe_limits()),
            Options().getUsage(),
        ):
            self.assertNotRegex(text, r"[A-Z]\{")

    def test_limitsPage(self) -> None:
        """
        The page has the table.
        """
        self.assertIn(".. limits-table::", (DOCS / "limits.rst").read_text("utf-8"))

    def test_logFields(self) -> None:
        """
        So has the table of what the access log may say.
        """
        lines = generated()["log_fields"]()
        rows = [line for line in lines if line.startswith("   * - ``")]
        self.assertEqual(
            rows, [f"   * - ``{field.name}``" for field in describe_log_fields()]
        )
        self.assertIn(".. log-fields::", (DOCS / "logging.rst").read_text("utf-8"))

    def test_logging(self) -> None:
        """
        The command lines of the page on logs are in order, and its Python runs.
        """
        text = (DOCS / "logging.rst").read_text("utf-8")
        commands = re.findall(r"\$ twistd ((?:.*\\\n)*.*)", text)
        self.assertEqual(3, len(commands))
        for command in commands:
            arguments = shlex.split(command.replace("\\\n", " "))
            options: Any = Options()
            options.parent = {"nodaemon": True}
            options.parseOptions(arguments[arguments.index("h11web") + 1 :])
        code = text.split(".. code-block:: python\n\n")[1].split("\n\nWhat")[0]
        exec(textwrap.dedent(code), {"root": None})

    def test_values(self) -> None:
        """
        Defaults are written in the largest unit that gives a whole number.
        """
        describe = generated()["describe_value"]
        self.assertEqual(describe(16384, "bytes"), "16 KiB")
        self.assertEqual(describe(1000, "bytes"), "1000 bytes")
        self.assertEqual(describe(75, "seconds"), "75 seconds")
        self.assertEqual(describe(None, "seconds"), "none")

    def test_options(self) -> None:
        """
        The reference has every option, and those of the limits by one rule.
        """
        made = generated()
        text = "\n".join(made["options_list"]())
        limits = {made["option_name"](f.name)[2:] for f in describe_limits()}
        known = {name.rstrip("=") for name in Options().longOpt}
        self.assertLessEqual(limits, known)
        for name in known - limits:
            if len(name) > 1:
                self.assertRegex(text, rf"``--{name}( VALUE)?``")


class EpytextTests(SynchronousTestCase):
    """
    Docstrings are converted for Sphinx.
    """

    def test_inline(self) -> None:
        """
        Names become links, code a literal, and special characters are kept; markup that
        stands beside something else is set off.
        """
        self.assertEqual(
            converted("A L{Site<a.b.Site>}, C{x}s, B{bold} and *args, name_."),
            "A :py:obj:`Site<a.b.Site>`, ``x``\\ s, **bold** and \\*args, name\\_.",
        )
        self.assertEqual(
            converted("self.L{name}() in (C{x})"),
            "self.\\ :py:obj:`name`\\ () in (``x``)",
        )

    def test_fields(self) -> None:
        """
        Fields become Sphinx's, with their continuation lines.
        """
        self.assertEqual(
            converted("Do.\n\n@param x: one\n    two\n@raise E: if C{x}."),
            "Do.\n:param x: one two\n:raises E: if ``x``.",
        )

    def test_variables(self) -> None:
        """
        A variable becomes an attribute, behind the rest, unless it has a docstring of
        its own.
        """
        convert = load(DOCS / "_ext" / "epytext.py")["convert"]
        lines = convert(
            ["A.", "", "@ivar x: C{one}.", "@ivar y: two.", "@raise E: if."], {"y"}
        )
        self.assertEqual(
            [line for line in lines if line],
            ["A.", ":raises E: if.", ".. py:attribute:: x", "   ``one``."],
        )

    def test_literal(self) -> None:
        """
        A literal block is left as it is.
        """
        self.assertEqual(
            converted("Do::\n\n    C{x} *y\n\nThen C{z}."),
            "Do::\n    C{x} *y\nThen ``z``.",
        )


class OutsideTests(SynchronousTestCase):
    """
    Links to the documentation of others.
    """

    def test_addresses(self) -> None:
        """
        A module and a class of Twisted have a page, what is in them an anchor; h11 has
        one page; other names have none.
        """
        url_of = generated("outside")["url_of"]
        api = "https://docs.twisted.org/en/stable/api/twisted.web"
        for name, url in (
            ("twisted.web.distrib", f"{api}.distrib.html"),
            ("twisted.web.client.readBody", f"{api}.client.html#readBody"),
            ("twisted.web.client.Agent", f"{api}.client.Agent.html"),
            ("twisted.web.client.Agent.request", f"{api}.client.Agent.html#request"),
            ("twisted.web.iweb.IRequest.write", f"{api}.iweb.IRequest.html#write"),
            ("h11.Data", "https://h11.readthedocs.io/en/latest/api.html#h11.Data"),
            ("h11", "https://h11.readthedocs.io/en/latest/api.html"),
            ("Request", None),
        ):
            self.assertEqual(url, url_of(name))

    def test_wrong(self) -> None:
        """
        A name that the package does not have is an error.
        """
        url_of = generated("outside")["url_of"]
        for name in ("twisted.web.client.Agnt", "twisted.wib", "h11.Date"):
            self.assertRaises(LookupError, url_of, name)


class ShortNameTests(SynchronousTestCase):
    """
    Links from names as a module has imported them.
    """

    def test_names(self) -> None:
        """
        A public name of ours is where the reference has it, a name of Twisted's where
        Twisted defines it; private names, and those of others, have no link.
        """
        full_name = load(DOCS / "_ext" / "shortnames.py")["full_name"]
        for module, short, full in (
            ("service", "Deferred", "twisted.internet.defer.Deferred"),
            ("interfaces", "IResource", "twisted.web.resource.IResource"),
            ("protocol", "Limits", "twisted_h11.server.Limits"),
            ("protocol", "EventReader", None),
            ("protocol", "h11", None),
            ("protocol", "nothing", None),
        ):
            self.assertEqual(full, full_name(f"twisted_h11.{module}", short))


class ReadmeTests(SynchronousTestCase):
    """
    README's commands.
    """

    def commands(self) -> list[str]:
        """
        The lines of README that are to be typed as they are.
        """
        text = (TOP / "README.rst").read_text("utf-8")
        return re.findall(r"^ {4}(python3 -m venv .*)$", text, re.MULTILINE)

    def test_two(self) -> None:
        """
        There are two: one runs the server, one the tests.
        """
        run, test = self.commands()
        self.assertTrue(run.endswith("/twistd -n h11web --port 8080"), run)
        self.assertTrue(test.endswith(" -m twisted.trial -j2 tests"), test)

    def test_sameAsGettingStarted(self) -> None:
        """
        The documentation starts with the first one.
        """
        self.assertIn(
            self.commands()[0], (DOCS / "getting_started.rst").read_text("utf-8")
        )

    def test_whatCIRuns(self) -> None:
        """
        C{.ci/run} takes the second one out of README, and has no copy of it.
        """
        script = (TOP / ".ci" / "run").read_text("utf-8")
        function = re.search(r"^readme_test_command\(\) \{.*?^\}", script, re.M | re.S)
        assert function is not None
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", function[0] + "\nreadme_test_command"],
            cwd=TOP,
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(done.stdout.strip(), self.commands()[1])


class ExampleTests(SynchronousTestCase):
    """
    The examples work.
    """

    def answer(self, site: Site) -> bytes:
        """
        What a site answers to a GET.
        """
        transport = StringTransport()
        protocol = site.buildProtocol(None)
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        written: bytes = transport.value()
        return written

    def test_embedding(self) -> None:
        """
        The embedded site answers, with the field that it adds and no Server.
        """
        site = load(DOCS / "examples" / "embedding.py")["makeSite"]()
        site.reactor = Clock()
        answer = self.answer(site)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        self.assertTrue(answer.endswith(b"\r\n\r\nHello, world!\n"), answer)
        self.assertIn(b"\r\nX-Content-Type-Options: nosniff\r\n", answer)
        self.assertNotIn(b"\r\nServer:", answer)

    def test_embeddingStops(self) -> None:
        """
        The service that was never started stops at once.
        """
        service = load(DOCS / "examples" / "embedding.py")["makeService"]()
        stopped = service.stopService()
        self.assertIsInstance(stopped, Deferred)
        self.successResultOf(stopped)

    def test_gettingStarted(self) -> None:
        """
        The first program, run as it is, says that it listens, and ends when it
        is told to.
        """
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(
                [
                    sys.executable,
                    str(DOCS / "examples" / "getting_started.py"),
                    f"unix:{folder}/s",
                ],
                cwd=TOP,
                env={"PYTHONPATH": str(TOP), "PATH": "/usr/bin:/bin"},
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                assert process.stdout is not None
                self.assertTrue(process.stdout.readline().startswith("listening on"))
                process.terminate()
                process.communicate(timeout=60)
            finally:
                process.kill()
                process.communicate()

    def test_firstProtocol(self) -> None:
        """
        The first protocol, on its page and in its module, answers whatever the method,
        and also on a connection that is not used again.
        """
        end_no_turn(self)
        page = (DOCS / "protocol.rst").read_text("utf-8")
        block = page.split(".. code-block:: python\n\n")[1].split("\n\nEvents in")[0]
        module = (protocol.__doc__ or "").split("::\n\n")[1].split("\n\nh11's")[0]
        for text in (block, module):
            names: dict[str, Any] = {"h11": h11, **vars(protocol)}
            exec(textwrap.dedent(text).split("\n\nendpoint")[0], names)
            for method, field, body in (
                (b"GET", b"", b"hello"),
                (b"GET", b"Connection: close\r\n", b"hello"),
                (b"HEAD", b"", b""),
            ):
                transport = StringTransport()
                made = names["Hello"]()
                made.makeConnection(transport)
                made.dataReceived(
                    b"%b / HTTP/1.1\r\nHost: x\r\n%b\r\n" % (method, field)
                )
                self.assertEqual(body, transport.value().split(b"\r\n\r\n")[1])
                # It has the real reactor: leave no delayed call there.
                made.connectionLost()

    def test_gettingStartedResource(self) -> None:
        """
        Its resource says hello.
        """
        hello = load(DOCS / "examples" / "getting_started.py")["Hello"]
        site = Site(hello(), reactor=Clock(), accessLog=False)
        self.assertTrue(self.answer(site).endswith(b"\r\n\r\nHello, world!\n"))
