"""
Which certificate a server shows, and when it shows another one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from OpenSSL import SSL
from twisted.internet.protocol import Factory

from tests.support.handshakes import (
    Authority,
    FilesTestCase,
    Layer,
    both,
    chain,
    handshake,
    leaf_in,
    serial,
)
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
        import builtins

        opened = builtins.open

        def refuse(path: Any, *arguments: Any, **more: Any) -> Any:
            if str(path) == self.key:
                raise PermissionError(13, "Permission denied", path)
            return opened(path, *arguments, **more)

        self.write(self.authority.leaf("a.example"))
        self.patch(builtins, "open", refuse)
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


class FolderTests(FilesTestCase):
    """
    Several certificates in a folder.
    """

    def make(self, **options: Any) -> ServerTLS:
        """
        A server of the folder.
        """
        return ServerTLS(certificates=self.folder, clock=self.clock, **options)

    def put(self, stem: str, *names: str, leaf: Any = None, live: bool = False) -> Any:
        """
        Put a certificate into the folder, as one file, or as certbot does.
        """
        leaf = leaf or self.authority.leaf(*(names or (stem,)))
        if live:
            self.file(f"{stem}/fullchain.pem", chain(leaf))
            self.file(f"{stem}/privkey.pem", leaf.private_key_pem.bytes())
        else:
            self.file(f"{stem}.pem", both(leaf))
        return leaf

    def shown(self, tls: ServerTLS, name: bytes | None) -> int | None:
        """
        The serial number of what is shown for a server name.
        """
        talk = handshake(tls, name)
        self.assertIsNone(talk.error)
        return talk.serial

    def test_names(self) -> None:
        """
        Each certificate is shown for its names; a wildcard stands for one label, and
        an exact name goes before it.  The first is for all others.
        """
        first = self.put("a.example", "a.example", "www.a.example", live=True)
        wild = self.put("b", "*.b.example", "b.example")
        exact = self.put("c", "x.b.example", live=True)
        tls = self.make()
        for name, leaf in (
            (None, first),
            (b"a.example", first),
            (b"WWW.a.Example", first),
            (b"a.example.", first),
            (b"b.example", wild),
            (b"y.b.example", wild),
            (b"Y.B.EXAMPLE.", wild),
            (b"x.b.example", exact),
            (b"z.y.b.example", first),
            (b".b.example", first),
            (b"*.b.example", wild),
            (b"unknown.example", first),
            (b"127.0.0.1", first),
            (b"\xff\x80", first),
            (b"", first),
        ):
            with self.subTest(name=name):
                self.assertEqual(serial(leaf), self.shown(tls, name))
                found = handshake(tls, name, highest=0x0303)
                self.assertEqual(serial(leaf), found.serial)

    def test_default(self) -> None:
        """
        The one called default is the default, else C{certificate} is, if there is one.
        """
        self.put("a")
        named = self.put("default", live=True)
        self.assertEqual(serial(named), self.shown(self.make(), None))
        alone = self.authority.leaf("alone")
        path = os.path.join(os.path.dirname(self.folder), "alone.pem")
        with open(path, "wb") as file:
            file.write(both(alone))
        tls = self.make(certificate=path)
        self.assertEqual(serial(alone), self.shown(tls, b"?"))
        self.assertEqual(serial(named), self.shown(tls, b"default"))

    def test_sameName(self) -> None:
        """
        Of several for one name, the one that is valid longest is shown.
        """
        self.put("a", leaf=self.authority.expired("x.example", "y.example"))
        new = self.put("b", "x.example")
        self.put("c", leaf=self.authority.expired("x.example"))
        self.assertEqual(serial(new), self.shown(self.make(), b"x.example"))

    def test_other(self) -> None:
        """
        What is no certificate is not looked at: hidden files, other names, other
        folders.
        """
        leaf = self.put("a")
        self.file("README", b"what certbot writes there")
        self.file(".b.pem", b"")
        self.file("..data/fullchain.pem", b"")
        self.file("folder/other", b"")
        self.assertEqual(serial(leaf), self.shown(self.make(), None))

    def test_refused(self) -> None:
        """
        A server does not start with a folder that is not as it should be.
        """

        def nothing() -> None:
            self.file("README", b"")

        def one() -> None:
            leaf = self.put("x", live=True)
            self.file("fullchain.pem", chain(leaf))
            self.file("privkey.pem", leaf.private_key_pem.bytes())

        def no_key() -> None:
            self.file("a.pem", chain(self.put("b")))

        def no_live_key() -> None:
            self.put("a", live=True)
            os.unlink(f"{self.folder}/a/privkey.pem")

        def no_live_chain() -> None:
            self.put("a", live=True)
            os.unlink(f"{self.folder}/a/fullchain.pem")

        def dangling() -> None:
            self.put("a")
            os.symlink("nowhere", f"{self.folder}/b.pem")

        def none() -> None:
            os.rmdir(self.folder)

        def a_file() -> None:
            os.rmdir(self.folder)
            with open(self.folder, "w"):
                pass

        for change, reason in (
            (nothing, f"{self.folder}: no certificates; expected NAME.pem files"),
            (one, f"{self.folder}: this is the folder of one certificate"),
            (no_key, f"{self.folder}/a.pem: expected a private key"),
            (no_live_key, f"{self.folder}/a/privkey.pem: No such file"),
            (no_live_chain, f"{self.folder}/a/fullchain.pem: No such file"),
            (dangling, f"{self.folder}/b.pem: No such file"),
            (none, f"{self.folder}: No such file"),
            (a_file, f"{self.folder}: Not a directory"),
        ):
            with self.subTest(change=change.__name__):
                change()
                error = self.assertRaises(BadTLSFile, self.make)
                self.assertIn(reason, str(error))
                self.assertEqual("certificates", error.argument)
            if os.path.isdir(self.folder):
                shutil.rmtree(self.folder)
            elif os.path.exists(self.folder):
                os.unlink(self.folder)
            os.mkdir(self.folder)

    def test_oneBad(self) -> None:
        """
        A bad new file keeps its own old certificate, and no other one from being
        renewed or added; a bad one that is new is left out, and taken when it is
        mended.
        """
        a, _ = self.put("a"), self.put("b", live=True)
        tls = self.make()
        self.file("a.pem", b"")
        b = self.put("b", live=True)
        c = self.put("c")
        self.file("d.pem", b"")
        for _ in range(2):
            self.clock.advance(LATER)
            for name, leaf in ((b"a", a), (b"b", b), (b"c", c), (b"d", a)):
                self.assertEqual(serial(leaf), self.shown(tls, name))
        said = [line for line in self.logged() if "loaded" not in line]
        self.assertEqual(2, len(said))
        self.assertIn("a.pem: expected", said[0])
        self.assertIn("; the old certificate is kept", said[0])
        self.assertIn("d.pem: expected", said[1])
        self.assertIn("; left out", said[1])
        a, d = self.put("a"), self.put("d")
        self.clock.advance(LATER)
        self.assertEqual(serial(a), self.shown(tls, b"a"))
        self.assertEqual(serial(d), self.shown(tls, b"d"))

    def test_gone(self) -> None:
        """
        A certificate whose files are gone is shown until everything is read anew; then
        it is forgotten, but not the last one.
        """
        a, b = self.put("a"), self.put("b", live=True)
        tls = self.make()
        shutil.rmtree(f"{self.folder}/b")
        for _ in range(2):
            self.clock.advance(LATER)
            self.assertEqual(serial(b), self.shown(tls, b"b"))
        (line,) = self.logged()
        self.assertIn("b/fullchain.pem: No such file", line)
        self.assertEqual([], tls.reload())
        self.assertIn("b/fullchain.pem is gone", "".join(self.logged()))
        self.assertEqual(serial(a), self.shown(tls, b"b"))
        os.unlink(f"{self.folder}/a.pem")
        (problem,) = tls.reload()
        self.assertIn("no certificates", problem)
        self.assertEqual(serial(a), self.shown(tls, b"a"))
        b = self.put("b")
        self.clock.advance(LATER)
        self.assertEqual(serial(b), self.shown(tls, b"b"))

    def test_folderGone(self) -> None:
        """
        Without its folder a server goes on with what it has, and says so once.
        """
        a, b = self.put("a"), self.put("b")
        tls = self.make()
        os.rename(self.folder, f"{self.folder}.away")
        for _ in range(3):
            self.clock.advance(LATER)
            self.assertEqual(serial(a), self.shown(tls, b"a"))
            self.assertEqual(serial(b), self.shown(tls, b"b"))
        lines = self.logged()
        self.assertIn(f"{self.folder}: No such file or directory", lines[0])
        self.assertEqual(1, len([line for line in lines if "No such" in line]), lines)
        os.rename(f"{self.folder}.away", self.folder)
        a = self.put("a")
        self.clock.advance(LATER)
        self.assertEqual(serial(a), self.shown(tls, b"a"))


class ClientCertificateTests(FilesTestCase):
    """
    Certificates of clients.
    """

    def setUp(self) -> None:
        """
        Two authorities.
        """
        super().setUp()
        self.other = Authority()
        self.certificate = self.file("both.pem", both(self.authority.leaf("a.example")))
        self.file("more/b.pem", both(self.authority.leaf("b.example")))
        self.clients = self.file("clients.pem", self.authority.pem)

    def make(self, clientCertificate: str | None = None) -> ServerTLS:
        """
        A server that asks for them.
        """
        return ServerTLS(
            self.certificate,
            certificates=f"{self.folder}/more",
            clientCA=self.clients,
            clientCertificate=clientCertificate,
            clock=self.clock,
        )

    def accepts(self, tls: ServerTLS, leaf: Any, **options: Any) -> bool:
        """
        Whether a client is let in.
        """
        talk = handshake(tls, leaf=leaf, **options)
        if talk.error is None:
            found = talk.server.get_peer_certificate()
            self.assertEqual(
                None if leaf is None else serial(leaf),
                None if found is None else found.get_serial_number(),
            )
        return talk.error is None

    def test_whoIsLetIn(self) -> None:
        """
        Only those with a certificate of the authority are, and those without one where
        it is optional; whatever name they ask for, in each version of TLS.
        """
        good, bad = self.authority.leaf("me@a"), self.other.leaf("me@a")
        late = self.authority.expired("me@a")
        for asked, without in ((None, False), ("required", False), ("optional", True)):
            tls = self.make(asked)
            for name in (None, b"a.example", b"b.example"):
                for highest in (0x0303, 0x0304):
                    with self.subTest(asked=asked, name=name, highest=highest):
                        more: Any = {"name": name, "highest": highest}
                        self.assertTrue(self.accepts(tls, good, **more))
                        self.assertFalse(self.accepts(tls, bad, **more))
                        self.assertFalse(self.accepts(tls, late, **more))
                        self.assertEqual(without, self.accepts(tls, None, **more))

    def test_notAsked(self) -> None:
        """
        Without an authority clients are not asked for one.
        """
        tls = ServerTLS(self.certificate, clock=self.clock)
        talk = handshake(tls, leaf=self.authority.leaf("me@a"))
        self.assertIsNone(talk.server.get_peer_certificate())

    def test_namesOfAuthorities(self) -> None:
        """
        Clients are told whose certificates are taken.
        """
        talk = handshake(self.make(), leaf=self.authority.leaf("me@a"))
        self.assertEqual(1, len(talk.client.get_client_ca_list()))

    def test_renewed(self) -> None:
        """
        The authorities are read again, too, for all certificates; what is bad changes
        nothing.
        """
        tls = self.make()
        good, other = self.authority.leaf("me@a"), self.other.leaf("me@a")
        self.file("clients.pem", b"")
        for _ in range(2):
            self.clock.advance(LATER)
            self.assertTrue(self.accepts(tls, good))
        (line,) = self.logged()
        self.assertIn(f"{self.clients}: expected a certificate", line)
        self.assertIn("; the old authorities hold", line)
        self.file("clients.pem", self.other.pem)
        self.clock.advance(LATER)
        for name in (None, b"b.example"):
            self.assertFalse(self.accepts(tls, good, name=name))
            self.assertTrue(self.accepts(tls, other, name=name))

    def test_refused(self) -> None:
        """
        A file without authorities is refused.
        """
        self.file("clients.pem", b"")
        error = self.assertRaises(BadTLSFile, self.make)
        self.assertEqual("clientCA", error.argument)
        self.assertIn(self.clients, str(error))


class NegotiationTests(FilesTestCase):
    """
    What is spoken.
    """

    def setUp(self) -> None:
        """
        A certificate for two names.
        """
        super().setUp()
        self.file("a.pem", both(self.authority.leaf("a")))
        self.file("b.pem", both(self.authority.leaf("b")))

    def test_protocol(self) -> None:
        """
        The first protocol of the factory that the client speaks is chosen, whatever
        name it asks for; none where either does not say; an alert where there is none
        that both speak.
        """
        tls = ServerTLS(certificates=self.folder, clock=self.clock)
        h2, h1, other = b"h2", b"http/1.1", b"spdy/3"
        for name in (None, b"a", b"b"):
            for speaks, offered, chosen in (
                ([h1], [h2, h1], h1),
                ([h2, h1], [h1, h2], h2),
                ([h2, h1], [h1], h1),
                ([h1], None, b""),
                (None, [h2, h1], b""),
                ([h1], [other], None),
                ([h1], [h2], None),
            ):
                with self.subTest(name=name, speaks=speaks, offered=offered):
                    talk = handshake(tls, name, offered=offered, speaks=speaks)
                    if chosen is None:
                        self.assertIn("no application protocol", str(talk.error))
                        self.assertIn("alert", str(talk.clientError))
                    else:
                        self.assertIsNone(talk.error)
                        for end in (talk.client, talk.server):
                            self.assertEqual(chosen, end.get_alpn_proto_negotiated())

    def test_version(self) -> None:
        """
        Nothing older than the minimum version is spoken, whatever name is asked for.
        """
        for minimum, highest, works in (
            ("1.2", 0x0304, True),
            ("1.2", 0x0303, True),
            ("1.3", 0x0304, True),
            ("1.3", 0x0303, False),
        ):
            tls = ServerTLS(
                certificates=self.folder, minimumVersion=minimum, clock=self.clock
            )
            for name in (None, b"b"):
                with self.subTest(minimum=minimum, highest=highest, name=name):
                    talk = handshake(tls, name, highest=highest)
                    self.assertEqual(works, talk.error is None)


class SessionTests(FilesTestCase):
    """
    Sessions of earlier connections.
    """

    def connect(self, server: Any, context: Any, session: Any) -> Any:
        """
        Connect a client of Python's own, which tells whether it has resumed.
        """
        server.set_accept_state()
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(came, goes, server_hostname="a", session=session)
        for _ in range(6):
            for step in (client.do_handshake, lambda: client.read(1)):
                with contextlib.suppress(ssl.SSLWantReadError):
                    step()
            sent = goes.read()
            if sent:
                server.bio_write(sent)
            for step in (server.do_handshake, lambda: server.recv(1)):
                with contextlib.suppress(SSL.WantReadError):
                    step()
            with contextlib.suppress(SSL.WantReadError):
                came.write(server.bio_read(65536))
        return client

    def test_noSession(self) -> None:
        """
        As with Twisted's own options, sessions are not resumed: what was verified when
        one began need not hold any more.  (A server that keeps them shows that this
        would be noticed.)
        """
        leaf = self.authority.leaf("a")
        tls = ServerTLS(self.file("a.pem", both(leaf)), clock=self.clock)
        keeps = SSL.Context(SSL.TLS_METHOD)
        leaf_in(keeps, leaf)
        keeps.set_session_id(b"us")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context()
            context.load_verify_locations(cadata=self.authority.pem.decode())
            context.maximum_version = version
            for make, resumed in (
                (lambda: tls.serverConnectionForTLS(Layer(Factory())), False),
                (lambda: SSL.Connection(keeps), True),
            ):
                first = self.connect(make(), context, None)
                again = self.connect(make(), context, first.session)
                self.assertEqual(resumed, again.session_reused, (version, resumed))


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


def self_signed(key: Any) -> tuple[bytes, bytes]:
    """
    A certificate of its own key, and that key, as PEM.
    """
    from datetime import datetime, timedelta, timezone

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
