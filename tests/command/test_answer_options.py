"""
The options of C{twistd h11web} that say what responses are like.
"""

from __future__ import annotations

import os
import sys
from typing import Any
from unittest import mock

import bcrypt
from twisted.python import usage
from twisted.web.resource import Resource
from twisted.web.vhost import NameVirtualHost

from tests.command.test_h11web_options import OptionsTestCase
from twisted_h11.resources import PublicFile
from twisted_h11.testing import MemoryAgent


class AnswerTestCase(OptionsTestCase):
    """
    Has files.
    """

    def file(self, content: bytes = b"x", name: str = "file") -> str:
        """
        A new file.
        """
        path = os.path.join(self.directory(), name)
        with open(path, "wb") as file:
            file.write(content)
        return path


class AnswerOptionsTests(AnswerTestCase):
    """
    What they mean, and what is refused.
    """

    def test_none(self) -> None:
        """
        Without them nothing is compressed, and the root is what it is.
        """
        options = self.parse()
        self.assertEqual((options["compression"], options["errorPages"]), (None, None))
        root = Resource()
        self.assertIs(options.wrapRoot(root), root)

    def test_compress(self) -> None:
        """
        C{--compress} and what goes with it.
        """
        self.assertIsNotNone(self.parse("--compress")["compression"])
        self.assertIsNotNone(
            self.parse(
                *("--compress", "--compress-type", "image/*", "--compress-level", "1"),
                *("--compress-type", "text/html", "--compress-min-length", "1k"),
            )["compression"]
        )
        for arguments, words in (
            (["--compress-level", "3"], "goes with --compress"),
            (["--compress-type", "text/html"], "goes with --compress"),
            (["--compress-min-length", "5"], "goes with --compress"),
            (["--compress", "--compress-level", "0"], "1 to 9"),
            (["--compress", "--compress-level", "x"], "a whole number from 1 to 9"),
            (["--compress", "--compress-level", "10"], "a whole number from 1 to 9"),
            (["--compress", "--compress-min-length", "-1"], "not a number of bytes"),
            (["--compress", "--compress-type", "text"], "not a media type"),
            (["--compress", "--compress-type", "t\u00e9xt/x"], "not a media type"),
        ):
            self.assertIn(words, self.refused(*arguments))

    def test_files(self) -> None:
        """
        What goes with files holds for C{--path} and for each C{--vhost}.
        """
        one, two = self.directory(), self.directory()
        for path in (one, two):
            with open(os.path.join(path, "index.html"), "wb"):
                pass
        options = self.parse(
            *("--cache-control", "no-store", "--precompressed", "on"),
            *("--spa", "index.html", "--path", one, "--vhost", f"B.example={two}"),
        )
        for file in (options["root"], options["vhosts"]["b.example"]):
            self.assertEqual(file.policy.cacheControl, b"no-store")
            self.assertTrue(file.policy.precompressed)
            self.assertIsNot(file.childNotFound, PublicFile.childNotFound)

    def test_vhost(self) -> None:
        """
        A host has its directory, others get what else is served.
        """
        one = self.directory()
        options = self.parse("--vhost", f"A.example={one}")
        root: Any = Resource()
        hosts = options.wrapRoot(root)
        self.assertIsInstance(hosts, NameVirtualHost)
        self.assertEqual(hosts.hosts[b"a.example"].path, one)
        self.assertIs(hosts.default, root)

    def test_filesOfHosts(self) -> None:
        """
        What is said of files holds for the directories of hosts, with C{--path} and
        without.
        """
        given = (
            *("--index", "x.html", "--list-directories", "on", "--scripts", "on"),
            *("--dot-files", "on", "--outside-links", "on", "--cache-control", "a"),
        )
        more = (
            *("--mime-type", "text/x", "--ignore-ext", ".x", "--processor"),
            ".odd=twisted.web.static:Data",
        )
        cases: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
            (("--path", self.directory()), more),
            ((), ()),
        )
        for path, extra in cases:
            one, two = self.directory(), self.directory()
            hosts = ("--vhost", f"a={one}", "--vhost", f"b={two}")
            options = self.parse(*path, *hosts, *given, *extra)
            first, *others = options["files"]
            self.assertEqual(3 if path else 2, len(options["files"]))
            self.assertEqual(["x.html"], first.indexNames)
            self.assertTrue(first.policy.listDirectories)
            self.assertIn(".rpy", first.processors)
            for other in others:
                for name in ("indexNames", "policy", "processors", "defaultType"):
                    self.assertEqual(getattr(first, name), getattr(other, name), name)
                self.assertEqual(first.ignoredExts, other.ignoredExts)
        with self.assertRaisesRegex(
            usage.UsageError, "^--index goes with --path or --vhost$"
        ):
            self.parse(*given)

    def test_password(self) -> None:
        """
        What is behind a password is wrapped.
        """
        path = self.file(b"ann:" + bcrypt.hashpw(b"x", bcrypt.gensalt(4)))
        root = Resource()
        self.assertIsNot(self.parse("--basic-auth", path).wrapRoot(root), root)
        for wrong, words in (
            (self.file(b"ann:x"), "line 1 is not NAME:HASH"),
            ("no/such", "No such file"),
        ):
            message = self.refused("--basic-auth", wrong)
            self.assertTrue(message.startswith(f"--basic-auth {wrong}: "))
            self.assertIn(words, message)

    def test_noPasswords(self) -> None:
        """
        Without what hashes passwords it is said what to install.
        """
        with mock.patch.dict(sys.modules, {"bcrypt": None}):
            message = self.refused("--basic-auth", self.file(b"ann:x"))
        self.assertIn("needs bcrypt: pip install 'twisted-h11[passwords]'", message)

    def test_challenges(self) -> None:
        """
        An authority that looks whether a name is ours needs no password, whatever
        else a client without TLS is told; without files there is nothing to see.
        """
        path = self.file(b"ann:" + bcrypt.hashpw(b"x", bcrypt.gensalt(4)))
        folder = self.directory()
        challenge = os.path.join(folder, ".well-known", "acme-challenge")
        os.makedirs(challenge)
        with open(os.path.join(challenge, "token"), "wb") as file:
            file.write(b"proof")
        redirect = ("--redirect-https", "--port", "80", "--trust-proxy", "10.0.0.1")
        for option, value in (
            ("--path", folder),
            ("--vhost", f"x={folder}"),
            ("--wsgi", "wsgiref.simple_server:demo_app"),
        ):
            for more, otherwise in (((), 401), (redirect, 301)):
                options = self.parse(option, value, *more, "--basic-auth", path)
                root = options.secureRoot(options.wrapRoot(options["root"]))
                for target, status in (
                    ("token", otherwise if option == "--wsgi" else 200),
                    ("../", otherwise),
                ):
                    agent = MemoryAgent(root)
                    uri = f"http://x/.well-known/acme-challenge/{target}"
                    asked = agent.request(b"GET", uri.encode())
                    code = self.successResultOf(asked).code
                    self.assertEqual(code, status, (option, target))

    def test_wrong(self) -> None:
        """
        What is wrong is told in one line that names the option.
        """
        here = self.directory()
        for arguments, words in (
            (["--cache-control", "no-store"], "goes with --path"),
            (["--precompressed", "on"], "goes with --path"),
            (["--spa", "index.html"], "goes with --path"),
            (["--path", here, "--spa", "index.html"], "no such file"),
            (["--path", here, "--precompressed", "x"], "must be on or off"),
            (["--path", here, "--cache-control", "a\nb"], "must be printable"),
            (["--path", here, "--cache-control", ""], "must be printable"),
            (["--error-page", "404"], "not of the form STATUS=FILE"),
            (["--error-page", "x=y"], "not of the form STATUS=FILE"),
            (["--error-page", "404=no/such"], "No such file"),
            (["--error-page", f"200={self.file()}"], "400 to 599"),
            (["--error-page", f"404={here}"], "Is a directory"),
            (["--error-page", "9" * 5000 + "=x"], "400 to 599"),
            (
                [
                    *("--error-page", f"404={self.file()}"),
                    *("--error-page", f"404={self.file()}"),
                ],
                "has a page already",
            ),
            (["--vhost", "a"], "not of the form NAME=DIRECTORY"),
            (["--vhost", "=x"], "not of the form NAME=DIRECTORY"),
            (["--vhost", "a=no/such"], "no such directory"),
            (["--vhost", f"a:80={here}"], "not the name of a host"),
            (["--vhost", f"a b={here}"], "not the name of a host"),
            (["--vhost", f"*.a={here}"], "one name, without a wildcard"),
            (["--vhost", f"\u00e4={here}"], "not the name of a host"),
            (["--vhost", f"a={here}", "--vhost", f"A={here}"], "directory already"),
            (["--personal", "--compress"], "exclude each other"),
            (["--personal", "--vhost", f"a={here}"], "exclude each other"),
        ):
            self.assertIn(words, self.refused(*arguments), arguments)
