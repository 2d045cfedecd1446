"""
Several certificates in a folder, told apart by their names.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from tests.support.handshakes import (
    FilesTestCase,
    both,
    chain,
    handshake,
    serial,
)
from twisted_h11.tls import BadTLSFile, ServerTLS

# Later than any minute from the last look.
LATER = 60.0


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

    def test_expiredName(self) -> None:
        """
        A wildcard that is valid goes before a certificate for the very name that has
        expired, and that before a wildcard that has, too.
        """
        wild = self.put("w", "*.a.example")
        old = self.put("a", leaf=self.authority.expired("x.a.example", "x.b.example"))
        self.put("b", leaf=self.authority.expired("*.b.example"))
        tls = self.make()
        self.assertEqual(serial(wild), self.shown(tls, b"x.a.example"))
        self.assertEqual(serial(old), self.shown(tls, b"x.b.example"))

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

    def test_allBad(self) -> None:
        """
        If nothing of what there is now can be loaded, what was shown is shown on.
        """
        a = self.put("a")
        tls = self.make()
        os.unlink(f"{self.folder}/a.pem")
        self.file("b.pem", b"")
        (problem,) = tls.reload()
        self.assertIn("b.pem: expected a certificate", problem)
        self.assertEqual(serial(a), self.shown(tls, b"b"))
        b = self.put("b")
        self.clock.advance(LATER)
        self.assertEqual(serial(b), self.shown(tls, b"b"))

    def test_defaultGone(self) -> None:
        """
        That holds for the default, too, which goes on being the default.
        """
        a, b = self.put("a"), self.put("b")
        tls = self.make()
        os.unlink(f"{self.folder}/a.pem")
        for _ in range(2):
            self.clock.advance(LATER)
            self.assertEqual(serial(a), self.shown(tls, None))
        tls.reload()
        self.assertEqual(serial(b), self.shown(tls, None))
        first = self.put("0", live=True)
        self.clock.advance(LATER)
        self.assertEqual(serial(first), self.shown(tls, None))

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
