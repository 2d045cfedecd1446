"""
The options of C{twistd h11web}: what they mean, and what is refused.
"""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from typing import Any

import trustme
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.python.usage import UsageError
from twisted.scripts import twistd
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import demo, distrib, script, static, twcgi
from twisted.web import tap as web_tap
from twisted.web.resource import Resource
from twisted.web.wsgi import WSGIResource

from twisted_h11._command.bounds import bound_name, format_bound, parse_bound
from twisted_h11._command.options import Options
from twisted_h11._command.pem import check_directory
from twisted_h11.limits import KIB, Limits, describe_limits
from twisted_h11.resources import FilePolicy, PublicFile
from twisted_h11.wsgi import WSGIResource as OurWSGIResource


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


class Leaving(Resource):
    """
    A class that ends the process.
    """

    def __init__(self) -> None:
        raise SystemExit


class Fine(Resource):
    """
    A resource that can be made.
    """


class Outer:
    """
    A class with another one in it.
    """

    class Inner(Fine):
        """
        That one.
        """


HERE = "tests.command.test_h11web_options"


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
        self.assertTrue(message.isprintable(), repr(message))
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
        same names.  The deprecated ones are not, but for two whose names are those of
        options of ours.
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
        self.assertEqual({"certificate", "https"}, deprecated & set(ours.synonyms))

    def test_path(self) -> None:
        """
        C{--path} serves a directory: for everybody, unless it is told otherwise.
        """
        path = self.directory()
        root = self.parse("--path", path)["root"]
        self.assertIsInstance(root, static.File)
        self.assertIsInstance(root, PublicFile)
        self.assertEqual(path, root.path)
        self.assertEqual({}, root.processors)
        self.assertEqual("application/octet-stream", root.defaultType)
        self.assertEqual(FilePolicy(), root.policy)

    def test_pathAllows(self) -> None:
        """
        What is not for everybody has an option each, before C{--path} or after it.
        """
        path = self.directory()
        for name in ("dot-files", "outside-links", "list-directories"):
            field = name.split("-")[0] + name.split("-")[1].capitalize()
            for arguments in (
                ["--path", path, f"--{name}", "on"],
                [f"--{name}", "ON", "--path", path],
            ):
                root = self.parse(*arguments)["root"]
                allowed: dict[str, Any] = {field: True}
                self.assertEqual(FilePolicy(**allowed), root.policy)
            root = self.parse("--path", path, f"--{name}", "off")["root"]
            self.assertEqual(FilePolicy(), root.policy)
        root = self.parse("--path", path, "--scripts", "on")["root"]
        self.assertEqual(
            {
                ".cgi": twcgi.CGIScript,
                ".epy": script.PythonScript,
                ".rpy": script.ResourceScript,
            },
            root.processors,
        )
        root = self.parse(
            *("--path", path, "--processor", ".rpy=twisted.web.demo.Test"),
            *("--scripts", "on"),
        )["root"]
        self.assertIs(demo.Test, root.processors[".rpy"])

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
        C{--wsgi} serves a WSGI application, by a resource that is ours, and
        passes for Twisted's.
        """
        root = self.parse("--wsgi", f"{HERE}.application")["root"]
        self.assertIsInstance(root, OurWSGIResource)
        self.assertIsInstance(root, WSGIResource)

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
            (["--port", "9" * 5000], "9: a port number is at most 65535"),
            (["--port", "tcp:x"], "--port tcp:x: not a number: 'x'"),
            (["--listen", "8080"], "--listen 8080: not an endpoint description"),
            (["--listen", "tcp:1:a=b"], "got an unexpected keyword argument 'a'"),
            (["--listen", "foo:1"], "Unknown endpoint type: 'foo'"),
            (["--listen", "tcp:1\\"], "nothing follows the last backslash"),
            (["--listen", "systemd:domain=INET:index=0"], "no such socket was"),
            (["--listen", "systemd:domain=INET:name=a"], "(LISTEN_FDNAMES)"),
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

    def test_badCertificate(self) -> None:
        """
        What is wrong with certificates and keys names the file, and what was
        expected in it.
        """
        authority, other = trustme.CA(), trustme.CA()
        issued, foreign = authority.issue_cert("a"), other.issue_cert("a")
        folder = self.directory()
        key = issued.private_key_pem.bytes()
        certificate = issued.cert_chain_pems[0].bytes()
        files = {
            "key": key,
            "cert": certificate,
            "both": certificate + b"comment\n" + key,
            "other": foreign.private_key_pem.bytes(),
            "locked": key.replace(b"BEGIN ", b"BEGIN ENCRYPTED "),
            "cut": certificate[:300],
            "garbled": certificate.replace(certificate[60:70], b"!!!!!!!!!!"),
            "der": b"\x30\x82\x01\x01" + bytes(200),
            "empty": b"",
            "text": b"not at all",
        }
        for name, content in files.items():
            with open(f"{folder}/{name}", "wb") as file:
                file.write(content)
        aCertificate = "expected a certificate in PEM format (-----BEGIN CERTIFICATE"
        aKey = "expected a private key in PEM format (-----BEGIN PRIVATE KEY-----)"
        for arguments, where, reason in (
            ("privateKey={}/key", "key", f"{aCertificate}-----), found only"),
            ("privateKey={}/cert", "cert", f"{aKey}, found only certificate"),
            ("{}/cert:{}/cert", "cert", f"{aKey}, found only certificate"),
            ("{}/key:{}/empty", "empty", "found an empty file"),
            ("{}/key:{}/text", "text", "found none"),
            ("{}/key:{}/der", "der", "convert it with openssl"),
            ("{}/key:{}/cut", "cut", "the certificate in it is damaged"),
            ("{}/key:{}/garbled", "garbled", "the certificate in it is damaged"),
            ("{}/cut:{}/cert", "cut", f"{aKey}, found only certificate"),
            ("{}/locked:{}/cert", "locked", "has a pass phrase"),
            ("{}/other:{}/cert", "other", "is not that of the certificate in"),
            ("{}/key:{}/nope", "nope", "No such file or directory"),
            ("{}:{}/cert", "", "not a file"),
            ("/dev/zero", None, "/dev/zero: not a file"),
            ("{}/both:extraCertChain={}/key", "key", aCertificate),
            ("{}/both:dhParameters={}/key", "key", "BEGIN DH PARAMETERS"),
        ):
            description = "ssl:0:" + arguments.replace("{}", folder)
            with self.subTest(arguments=arguments):
                for prefix in ("", "haproxy:"):
                    message = self.refused("--listen", prefix + description)
                    self.assertIn(reason, message)
                    if where is not None:
                        self.assertIn(os.path.join(folder, where), message)
        for arguments in (
            "privateKey={}/both",
            "{}/both",
            "{}/key:{}/cert",
            "interface=127.0.0.1:{}/both",
            "certKey={}/cert:privateKey={}/key:extraCertChain={}/cert",
        ):
            self.names("--listen", "ssl:0:" + arguments.replace("{}", folder))
        for name in ("cut", "locked"):
            os.rename(f"{folder}/{name}", f"{folder}/{name}.pem")
            message = self.refused("--listen", f"tls:{folder}:port=0")
            self.assertIn(f"{folder}/{name}.pem: ", message)
            os.unlink(f"{folder}/{name}.pem")

    def test_certificateDirectory(self) -> None:
        """
        A C{tls:} endpoint without a certificate in its directory is refused; it may be
        in one file with its key or not.
        """
        path = self.directory()
        self.assertIn("no certificate and key", self.refused("--port", f"tls:{path}"))
        issued = trustme.CA().issue_cert("a")
        issued.cert_chain_pems[0].write_to_path(f"{path}/cert.pem")
        self.assertIn("no certificate and key", self.refused("--port", f"tls:{path}"))
        issued.private_key_pem.write_to_path(f"{path}/key.pem")
        check_directory(path)
        issued.private_key_and_cert_chain_pem.write_to_path(f"{path}/cert.pem")
        os.unlink(f"{path}/key.pem")
        check_directory(path)
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
            (["--path", "/dev/null"], "neither a file nor a directory"),
            (["--path", "/", "--index", "a/b"], "--index a/b: not the name of a file"),
            (["--path", "/", "--index", ".."], "--index ..: not the name of a file"),
            (["--path", "/", "--mime-type", "text"], "not of the form type/subtype"),
            (["--path", "/", "--mime-type", "a/b\r\nX: y"], "not of the form type"),
            (["--path", "/", "--processor", "x=a.B"], "an extension begins with a dot"),
            (["--class", f"{HERE}.Nope"], "has no attribute 'Nope'"),
            (["--class", f"{HERE}.NotAResource"], "not a resource"),
            (["--class", f"{HERE}.Exploding"], "RuntimeError: the database is away"),
            (["--class", f"{HERE}.Leaving"], "ends the process (SystemExit: None)"),
            (["--wsgi", f"{HERE}.nope"], "has no attribute 'nope'"),
            (["--wsgi", f"{HERE}.HERE"], "a WSGI application is callable"),
            (["--resource-script", "/nope"], "--resource-script /nope: No such file"),
            (["--resource-script", "/"], "--resource-script /: not a file"),
            (["--processor", ".x=a.B"], "--processor goes after --path"),
            (["--mime-type", "a/b"], "--mime-type goes after --path"),
            (["--ignore-ext", ".x"], "--ignore-ext goes after --path"),
            (["--allow-ignore-ext"], "--allow-ignore-ext goes after --path"),
            (["--path", "/", "--processor", "x"], "not of the form ext=class"),
            (["--path", "/", "--processor", ".x=nope.B"], "No module named 'nope'"),
            (["--nonsense"], "option --nonsense not recognized"),
            (["extra"], "extra: does not belong to an option; see --help"),
            (["8080"], "8080: does not belong to an option, as --port 8080; see"),
        ):
            with self.subTest(arguments=arguments):
                self.assertIn(reason, self.refused(*arguments))

    def test_noPermission(self) -> None:
        """
        What may not be read or written is refused.
        """
        folder = self.directory()
        self.patch(os, "access", lambda path, mode: False)
        for option, value in (
            ("--path", folder),
            ("--vhost", f"a={folder}"),
            ("--logfile", f"{folder}/x.log"),
        ):
            message = self.refused(option, value)
            self.assertEqual(f"{option} {value}: Permission denied", message)


class NameTests(OptionsTestCase):
    """
    What is named: C{--wsgi}, C{--class} and C{--processor}.
    """

    def setUp(self) -> None:
        """
        A current directory with modules in it.
        """
        self.folder = self.directory()
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        modules = set(sys.modules)
        self.addCleanup(self.forget, modules)
        self.patch(sys, "path", [path for path in sys.path if path])
        self.module("fine_wapp.py", f"from {HERE} import application, Fine as Root")
        self.module("fine_wapp_2.py", "import nowhere_at_all")
        self.module("leaving_wapp.py", "raise SystemExit(3)")
        self.module("wrong_wapp.py", "1 +")
        self.module("fine_package/__init__.py", "application = 3")
        self.module("fine_package/inner.py", f"from {HERE} import application, Fine")

    def module(self, name: str, text: str) -> None:
        """
        Write one.
        """
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def forget(self, modules: set[str]) -> None:
        """
        Forget all modules but these.
        """
        for name in set(sys.modules) - modules:
            if "wapp" in name or "fine_package" in name:
                del sys.modules[name]

    def test_currentDirectory(self) -> None:
        """
        The current directory is searched, and C{module:name} is understood as
        C{module.name} is.
        """
        for name in (
            "fine_wapp.application",
            "fine_wapp:application",
            "fine_package.inner:application",
            "fine_package.inner.application",
        ):
            self.assertIsInstance(self.parse("--wsgi", name)["root"], WSGIResource)
            self.assertEqual([self.folder], [p for p in sys.path if p == self.folder])
        for name in (
            "fine_wapp:Root",
            "fine_wapp.Root",
            "fine_package.inner:Fine",
            f"{HERE}:Outer.Inner",
        ):
            self.assertIsInstance(self.parse("--class", name)["root"], Fine)
        root = self.parse("--path", "/", "--processor", ".x=fine_wapp:Root")["root"]
        self.assertIs(Fine, root.processors[".x"])

    def test_wrong(self) -> None:
        """
        What is not found says what was searched, and what it may have been.
        """
        searched = f"(modules are looked for in {self.folder}, then along PYTHONPATH)"
        for name, reason in (
            ("nope:app", f"No module named 'nope' {searched}"),
            ("nope.app", f"No module named 'nope' {searched}"),
            ("fine_wap:app", f"'fine_wap'; is it 'fine_wapp'? {searched}"),
            ("fine_wapp:app", "has no attribute 'app'; is it 'application'?"),
            ("fine_wapp:app", os.path.join(self.folder, "fine_wapp.py")),
            ("fine_wapp:aplication", "'aplication'; is it 'application'?"),
            ("fine_wapp_2:app", "'nowhere_at_all', which fine_wapp_2 imports"),
            ("fine_wapp.application.x", "has no attribute 'x'"),
            ("fine_package.outer:application", "No module named 'fine_package.outer'"),
            ("leaving_wapp:app", "ends the process when it is imported"),
            ("wrong_wapp:app", "SyntaxError: "),
            ("fine_package.inner", "that is a module; name the application in it"),
            ("fine_package:application", "a WSGI application is callable, 3 is not"),
            ("fine_package.application", "a WSGI application is callable, 3 is not"),
            ("fine_wapp", "in it, such as wapp:app"),
            ("fine_wapp.py", "such as wapp:app"),
            ("./fine_wapp:app", "such as wapp:app"),
            (":app", "such as wapp:app"),
            ("fine_wapp:", "such as wapp:app"),
            ("a:b:c", "such as wapp:app"),
            ("a..b", "such as wapp:app"),
            ("", "such as wapp:app"),
        ):
            with self.subTest(name=name):
                message = self.refused("--wsgi", name)
                self.assertIn(reason, message)
                self.assertIn(f"--wsgi {name}: ", message)

    def test_noDirectory(self) -> None:
        """
        The current directory may have been removed: then it is not searched.
        """
        folder = self.directory()
        os.chdir(folder)
        os.rmdir(folder)
        before = list(sys.path)
        message = self.refused("--wsgi", "nope:app")
        self.assertIn("in the current directory, which no longer exists", message)
        self.parse("--wsgi", f"{HERE}:application")
        self.assertEqual(before, sys.path)


class TogetherTests(OptionsTestCase):
    """
    Options that have no effect without others, or besides others.
    """

    def test_roots(self) -> None:
        """
        There is one thing to serve.
        """
        script = os.path.join(self.directory(), "root.rpy")
        with open(script, "w") as file:
            file.write("resource = None")
        roots = {
            "path": ["/"],
            "class": ["twisted.web.demo.Test"],
            "wsgi": [f"{HERE}.application"],
            "resource-script": [script],
            "user": [],
        }
        for one, values in roots.items():
            for other, others in roots.items():
                message = self.refused(f"--{one}", *values, f"--{other}", *others)
                if one == other:
                    self.assertIn(f"--{one} is given more than once", message)
                else:
                    self.assertIn(f"--{one} and --{other} exclude", message)

    def test_withoutPath(self) -> None:
        """
        What is about files goes with C{--path}.
        """
        for arguments in (
            ["--index", "x"],
            ["-i", "x"],
            ["--list-directories", "on"],
            ["--dot-files", "on"],
            ["--outside-links", "on"],
            ["--scripts", "on"],
        ):
            for root in ([], ["--class", "twisted.web.demo.Test"], ["--user"]):
                message = self.refused(*root, *arguments)
                self.assertIn("goes with --path", message)
        for name in ("list-directories", "dot-files", "outside-links", "scripts"):
            for value in ("maybe", "", "1", "true"):
                message = self.refused("--path", "/", f"--{name}", value)
                self.assertIn("must be on or off", message)

    def test_personal(self) -> None:
        """
        What is about HTTP has no effect on what C{--personal} starts.
        """
        for arguments in (
            ["--add-header", "a: b"],
            ["--server-header", "x"],
            ["--logfile", "x.log"],
            ["--no-access-log"],
            ["--http2"],
            ["--max-connections", "5"],
            ["--max-requests", "5"],
            ["--idle-timeout", "none"],
        ):
            message = self.refused("--personal", *arguments)
            self.assertIn(f"{arguments[0]} and --personal exclude each", message)

    def test_others(self) -> None:
        """
        One port number, and bounds that can be reached.
        """
        self.assertIn(
            "--port is given more than once", self.refused("-p", "1", "--port", "2")
        )
        self.assertIn(
            "can not be reached",
            self.refused("--max-connections", "3", "--max-connections-per-peer", "4"),
        )
        self.parse("--max-connections", "3", "--max-connections-per-peer", "3")
        self.parse("--max-connections", "none", "--max-connections-per-peer", "3")


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
            ("grace", "nan", "not a number of seconds"),
            ("grace", "-1", "not a number of seconds"),
            ("grace", "1_0", "not a number of seconds"),
            ("grace", " 5", "not a number of seconds"),
            ("grace", "", "not a number of seconds"),
            ("grace", "1e300", "too many seconds: must be at most 1000000000"),
            ("max-connections", "0", "must be more than 0 connections"),
        ):
            with self.subTest(option=option, value=value):
                self.assertIn(reason, self.refused(f"--{option}", value))

    def test_everyNumber(self) -> None:
        """
        Each numeric option, with what is no number, less than nothing or more than
        there can be: one line that names the option.  With nothing at all, where
        nobody could be served like that.
        """
        for bound in describe_limits():
            option = f"--{bound_name(bound)}"
            for value in (
                *("-1", "-0", "nan", "inf", "-inf", "x", "", " ", "1 ", "0x10", "1_0"),
                *("\u0661", "1" * 30, "1" * 5000, "9" * 400 + "G", "1e999", "--5"),
            ):
                with self.subTest(option=option, value=value[:40]):
                    message = self.refused(f"{option}={value}")
                    self.assertTrue(message.startswith(f"{option} {value.strip()}"))
            for value in ("0", "00", "0.0", "0k", "0e5"):
                with self.subTest(option=option, value=value):
                    try:
                        self.parse(f"{option}={value}")
                        served = True
                    except UsageError as error:
                        served = "must be more than 0" not in str(error)
                        self.assertTrue(str(error).startswith(f"{option} {value}: "))
                    if bound.metadata["positive"]:
                        self.assertFalse(served)
                    elif value == "0":
                        self.assertTrue(served)

    def test_tiny(self) -> None:
        """
        A number of seconds that is too small to be any other is 0.
        """
        for bound in describe_limits():
            if bound.metadata["unit"] == "seconds":
                option = f"--{bound_name(bound)}"
                if bound.metadata["positive"]:
                    message = self.refused(f"{option}=1e-999")
                    reason = "must be more than 0 seconds"
                    self.assertIn(f"{option} 1e-999: {reason}", message)
                else:
                    limits = self.parse(f"{option}=1e-999")["limits"]
                    self.assertEqual(0, getattr(limits, bound.name))

    def test_none(self) -> None:
        """
        C{none} is a number that switches a bound off, of those that can be.
        """
        for bound in describe_limits():
            option = f"--{bound_name(bound)}"
            if bound.metadata["optional"]:
                self.assertIsNone(
                    getattr(self.parse(option, "none")["limits"], bound.name)
                )
            else:
                self.assertIn("always applies", self.refused(option, "none"))


class SuggestionTests(OptionsTestCase):
    """
    Options that there are not.
    """

    def test_misspelt(self) -> None:
        """
        A misspelt option gets a suggestion, one of twistd's its place, and one that
        is deprecated there what to use.
        """
        for argument, reason in (
            ("--max-conections=3", "did you mean --max-connections?"),
            ("--maxConnections=3", "did you mean --max-connections?"),
            ("--max_connections", "did you mean --max-connections?"),
            ("--Port", "did you mean --port?"),
            ("--wsgii", "did you mean --wsgi?"),
            ("--privkey=x", "use --private-key"),
            ("--certficate=x", "did you mean --certificate?"),
            ("--notracebacks", "there are none without --display-tracebacks"),
            ("--max=3", "it may be --max-body-length, --max-chunk"),
            ("--l=3", "it may be --linger-length, --linger-timeout, --list-d"),
        ):
            with self.subTest(argument=argument):
                self.assertIn(reason, self.refused(argument))
        for argument in ("--zzzzzz", "-Z"):
            self.assertTrue(self.refused(argument).endswith("not recognized"))

    def test_ofTwistd(self) -> None:
        """
        An option of twistd's that stands in the wrong place is told its place.
        """
        for argument in ("-n", "--nodaemon", "--pidfile=x"):
            options = Options()
            command: Any = twistd
            options.parent = command.ServerOptions()
            error = self.assertRaises(SystemExit, options.parseOptions, [argument])
            self.assertIn("it goes before h11web", str(error.code))


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

    def test_logToStandardOutput(self) -> None:
        """
        C{--logfile -} is the standard output, which a daemon has not.
        """
        self.assertEqual("-", self.parse("--logfile", "-")["logfile"])
        for nodaemon in (True, False):
            options = Options()
            options.parent = Options()
            options.parent["nodaemon"] = nodaemon
            if nodaemon:
                options.parseOptions(["--logfile", "-"])
            else:
                error = self.assertRaises(
                    SystemExit, options.parseOptions, ["--logfile", "-"]
                )
                self.assertIn("use twistd -n", str(error.code))

    def test_noDirectory(self) -> None:
        """
        If the current directory was removed, what needs it is refused.
        """
        folder = self.directory()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        os.rmdir(folder)
        command: Any = twistd
        for words in (["--workers=1"], ["--logfile=x"], []):
            options = Options()
            options.parent = command.ServerOptions()
            options.parent["nodaemon"] = True
            options.parent["pidfile"] = ""
            if not words:
                options.parseOptions(words)
                continue
            error = self.assertRaises(SystemExit, options.parseOptions, words)
            self.assertEqual(
                "twistd h11web: the current directory no longer exists", error.code
            )

    def test_otherFile(self) -> None:
        """
        Another file that is missing is not taken for that directory.
        """
        self.patch(Options, "postOptions", lambda _: os.stat("/none"))
        self.assertRaises(FileNotFoundError, self.parse)

    def test_help(self) -> None:
        """
        The help names each limit with its default, and is free of odd spaces.
        """
        text = Options().getUsage(width=200)
        self.assertIn("Longest request target, in bytes. [default: 8k]", text)
        self.assertNotIn("         [default", text)

    def test_width(self) -> None:
        """
        The help is as wide as C{COLUMNS} says; it has a width, too, where that says
        nothing that makes sense.
        """
        for text, least, most in (
            ("100", 81, 100),
            ("", 61, 80),
            ("x", 61, 80),
            ("-5", 61, 80),
            ("9" * 5000, 61, 80),
            ("0", 41, 60),
            ("1", 41, 60),
        ):
            self.patch(os, "environ", {"COLUMNS": text})
            lines = Options().getUsage().splitlines()
            width = max(map(len, lines))
            self.assertTrue(least <= width <= most, (text, width))
