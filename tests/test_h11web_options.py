"""
The options of C{twistd h11web}: what they mean, and what is refused.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import demo, distrib, script, static, twcgi
from twisted.web import tap as web_tap
from twisted.web.resource import Resource
from twisted.web.wsgi import WSGIResource

from twisted_h11._bounds import format_bound, parse_bound
from twisted_h11._limits import KIB, Limits, describe_limits
from twisted_h11._options import Options


class NotAResource:
    """
    A class that can not be a root.
    """


class Exploding(Resource):
    """
    A resource that can not be made.
    """

    def __init__(self) -> None:
        raise RuntimeError("the database\nis away")


def application(environ: Any, startResponse: Any) -> list[bytes]:
    """
    A WSGI application.
    """
    return []


HERE = "tests.test_h11web_options"


class _Reactor:
    """
    As much of a reactor as C{--wsgi} needs.
    """

    def __init__(self) -> None:
        self.functions: list[str] = []

    def callWhenRunning(self, function: Any) -> None:
        """
        Note what would be called.
        """
        self.functions.append(function.__name__)

    def addSystemEventTrigger(self, phase: str, event: str, function: Any) -> None:
        """
        Note what would be called.
        """
        self.functions.append(function.__name__)


class OptionsTestCase(SynchronousTestCase):
    """
    Parses command lines.
    """

    def parse(self, *arguments: str) -> Options:
        """
        Parse a command line that is right.
        """
        options = Options()
        options.parseOptions(list(arguments))
        return options

    def names(self, *arguments: str) -> list[str]:
        """
        What is listened on.
        """
        return [name for name, endpoint in self.parse(*arguments)["listen"]]

    def refused(self, *arguments: str) -> str:
        """
        Parse a command line that is wrong: the message, in one line.
        """
        message = str(self.assertRaises(UsageError, self.parse, *arguments))
        self.assertNotIn("\n", message)
        return message

    def directory(self) -> str:
        """
        A new directory.
        """
        path: str = self.mktemp()
        os.mkdir(path)
        return os.path.abspath(path)


class SameAsWebTests(OptionsTestCase):
    """
    What C{twistd web} offers is offered.
    """

    def test_allThatIsNotDeprecated(self) -> None:
        """
        Each option of C{twistd web} that is not deprecated is there under the
        same names, and the deprecated ones are not.
        """
        theirs, ours = web_tap.Options(), Options()
        deprecated = {
            name
            for name, text in theirs.docs.items()
            if "DEPRECATED" in text and name not in ("port", "p")
        }
        self.assertEqual(
            {"certificate", "privkey", "https", "notracebacks"}, deprecated
        )
        wanted = set(theirs.synonyms.items()) - {
            (short, long)
            for short, long in theirs.synonyms.items()
            if long in deprecated
        }
        self.assertEqual(set(), wanted - set(ours.synonyms.items()))
        self.assertEqual(set(), deprecated & set(ours.synonyms))

    def test_path(self) -> None:
        """
        C{--path} serves a directory with the processors of C{twistd web}.
        """
        path = self.directory()
        root = self.parse("--path", path)["root"]
        self.assertIsInstance(root, static.File)
        self.assertEqual(path, root.path)
        self.assertEqual(
            {
                ".cgi": twcgi.CGIScript,
                ".epy": script.PythonScript,
                ".rpy": script.ResourceScript,
            },
            root.processors,
        )

    def test_optionsOfPath(self) -> None:
        """
        The options that go after C{--path} configure the directory.
        """
        options = self.parse(
            *("--path", self.directory(), "--mime-type", "a/b", "--index", "x.html"),
            *("--ignore-ext", ".txt", "--allow-ignore-ext"),
            *("--processor", ".x=twisted.web.demo.Test"),
        )
        root = options["root"]
        self.assertEqual("a/b", root.defaultType)
        self.assertEqual([".txt", "*"], root.ignoredExts)
        self.assertIs(demo.Test, root.processors[".x"])
        self.assertEqual(["x.html"], options["indexes"])

    def test_class(self) -> None:
        """
        C{--class} makes an instance.
        """
        root = self.parse("--class", "twisted.web.demo.Test")["root"]
        self.assertIsInstance(root, demo.Test)

    def test_wsgi(self) -> None:
        """
        C{--wsgi} serves a WSGI application, whose threads run as long as the
        reactor does.
        """
        reactor = _Reactor()
        self.patch(web_tap, "reactor", reactor)
        root = self.parse("--wsgi", f"{HERE}.application")["root"]
        self.assertIsInstance(root, WSGIResource)
        self.assertEqual(["start", "stop"], reactor.functions)

    def test_resourceScript(self) -> None:
        """
        C{--resource-script} serves what an .rpy file makes.
        """
        path = os.path.join(self.directory(), "root.rpy")
        with open(path, "w") as file:
            file.write("resource = None")
        root = self.parse("--resource-script", path)["root"]
        self.assertIsInstance(root, script.ResourceScriptWrapper)

    def test_user(self) -> None:
        """
        C{--user} serves users' directories.
        """
        self.assertIsInstance(self.parse("-u")["root"], distrib.UserDirectory)

    def test_personal(self) -> None:
        """
        C{--personal} listens on a UNIX socket in the home directory, unless
        another port is given.
        """
        [(name, endpoint)] = self.parse("--personal")["listen"]
        self.assertEqual(f"unix:{os.path.expanduser('~')}/.twistd-web-pb", name)
        self.assertIsInstance(endpoint, UNIXServerEndpoint)
        self.assertEqual(["port 81"], self.names("--personal", "-p", "81"))
        message = self.refused("--personal", "--add-header", "a: b")
        self.assertIn("--add-header and --personal exclude each other", message)


class ListenTests(OptionsTestCase):
    """
    C{--port}, C{--interface} and C{--listen}.
    """

    def test_default(self) -> None:
        """
        Without options it is port 8080 on all IPv4 interfaces.
        """
        [(name, endpoint)] = self.parse()["listen"]
        self.assertEqual("port 8080", name)
        self.assertIsInstance(endpoint, TCP4ServerEndpoint)

    def test_number(self) -> None:
        """
        C{-p} and C{--port} take a number, without a deprecation warning.
        """
        self.assertEqual(["port 80"], self.names("-p", "80"))
        self.assertEqual(["port 0"], self.names("--port", "0"))
        self.assertEqual([], self.flushWarnings())

    def test_description(self) -> None:
        """
        C{--port} also takes an endpoint description.
        """
        self.assertEqual(["unix:/x"], self.names("--port", "unix:/x"))

    def test_interface(self) -> None:
        """
        C{--interface} restricts a number to an IPv4 or IPv6 address.
        """
        [(name, endpoint)] = self.parse("--interface", "127.0.0.1")["listen"]
        self.assertEqual("port 8080 of 127.0.0.1", name)
        self.assertIsInstance(endpoint, TCP4ServerEndpoint)
        for address in ("::1", "[::1]"):
            listen = self.parse("-p", "81", "--interface", address)["listen"]
            [(name, endpoint)] = listen
            self.assertEqual("port 81 of ::1", name)
            self.assertIsInstance(endpoint, TCP6ServerEndpoint)

    def test_listen(self) -> None:
        """
        C{--listen} may be repeated, and goes together with C{--port}.
        """
        self.assertEqual(
            ["tcp:1", "unix:/x", "port 3"],
            self.names("--listen", "tcp:1", "-p", "3", "--listen", "unix:/x"),
        )

    def test_wrong(self) -> None:
        """
        What is no port, endpoint or address is refused with its name.
        """
        for arguments, reason in (
            (["--port", "http"], "--port http: neither a number nor"),
            (["--port", "65536"], "--port 65536: a port number is at most 65535"),
            (["--port", "tcp:x"], "--port tcp:x: not a number: 'x'"),
            (["--listen", "8080"], "--listen 8080: not an endpoint description"),
            (["--listen", "tcp:1:a=b"], "got an unexpected keyword argument 'a'"),
            (["--listen", "foo:1"], "Unknown endpoint type: 'foo'"),
            (["--listen", "tcp:1\\"], "nothing follows the last backslash"),
            (["--listen", "systemd:domain=INET:index=0"], "no such socket was"),
            (["--interface", "localhost"], "localhost: not an IP address"),
            (["--interface", "::1", "--listen", "tcp:1"], "--interface goes with"),
            (["--interface", "::1", "--port", "tcp:1"], "--interface goes with"),
        ):
            with self.subTest(arguments=arguments):
                self.assertIn(reason, self.refused(*arguments))

    def test_certificate(self) -> None:
        """
        A certificate that is missing or does not load is refused.
        """
        path = os.path.join(self.directory(), "server.pem")
        missing = self.refused("--listen", f"ssl:0:privateKey={path}")
        self.assertIn(f"{path}: No such file or directory", missing)
        with open(path, "w") as file:
            file.write("-----BEGIN CERTIFICATE-----\nnonsense\n")
        bad = self.refused("--listen", f"ssl:0:privateKey={path}")
        self.assertIn("can not load the certificate or key", bad)

    def test_certificateDirectory(self) -> None:
        """
        A C{tls:} endpoint without a certificate in its directory is refused.
        """
        path = self.directory()
        self.assertIn("no certificate and key", self.refused("--port", f"tls:{path}"))
        self.assertIn(
            "no such directory", self.refused("--port", f"haproxy:tls:{path}/x:port=0")
        )


class RootTests(OptionsTestCase):
    """
    Roots that can not be served.
    """

    def test_wrong(self) -> None:
        """
        What is not there, does not import or can not be made is refused.
        """
        for arguments, reason in (
            (["--path", "/nope"], "--path /nope: No such file"),
            (["--class", "nodots"], "--class nodots: Empty module name"),
            (["--class", "nope.X"], "No module named 'nope' (modules are looked"),
            (["--class", f"{HERE}.Nope"], "has no attribute 'Nope'"),
            (["--class", f"{HERE}.NotAResource"], "not a resource"),
            (["--class", f"{HERE}.Exploding"], "RuntimeError: the database is away"),
            (["--wsgi", f"{HERE}.nope"], "has no attribute 'nope'"),
            (["--wsgi", f"{HERE}.HERE"], "a WSGI application is callable"),
            (["--resource-script", "/nope"], "--resource-script /nope: No such file"),
            (["--processor", ".x=a.B"], "--processor goes after --path"),
            (["--mime-type", "a/b"], "--mime-type goes after --path"),
            (["--ignore-ext", ".x"], "--ignore-ext goes after --path"),
            (["--allow-ignore-ext"], "--allow-ignore-ext goes after --path"),
            (["--path", "/", "--processor", "x"], "not of the form ext=class"),
            (["--path", "/", "--processor", ".x=nope.B"], "No module named 'nope'"),
            (["--nonsense"], "option --nonsense not recognized"),
            (["extra"], "Wrong number of arguments."),
        ):
            with self.subTest(arguments=arguments):
                self.assertIn(reason, self.refused(*arguments))


class ResponseTests(OptionsTestCase):
    """
    C{--add-header}, C{--server-header} and the logs.
    """

    def test_addHeader(self) -> None:
        """
        C{--add-header} takes names and values, as the bytes that were typed.
        """
        options = self.parse("--add-header", "A: b:c ", "--add-header", "X:é")
        self.assertEqual(
            [(b"A", b"b:c"), (b"X", "é".encode())], options["extraHeaders"]
        )

    def test_addHeaderWrong(self) -> None:
        """
        What could break a response is refused.
        """
        for header, reason in (
            ("nocolon", "not of the form"),
            ("b ad: x", "not a token"),
            (": x", "not a token"),
            ("a: b\r\nc: d", "control character"),
            ("a: \x7f", "control character"),
            ("Content-Length: 3", "the server itself"),
            ("Server: x", "use --server-header"),
        ):
            with self.subTest(header=header):
                self.assertIn(reason, self.refused("--add-header", header))

    def test_serverHeader(self) -> None:
        """
        C{--server-header} replaces the Server field, C{off} removes it.
        """
        self.assertNotIn("serverHeader", self.parse())
        self.assertEqual(b"me", self.parse("--server-header", "me")["serverHeader"])
        self.assertIsNone(self.parse("--server-header", "off")["serverHeader"])
        self.assertIn("printable", self.refused("--server-header", "a\nb"))
        self.assertIn("printable", self.refused("--server-header", " "))

    def test_logfile(self) -> None:
        """
        A log file is not created yet, but it is seen that it can be.
        """
        path = self.directory()
        self.parse("--logfile", f"{path}/x.log")
        self.assertEqual([], os.listdir(path))
        self.assertIn("no such directory", self.refused("-l", f"{path}/a/x.log"))
        self.assertIn("is a directory", self.refused("-l", path))
        self.assertIn(
            "exclude each other", self.refused("-l", f"{path}/x", "--no-access-log")
        )


class LimitTests(OptionsTestCase):
    """
    One option per field of L{Limits}, and C{--grace}.
    """

    def test_defaults(self) -> None:
        """
        Without options the limits are the defaults.
        """
        self.assertEqual(Limits(), self.parse()["limits"])
        self.assertEqual(30, self.parse()["grace"])

    def test_everyField(self) -> None:
        """
        Each field has an option whose default reads back as the field's.
        """
        options = Options()
        for bound in describe_limits():
            self.assertEqual(bound.default, parse_bound(bound, format_bound(bound)))
        takeValue = [name for name in options.longOpt if name.endswith("=")]
        self.assertIn("max-head-length=", takeValue)
        for bound in fields(Limits):
            spelled = bound.name.lower() + "="
            self.assertIn(spelled, [name.replace("-", "") for name in takeValue])

    def test_values(self) -> None:
        """
        Sizes take binary suffixes, seconds may be fractions, C{none} switches
        off what can be.
        """
        options = self.parse(
            *("--max-head-length", "32k", "--max-body-length", "none"),
            *(
                "--idle-timeout",
                "2.5",
                "--max-field-count",
                "7",
                "--drain-length",
                "1M",
            ),
        )
        self.assertEqual(
            Limits(
                maxHeadLength=32 * KIB,
                maxBodyLength=None,
                idleTimeout=2.5,
                maxFieldCount=7,
                drainLength=KIB * KIB,
            ),
            options["limits"],
        )

    def test_wrong(self) -> None:
        """
        What is no number, or switches off what always applies, is refused.
        """
        for option, value, reason in (
            ("max-head-length", "12Q", "not a number of bytes: expected 16k"),
            ("max-head-length", "-1", "not a number of bytes"),
            ("max-head-length", "none", "always applies"),
            ("max-field-count", "1k", "not a number of fields"),
            ("idle-timeout", "-1", "not a number of seconds"),
            ("idle-timeout", "nan", "not a number of seconds"),
            ("linger-timeout", "inf", "not a number of seconds"),
            ("grace", "soon", "--grace soon: not a number of seconds"),
        ):
            with self.subTest(option=option, value=value):
                self.assertIn(reason, self.refused(f"--{option}", value))


class CommandTests(OptionsTestCase):
    """
    As a command of twistd.
    """

    def test_oneLine(self) -> None:
        """
        As a subcommand, what is wrong ends the process with the line alone.
        """
        options = Options()
        options.parent = Options()
        error = self.assertRaises(SystemExit, options.parseOptions, ["-p", "x"])
        self.assertEqual(
            "twistd h11web: --port x: neither a number nor an endpoint description",
            error.code,
        )

    def test_twistdsLogfile(self) -> None:
        """
        twistd's own log file, which it opens without a check, is checked too.
        """
        options = Options()
        options.parent = Options()
        options.parent["logfile"] = "/nope/x.log"
        error = self.assertRaises(SystemExit, options.parseOptions, [])
        self.assertEqual(
            "twistd h11web: twistd --logfile /nope/x.log: no such directory: /nope",
            error.code,
        )

    def test_help(self) -> None:
        """
        The help names each limit with its default, and is free of odd spaces.
        """
        text = Options().getUsage(width=200)
        self.assertIn("Longest request target, in bytes. [default: 8k]", text)
        self.assertNotIn("         [default", text)
