"""
When a server shows another certificate than before.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.support.certificates import KEY, issue
from tests.support.handshakes import (
    FilesTestCase,
    both,
    chain,
    handshake,
    serial,
)
from twisted_h11._tls.identity import Identity
from twisted_h11._tls.pem import labels_in
from twisted_h11.tls import BadTLSFile, ServerTLS

# Later than any minute from the last look.
LATER = 60.0


class RenewalTests(FilesTestCase):
    """
    One certificate in files.
    """

    def setUp(self) -> None:
        """
        Certificate and key in two files.
        """
        super().setUp()
        self.old = self.authority.leaf("a.example")
        self.write(self.old)
        self.tls = self.make()

    def write(self, leaf: Any) -> None:
        """
        Put a certificate and its key in place.
        """
        self.certificate = self.file("cert.pem", chain(leaf))
        self.key = self.file("key.pem", leaf.private_key_pem.bytes())

    def make(self, **options: Any) -> ServerTLS:
        """
        A server of these files.
        """
        return ServerTLS(self.certificate, self.key, clock=self.clock, **options)

    def shows(self, leaf: Any) -> None:
        """
        A new connection gets this certificate.
        """
        talk = handshake(self.tls, b"a.example")
        self.assertIsNone(talk.error)
        self.assertEqual(serial(leaf), talk.serial)

    def test_renewedWithinAMinute(self) -> None:
        """
        A renewed certificate is shown when a minute has passed, with one line in the
        log; the files are not looked at sooner.
        """
        self.shows(self.old)
        new = self.authority.leaf("a.example")
        self.write(new)
        self.clock.advance(LATER - 1)
        self.shows(self.old)
        self.clock.advance(1)
        self.shows(new)
        (line,) = self.logged()
        self.assertIn(self.certificate, line)
        self.assertIn("a.example", line)

    def test_setClock(self) -> None:
        """
        A clock that is set back does not put off the next look.
        """
        self.clock.advance(-86400)
        new = self.authority.leaf("a.example")
        self.write(new)
        self.shows(new)
        newer = self.authority.leaf("a.example")
        self.write(newer)
        self.shows(new)
        self.clock.advance(LATER)
        self.shows(newer)

    def test_reload(self) -> None:
        """
        L{ServerTLS.reload} shows it at once.
        """
        new = self.authority.leaf("a.example")
        self.write(new)
        self.shows(self.old)
        self.assertEqual([], self.tls.reload())
        self.shows(new)

    def test_looksOncePerInterval(self) -> None:
        """
        The files are looked at once in a minute, however many connections come, and
        never without an interval.
        """
        looks: list[str] = []
        stat = os.stat

        def counted(path: Any, **more: Any) -> Any:
            looks.append(path)
            return stat(path, **more)

        self.patch(os, "stat", counted)
        for _ in range(3):
            self.clock.advance(LATER / 2)
            for _ in range(5):
                handshake(self.tls)
        self.assertEqual(1, looks.count(self.certificate))
        never = self.make(interval=None)
        looks.clear()
        self.clock.advance(10 * LATER)
        handshake(never)
        self.assertEqual([], looks)

    def test_runningConnection(self) -> None:
        """
        A connection goes on across a reload.
        """
        running = handshake(self.tls)
        new = self.authority.leaf("a.example")
        self.write(new)
        self.tls.reload()
        running.client.send(b"more")
        running.server.bio_write(running.client.bio_read(1000))
        self.assertEqual(b"more", running.server.recv(4))
        running.server.send(b"back")
        running.client.bio_write(running.server.bio_read(1000))
        self.assertEqual(b"back", running.client.recv(4))
        self.assertEqual(serial(self.old), running.serial)

    def test_handshakesUnderWay(self) -> None:
        """
        A handshake is completed, however far it was when certificates were renewed,
        in each version of TLS.
        """
        for highest in (0x0303, 0x0304):
            for name in (None, b"a.example"):
                for rounds in range(4):
                    for _ in range(2):
                        talk = handshake(self.tls, name, highest=highest, rounds=rounds)
                        before, new = self.old, self.authority.leaf("a.example")
                        self.write(new)
                        self.tls.reload()
                        talk.go()
                        self.assertIsNone(talk.error)
                        self.assertIn(talk.serial, (serial(before), serial(new)))
                        self.old = new

    def test_everyKindOfRenewal(self) -> None:
        """
        A renewal is noticed however the files are changed: in place, by another file
        of the same length and time, by a link, and by a link above it.
        """
        links = os.path.join(self.folder, "links")
        os.makedirs(f"{links}/archive")
        leaves = [self.authority.leaf("a.example") for _ in range(8)]
        waiting = iter(leaves)

        def in_place() -> Any:
            leaf = next(waiting)
            for path, content in (
                (self.certificate, chain(leaf)),
                (self.key, leaf.private_key_pem.bytes()),
            ):
                with open(path, "wb") as file:
                    file.write(content)
            return leaf

        def same_time() -> Any:
            found = [os.stat(path) for path in (self.certificate, self.key)]
            leaf = next(waiting)
            self.write(leaf)
            for path, was in zip((self.certificate, self.key), found, strict=True):
                os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
            return leaf

        def link() -> Any:
            leaf = next(waiting)
            number = len(os.listdir(f"{links}/archive"))
            for name, content in (
                ("cert", chain(leaf)),
                ("key", leaf.private_key_pem.bytes()),
            ):
                target = self.file(f"links/archive/{name}{number}.pem", content)
                os.symlink(target, f"{links}/{name}.pem.new")
                os.replace(f"{links}/{name}.pem.new", f"{links}/{name}.pem")
            return leaf

        def link_above() -> Any:
            leaf = next(waiting)
            folder = os.path.join(self.folder, f"..{serial(leaf)}")
            os.mkdir(folder)
            self.file(f"..{serial(leaf)}/cert.pem", chain(leaf))
            self.file(f"..{serial(leaf)}/key.pem", leaf.private_key_pem.bytes())
            os.symlink(folder, f"{self.folder}/data.new")
            os.replace(f"{self.folder}/data.new", f"{self.folder}/data")
            return leaf

        for where, change in (
            ("", in_place),
            ("", same_time),
            ("links", link),
            ("data", link_above),
        ):
            with self.subTest(change=change.__name__):
                if where:
                    change()
                    base = os.path.join(self.folder, where)
                    self.certificate, self.key = f"{base}/cert.pem", f"{base}/key.pem"
                    self.tls = self.make()
                leaf = change()
                self.clock.advance(LATER)
                self.shows(leaf)

    def test_sameAgain(self) -> None:
        """
        Files that were touched, and say the same, are not worth a line.
        """
        self.write(self.old)
        self.clock.advance(LATER)
        self.shows(self.old)
        self.tls.reload()
        self.assertEqual([], self.logged())

    def test_halfRenewed(self) -> None:
        """
        A look between the change of the certificate and that of its key changes
        nothing; the next one shows the new certificate.
        """
        new = self.authority.leaf("a.example")
        self.file("cert.pem", chain(new))
        self.clock.advance(LATER)
        self.shows(self.old)
        self.file("key.pem", new.private_key_pem.bytes())
        self.clock.advance(LATER)
        self.shows(new)

    def test_expired(self) -> None:
        """
        A certificate that has expired is shown all the same, with a warning.
        """
        expired = self.authority.expired("a.example")
        self.write(expired)
        self.tls.reload()
        self.shows(expired)
        loaded, warning = self.logged()
        self.assertIn("loaded", loaded)
        self.assertIn(f"{self.certificate}: the certificate has expired", warning)
        self.make()
        self.assertIn("has expired, on 2020-01-01", "".join(self.logged()))

    def test_warnings(self) -> None:
        """
        What clients will not accept today of what is shown can be asked for.
        """
        self.assertEqual([], self.tls.warnings())
        early = self.authority.leaf(
            "a.example",
            not_before=datetime(2998, 1, 2, 3, 4, tzinfo=timezone.utc),
            not_after=datetime(2999, 1, 1, tzinfo=timezone.utc),
        )
        for leaf, warning in (
            (self.authority.expired("a.example"), "has expired, on 2020-01-01"),
            (early, "is not valid before 2998-01-02 03:04 UTC"),
        ):
            self.write(leaf)
            self.tls.reload()
            self.assertEqual(
                [f"{self.certificate}: the certificate {warning}"], self.tls.warnings()
            )

    def test_withoutZone(self) -> None:
        """
        The times of a certificate are in UTC, also where cryptography (before 42) does
        not say so.
        """
        certificate: Any = SimpleNamespace(
            not_valid_before=datetime(2020, 1, 2), not_valid_after=datetime(2999, 1, 2)
        )
        identity = Identity("cert.pem", certificate, (), None, ())
        self.assertTrue(identity.isValid)
        self.assertEqual(datetime(2020, 1, 2, tzinfo=timezone.utc), identity.begins)

    def bad(self) -> list[tuple[str, Any, str]]:
        """
        What can be wrong with new files: its name, what makes it so, and the reason
        that is logged.
        """
        other, new = self.authority.leaf("b.example"), self.authority.leaf("a.example")
        key = new.private_key_pem.bytes()
        weak = rsa.generate_private_key(65537, 1024)
        locked = rsa.generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        oldLocked = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        root = self.authority.pem

        def put(certificate: bytes | None, secret: bytes | None) -> Any:
            def change() -> None:
                for name, content in (("cert.pem", certificate), ("key.pem", secret)):
                    path = os.path.join(self.folder, name)
                    if content is None:
                        os.unlink(path)
                    else:
                        self.file(name, content)

            return change

        def folder() -> None:
            os.unlink(self.certificate)
            os.mkdir(self.certificate)

        def pipe() -> None:
            os.unlink(self.certificate)
            os.mkfifo(self.certificate)

        def loop() -> None:
            os.unlink(self.key)
            os.symlink(self.key, self.key)

        expected = "expected a certificate in PEM format"
        expectedKey = "expected a private key in PEM format"
        return [
            ("no certificate", put(None, key), "cert.pem: No such file or directory"),
            ("no key", put(chain(new), None), "key.pem: No such file or directory"),
            ("neither", put(None, None), "cert.pem: No such file or directory"),
            ("empty", put(b"", key), "found an empty file"),
            ("empty key", put(chain(new), b""), f"{expectedKey} "),
            ("text", put(b"nothing of the kind", key), f"{expected} "),
            ("cut", put(chain(new)[:200], key), "certificate in it is damaged"),
            ("cut key", put(chain(new), key[:60]), "private key in it is damaged"),
            ("binary", put(b"\x30\x82\x01\x01" + bytes(99), key), "may be DER"),
            ("key only", put(key, key), "found only"),
            ("other key", put(chain(new), other.private_key_pem.bytes()), "not that"),
            ("old key", put(chain(new), self.old.private_key_pem.bytes()), "not that"),
            ("authority first", put(root + chain(new), key), "must be the first"),
            ("locked", put(chain(new), locked), "has a pass phrase"),
            ("locked as of old", put(chain(new), oldLocked), "has a pass phrase"),
            ("weak", put(*self_signed(weak)), "OpenSSL refuses it: "),
            ("names", put(*nameless()), "the names in the certificate can not"),
            ("folder", folder, "cert.pem: not a file"),
            ("pipe", pipe, "cert.pem: not a file"),
            ("loop", loop, "key.pem: "),
            ("long", put(bytes(5_000_000), key), "longer than any certificate"),
        ]

    def test_badFiles(self) -> None:
        """
        Whatever is wrong with new files, the old certificate is kept, and one line in
        the log says what it is; it is said again only by L{ServerTLS.reload}.  Good
        files are taken again.
        """
        for name, change, reason in self.bad():
            with self.subTest(name=name):
                change()
                for _ in range(3):
                    self.clock.advance(LATER)
                    self.shows(self.old)
                (line,) = self.logged()
                self.assertIn(reason, line)
                self.assertIn(self.folder, line)
                self.assertIn("; the old certificate is kept", line)
                (problem,) = self.tls.reload()
                self.assertIn(reason, problem)
                self.assertNotIn("\n", problem)
                (again,) = self.logged()
                self.assertEqual(line, again)
                self.shows(self.old)
                # A new server does not start with them.
                error = self.assertRaises(BadTLSFile, self.make)
                self.assertEqual(problem, str(error))
                self.assertEqual("certificate", error.argument)
            self.restore()
        new = self.authority.leaf("a.example")
        self.write(new)
        self.clock.advance(LATER)
        self.shows(new)

    def restore(self) -> None:
        """
        Put the first certificate in place.
        """
        if os.path.isdir(self.certificate):
            os.rmdir(self.certificate)
        self.write(self.old)
        self.clock.advance(LATER)
        self.shows(self.old)
        self.logged()

    def test_unreadable(self) -> None:
        """
        A file that this user may not read is bad, too.
        """
        opened = os.open

        def refuse(path: Any, *arguments: Any, **more: Any) -> Any:
            if str(path) == self.key:
                raise PermissionError(13, "Permission denied", path)
            return opened(path, *arguments, **more)

        self.write(self.authority.leaf("a.example"))
        self.patch(os, "open", refuse)
        self.clock.advance(LATER)
        self.shows(self.old)
        (line,) = self.logged()
        self.assertIn(f"{self.key}: Permission denied; the old", line)

    def test_failureOfOurs(self) -> None:
        """
        Whatever else goes wrong with a look, connections are served.
        """
        self.patch(os, "stat", lambda path: 1 / 0)
        self.clock.advance(LATER)
        self.shows(self.old)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_oneFile(self) -> None:
        """
        The key may be in the file of the certificate, before or after it.
        """
        key = self.old.private_key_pem.bytes()
        for content in (key + chain(self.old), chain(self.old) + key):
            path = self.file("both.pem", content)
            talk = handshake(ServerTLS(path, clock=self.clock))
            self.assertEqual(serial(self.old), talk.serial)

    def test_labels(self) -> None:
        """
        What is in a file of PEM can be told without loading it.
        """
        path = self.file("both.pem", both(self.old))
        kinds = {label.rpartition(b" ")[2] for label in labels_in(path)}
        self.assertEqual({b"CERTIFICATE", b"KEY"}, kinds)

    def test_chain(self) -> None:
        """
        Clients get the certificates that lead to the authority.
        """
        middle = self.authority.ca.create_child_ca()
        leaf = middle.issue_cert("a.example")
        self.write(leaf)
        self.tls.reload()
        talk = handshake(self.tls)
        self.assertEqual(2, len(talk.client.get_peer_cert_chain() or ()))


class ArgumentTests(FilesTestCase):
    """
    Arguments that do not go together.
    """

    def test_refused(self) -> None:
        """
        They are refused with the reason.
        """
        path = self.file("both.pem", both(self.authority.leaf("a")))
        for options, reason in (
            ({}, "neither a certificate nor a folder"),
            ({"privateKey": path, "certificates": path}, "private key goes with"),
            ({"certificate": path, "minimumVersion": "1.1"}, "must be 1.2 or 1.3"),
            ({"certificate": path, "clientCertificate": "optional"}, "goes with"),
            (
                {"certificate": path, "clientCA": path, "clientCertificate": "no"},
                "must be optional or required",
            ),
        ):
            with self.subTest(reason=reason):
                made: Any = options
                error = self.assertRaises(ValueError, ServerTLS, **made)
                self.assertIn(reason, str(error))


def nameless() -> tuple[bytes, bytes]:
    """
    A certificate whose names nobody can read, and its key, as PEM.
    """
    secret = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return issue(san=b"\x30\x7f\x82").public_bytes(Encoding.PEM), secret


def self_signed(key: Any) -> tuple[bytes, bytes]:
    """
    A certificate of its own key, and that key, as PEM.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM), secret
