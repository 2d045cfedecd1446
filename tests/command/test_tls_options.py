"""
C{twistd h11web} with TLS: the options, and what is served with them.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher

from tests.command.test_h11web_options import OptionsTestCase
from tests.support.command_loop import install
from tests.support.handshakes import (
    Authority,
    both,
    chain,
    handshake,
    serial,
    write_file,
)
from tests.support.wire import Wire
from twisted_h11._command.endpoints import describe_port, is_plain
from twisted_h11.tap import makeService
from twisted_h11.tls import ServerTLS, TLSEndpoint


class OptionTests(OptionsTestCase):
    """
    What they mean, and what is refused.
    """

    def setUp(self) -> None:
        """
        Certificates in files.
        """
        self.folder = self.directory()
        self.authority = Authority()
        self.leaf = self.authority.leaf("a.example")
        self.certificate = self.file("cert.pem", chain(self.leaf))
        self.key = self.file("key.pem", self.leaf.private_key_pem.bytes())
        self.both = self.file("both.pem", both(self.leaf))
        self.pair = ("--certificate", self.certificate, "--private-key", self.key)

    def file(self, name: str, *contents: bytes) -> str:
        """
        Write a file.
        """
        return write_file(f"{self.folder}/{name}", *contents)

    def tls(self, *arguments: str) -> ServerTLS:
        """
        The certificates of a command line.
        """
        tls = self.parse("--https", "0", *arguments)["tls"]
        self.assertIsInstance(tls, ServerTLS)
        return cast(ServerTLS, tls)

    def test_files(self) -> None:
        """
        Certificate and key are in two files, or in one.
        """
        for arguments in (self.pair, ("--certificate", self.both)):
            talk = handshake(self.tls(*arguments))
            self.assertEqual(serial(self.leaf), talk.serial)

    def test_folder(self) -> None:
        """
        C{--certificates} has more of them.
        """
        other = self.authority.leaf("b.example")
        self.file("more/b.pem", both(other))
        tls = self.tls("--certificates", f"{self.folder}/more", *self.pair)
        for name, leaf in ((None, self.leaf), (b"b.example", other)):
            self.assertEqual(serial(leaf), handshake(tls, name).serial)
        alone = self.tls("--certificates", f"{self.folder}/more")
        self.assertEqual(serial(other), handshake(alone).serial)

    def test_version(self) -> None:
        """
        C{--tls-min-version} is that.
        """
        for arguments, works in (
            ((), True),
            (("--tls-min-version=1.2",), True),
            (("--tls-min-version=1.3",), False),
        ):
            talk = handshake(self.tls(*self.pair, *arguments), highest=0x0303)
            self.assertEqual(works, talk.error is None)

    def test_clients(self) -> None:
        """
        With C{--client-ca} clients need a certificate, unless it is optional.
        """
        authority = self.file("ca.pem", self.authority.pem)
        mine, other = self.authority.leaf("me@a"), Authority().leaf("me@a")
        clientCA = ("--client-ca", authority)
        for arguments, expected in (
            ((), (True, True, True)),
            (clientCA, (False, True, False)),
            ((*clientCA, "--client-certificate=required"), (False, True, False)),
            ((*clientCA, "--client-certificate=optional"), (True, True, False)),
        ):
            tls = self.tls(*self.pair, *arguments)
            found = tuple(
                handshake(tls, leaf=leaf).error is None for leaf in (None, mine, other)
            )
            self.assertEqual(expected, found, arguments)

    def test_where(self) -> None:
        """
        C{--https} is a port, or an endpoint, of any number; alone it is the only one
        to listen on.
        """
        for arguments, names in (
            (["--https=1"], ["https port 1"]),
            (
                ["--https=1", "--interface=::1"],
                ["https port 1 of ::1"],
            ),
            (
                ["--https=1", "--https=tcp6:2"],
                ["https port 1", "https tcp6:2"],
            ),
            (["--https=1", "--port=2"], ["port 2", "https port 1"]),
            (["--https=1", "--listen=tcp:2"], ["tcp:2", "https port 1"]),
            (["--https=unix:/s"], ["https unix:/s"]),
        ):
            with self.subTest(arguments=arguments):
                listen = self.parse(*arguments, *self.pair)["listen"]
                self.assertEqual(names, [name for name, _ in listen])
                for name, endpoint in listen:
                    secure = name.startswith("https")
                    self.assertEqual(secure, isinstance(endpoint, TLSEndpoint))
                    self.assertEqual(not secure, is_plain(name))
        self.assertEqual(
            "https://[::1]:8443/".replace("[::1]", "127.0.0.1"),
            describe_port("https port 8443", IPv4Address("TCP", "127.0.0.1", 8443)),
        )

    def test_refused(self) -> None:
        """
        What does not go together, or can not be loaded, is refused with the reason.
        """
        https, missing = "--https=0", f"{self.folder}/missing.pem"
        other = self.file("other.pem", both(Authority().leaf("a.example")))
        empty = f"{self.folder}/empty"
        os.mkdir(empty)
        text = self.file("text.pem", b"nothing")
        redirect = ("--redirect-https", "--port=0")
        certificate = f"--certificate={self.certificate}"
        for arguments, reason in (
            ([https], "--https needs --certificate FILE, or --certificates FOLDER"),
            ([certificate], "--certificate goes with --https"),
            (["--certificates", self.folder], "--certificates goes with --https"),
            (["--client-ca", self.both], "--client-ca goes with --https"),
            (["--tls-min-version=1.3"], "--tls-min-version goes with --https"),
            (["--private-key", self.key], "--private-key goes with --certificate"),
            (
                [https, "--private-key", self.key, "--certificates", self.folder],
                "--private-key goes with --certificate",
            ),
            (
                [https, *self.pair, "--client-certificate=optional"],
                "--client-certificate goes with --client-ca",
            ),
            (
                [https, *self.pair, "--client-ca", text, "--client-certificate=maybe"],
                "--client-certificate maybe: must be optional or required",
            ),
            (
                [https, *self.pair, "--tls-min-version=1.1"],
                "--tls-min-version 1.1: must be 1.2 or 1.3",
            ),
            (
                ["--https=70000", *self.pair],
                "--https 70000: a port number is at most 65535",
            ),
            (["--redirect-https"], "--redirect-https goes with --https, or with"),
            (
                ["--redirect-https", https, *self.pair],
                "--redirect-https needs a --port or --listen without TLS",
            ),
            (
                ["--redirect-https", https, f"--listen=ssl:0:{self.both}", *self.pair],
                "--redirect-https needs a --port or --listen without TLS",
            ),
            (["--redirect-port=1"], "--redirect-port goes with --redirect-https"),
            *(
                (
                    [*redirect, https, *self.pair, f"--redirect-port={port}"],
                    f"--redirect-port {port}: must be a port number, at most 65535",
                )
                for port in ("0", "65536", "x", "-1", "\u0663", "9" * 20, "")
            ),
            (["--hsts=5"], "--hsts goes with --https, another endpoint with TLS, or"),
            *(
                (
                    [https, *self.pair, f"--hsts={seconds}"],
                    f"--hsts {seconds}: must be a whole number of seconds",
                )
                for seconds in ("x", "-1", "1.5", "9" * 20, "")
            ),
            (
                ["--hsts=5", f"--listen=ssl:0:{self.both}", "--personal"],
                "--hsts and --personal exclude each other",
            ),
            (["--https=x", *self.pair], "--https x: neither a number nor an endpoint"),
            (["--https=foo:1", *self.pair], "--https foo:1: Unknown endpoint type"),
            (
                [f"--https=ssl:1:{self.both}", *self.pair],
                f"--https ssl:1:{self.both}: the endpoint has TLS itself; use --listen",
            ),
            ([https, *self.pair, "--personal"], "--https and --personal exclude"),
            (
                [https, certificate],
                f"--certificate: {self.certificate}: expected a private key in PEM",
            ),
            (
                [https, f"--certificate={missing}"],
                f"--certificate: {missing}: No such file or directory",
            ),
            (
                [https, certificate, f"--private-key={missing}"],
                f"--certificate: {missing}: No such file or directory",
            ),
            (
                [https, certificate, f"--private-key={other}"],
                f"--certificate: the private key in {other} is not that of the",
            ),
            (
                [https, "--certificates", empty],
                f"--certificates: {empty}: no certificates",
            ),
            (
                [https, *self.pair, "--client-ca", text],
                f"--client-ca: {text}: expected a certificate in PEM format",
            ),
        ):
            with self.subTest(arguments=arguments):
                self.assertIn(reason, self.refused(*arguments))

    def site(self, *arguments: str) -> Any:
        """
        The site that is served.
        """
        service: Any = makeService(self.parse(*arguments))
        (listening,) = service
        return listening.factory

    def test_hsts(self) -> None:
        """
        C{--hsts} is for whatever has TLS.
        """
        self.assertIsNone(self.site("--https=0", *self.pair).transportSecurity)
        for arguments in (
            ("--https=0", *self.pair),
            (f"--listen=ssl:0:{self.both}",),
            ("--trust-proxy=unix",),
        ):
            site = self.site("--hsts=60", *arguments)
            self.assertEqual(b"max-age=60", site.transportSecurity)

    def test_redirect(self) -> None:
        """
        C{--redirect-https} serves files with TLS only, but for those that authorities
        look for.
        """
        with open(f"{self.folder}/index.html", "wb") as file:
            file.write(b"index")
        challenge = ".well-known/acme-challenge/token"
        self.file(challenge, b"proof")
        https = ("--https=0", "--port=0", *self.pair)
        proxy = ("--trust-proxy=unix", "--redirect-port=8443")
        files = ("--path", self.folder)
        moved, port = "https://a.example/", "https://a.example:8443/"
        for arguments, path, found in (
            ((*https, *files), "", (301, moved)),
            ((*https, *files), challenge, b"proof"),
            (https, challenge, (301, moved + challenge)),
            ((*https, "--redirect-port=8443"), "", (301, port)),
            ((*proxy, *files), challenge, b"proof"),
            ((*proxy, *files), "", (301, port)),
            ((*https, f"--vhost=a.example={self.folder}"), challenge, b"proof"),
            ((*https, f"--vhost=a.example={self.folder}"), "", (301, moved)),
        ):
            with self.subTest(arguments=arguments, path=path):
                site = self.site("--redirect-https", "--no-access-log", *arguments)
                clock = site.reactor = Clock()
                wire = Wire(site, clock)
                asked = f"GET /{path} HTTP/1.0\r\nHost: a.example\r\n\r\n"
                response = wire.send(asked.encode()).only()
                wire.vanish()
                if isinstance(found, bytes):
                    self.assertEqual(found, response.body)
                else:
                    location = response.get(b"Location") or b""
                    self.assertEqual(found, (response.status, location.decode()))

    def test_redirectPort(self) -> None:
        """
        Without C{--redirect-port} it leads to the first port that is open with TLS.
        """
        loop = MemoryReactorClock()
        install(self, loop)
        where = ("--https=unix:/s", "--https=8443", "--port=80", "--no-access-log")
        service: Any = makeService(self.parse("--redirect-https", *where, *self.pair))
        (listening,) = service
        for location in (b"https://a.example/", b"https://a.example:8443/"):
            wire = Wire(listening.factory, loop)
            response = wire.send(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n").only()
            self.assertEqual(location, response.get(b"Location"))
            listening.startService()

    def test_reloaded(self) -> None:
        """
        Certificates are read again when that is asked, and the log says so if they
        could be.
        """
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        none = "There are no certificates to read again"
        again = "TLS: read all certificates again"
        options = self.parse("--https=0", *self.pair)
        new = self.authority.leaf("a.example")
        write_file(self.key, new.private_key_pem.bytes())
        write_file(self.certificate, chain(new))
        for reloaded, words in ((self.parse(), none), (options, again)):
            reloaded.reloadTLS()
            self.assertEqual(words, formatEvent(events[-1]))
        self.assertEqual(serial(new), handshake(options["tls"]).serial)
        write_file(self.certificate, b"")
        del events[:]
        options.reloadTLS()
        (event,) = events
        self.assertIn("the old certificate is kept", str(formatEvent(event)))

    def test_warnings(self) -> None:
        """
        What clients will not accept is told, a line for each certificate.
        """
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        self.parse().tellWarnings()
        self.parse("--https=0", *self.pair).tellWarnings()
        self.assertEqual("", stderr.getvalue())
        old = self.file("old.pem", both(self.authority.expired("b.example")))
        self.parse("--https=0", "--certificate", old).tellWarnings()
        self.assertEqual(
            f"twistd h11web: warning: {old}: the certificate has expired, on "
            "2020-01-01\n",
            stderr.getvalue(),
        )

    def test_http2(self) -> None:
        """
        C{--http2} is content with C{--https}.
        """
        makeService(self.parse("--http2", "--https=0", *self.pair))
