"""
What C{twistd h11web --path} serves of a directory, and what it does not.
"""

from __future__ import annotations

import os
import random
from typing import Any

from tests.support.responses import WireResponse
from tests.support.server_cases import ServerTestCase, get
from twisted_h11.resources import SCRIPTS, FilePolicy, PublicFile

SECRET = b"the secret"
FUTURE = b"Fri, 01 Jan 2100 00:00:00 GMT"
PAGE = b"<script>alert(1)</script>"
SCRIPT = b"from twisted.web.static import Data\nresource = Data(b'ran', 'text/plain')\n"

FILES = {
    "../secret.txt": SECRET,
    "../outside/secret.txt": SECRET,
    "../outside/index.html": SECRET,
    "../www-old/secret.txt": SECRET,
    ".htaccess": SECRET,
    ".git/config": SECRET,
    ".well-known/acme": b"token",
    "sub/.htaccess": SECRET,
    "sub/.well-known/acme": SECRET,
    "sub/...": SECRET,
    "sub/a.txt": b"a",
    "indexed/index.html": b"<p>index",
    "scripted/index.rpy": SCRIPT,
    "scripted/index.html.bak": b"x",
    "linked/other": b"x",
    "notes.txt": b"hello",
    "NOTES2.TXT": b"hello",
    "page.html": PAGE,
    "evil.html.": PAGE,
    "evil.html.unknown": PAGE,
    "README": PAGE,
    "upload.jpgx": PAGE,
    "pic.gif": b"GIF89a",
    "data.gz": b"x",
    "../bare/secret.txt": SECRET,
    "run.rpy": SCRIPT,
    "run.RPY": SCRIPT,
    "run.cgi": SECRET,
    "run.epy": SECRET,
    "a<b>&c.txt": b"x",
}

LINKS = {
    "inside": "notes.txt",
    "inside-dir": "sub",
    "out.txt": "../secret.txt",
    "out-absolute": "{root}/../secret.txt",
    "out-dir": "../outside",
    "out-bare": "../bare",
    "out-sibling": "../www-old",
    "out-then-in": "out-dir/../www/notes.txt",
    "out-chain": "out-link",
    "out-link": "out.txt",
    "loop": "loop",
    "dangling": "nowhere",
    "sub/up": "..",
    "sub/out": "../../outside",
    "linked/index.html": "../../secret.txt",
}


class FilesTestCase(ServerTestCase):
    """
    A directory with all sorts of things in it and around it.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        self.root = os.path.join(os.path.abspath(self.mktemp()), "www")
        for name, content in FILES.items():
            path = os.path.normpath(os.path.join(self.root, name))
            if name.endswith("."):
                path = os.path.join(self.root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        for name, target in LINKS.items():
            os.symlink(target.format(root=self.root), os.path.join(self.root, name))

    def file(self, path: str | None = None, **policy: Any) -> PublicFile:
        """
        The root.
        """
        file = PublicFile(self.root if path is None else path)
        file.policy = FilePolicy(**policy)
        return file

    def ask(self, target: bytes, *fields: bytes, root: Any = None) -> WireResponse:
        """
        The response to a GET.
        """
        if root is None:
            root = self.file()
        wire = self.talk(root, get(target, *fields))
        wire.settle(1)
        response = wire.only()
        self.assertEqual([], self.flushLoggedErrors(), repr(target))
        return response

    def statuses(self, *targets: bytes, root: Any = None) -> dict[bytes, int]:
        """
        The statuses of some targets.
        """
        return {target: self.ask(target, root=root).status for target in targets}

    def assertStatus(self, status: int, *targets: bytes, root: Any = None) -> None:
        """
        All targets have one status, and nobody sees a secret.
        """
        for target in targets:
            response = self.ask(target, root=root)
            self.assertEqual(status, response.status, repr(target))
            if status != 200:
                self.assertNotIn(SECRET, response.body, repr(target))


class TypeTests(FilesTestCase):
    """
    What a browser makes of a file.
    """

    def test_types(self) -> None:
        """
        Known types are told; what is unknown is C{application/octet-stream}.
        """
        for target, kind in (
            (b"/notes.txt", b"text/plain"),
            (b"/NOTES2.TXT", b"text/plain"),
            (b"/page.html", b"text/html"),
            (b"/pic.gif", b"image/gif"),
            (b"/README", b"application/octet-stream"),
            (b"/upload.jpgx", b"application/octet-stream"),
            (b"/evil.html.", b"application/octet-stream"),
            (b"/evil.html.unknown", b"application/octet-stream"),
            (b"/data.gz", b"application/octet-stream"),
        ):
            response = self.ask(target)
            self.assertEqual(200, response.status)
            self.assertEqual(kind, response.get(b"content-type"), repr(target))

    def test_noSniff(self) -> None:
        """
        Browsers are told not to guess, whatever becomes of the request.
        """
        listing = self.file(listDirectories=True)
        for target, field, status, root in (
            (b"/README", b"A: b", 200, None),
            (b"/README", b"Range: bytes=0-3", 206, None),
            (b"/README", b"Range: bytes=99999-", 416, None),
            (b"/README", b"If-Modified-Since: " + FUTURE, 304, None),
            (b"/out.txt", b"A: b", 404, None),
            (b"/sub/", b"A: b", 200, listing),
        ):
            response = self.ask(target, field, root=root)
            self.assertEqual(status, response.status)
            self.assertEqual(b"nosniff", response.get(b"x-content-type-options"))
        head = self.talk(self.file(), get(b"/README", method=b"HEAD")).only()
        self.assertEqual(b"nosniff", head.get(b"x-content-type-options"))

    def test_chosen(self) -> None:
        """
        Another type for what is unknown holds below the root, too.
        """
        root = self.file()
        root.defaultType = "text/markdown"
        response = self.ask(b"/README", root=root)
        self.assertEqual(b"text/markdown", response.get(b"content-type"))


class NameTests(FilesTestCase):
    """
    Which names there are.
    """

    def test_dotFiles(self) -> None:
        """
        Names that begin with a dot are not there, however they are spelled.
        """
        self.assertStatus(
            404,
            b"/.htaccess",
            b"/%2ehtaccess",
            b"/%2Ehtaccess",
            b"/.git/config",
            b"/%2egit/config",
            b"/.git/",
            b"/.git",
            b"/sub/.htaccess",
            b"/sub/%2ehtaccess",
            b"/sub/...",
            b"/inside-dir/.htaccess",
            b"/sub/.well-known/acme",
            b"/./notes.txt",
            b"/%2e/notes.txt",
            b"/sub/../notes.txt",
        )
        self.assertStatus(200, b"/.well-known/acme")

    def test_dotFilesAllowed(self) -> None:
        """
        They are there for whoever wants it; C{.} and C{..} never are.
        """
        root = self.file(dotFiles=True)
        self.assertStatus(200, b"/.htaccess", b"/.git/config", b"/sub/...", root=root)
        self.assertStatus(
            404, b"/./notes.txt", b"/sub/../notes.txt", b"/../secret.txt", root=root
        )

    def test_oddNames(self) -> None:
        """
        Names that lead out of the directory, or can not be names, are not there,
        without a traceback.
        """
        self.assertStatus(
            404,
            b"/../secret.txt",
            b"/%2e%2e/secret.txt",
            b"/..%2fsecret.txt",
            b"/%2e%2e%2fsecret.txt",
            b"/..%5csecret.txt",
            b"/sub/..%2f..%2fsecret.txt",
            b"/%2fetc/passwd",
            b"/sub%2f.htaccess",
            b"/sub%2fa.txt",
            b"/%00",
            b"/notes.txt%00",
            b"/notes.txt%00.html",
            b"/.%00",
            b"/sub/%00/a.txt",
            b"/%ff",
            b"/%c0%ae%c0%ae/secret.txt",
            b"/%ed%b3%bf",
            b"/" + b"a" * 300,
            b"/" + b"a/" * 2000,
            b"/notes.txt/",
            b"/notes.txt/x",
            b"/notes.txt.",
            b"/nothing",
        )
        self.assertStatus(404, b"/%00", b"/a%00", root=self.ignoring())

    def ignoring(self) -> PublicFile:
        """
        A root where extensions may be left out.
        """
        root = self.file()
        root.ignoreExt("*")
        return root

    def test_extensions(self) -> None:
        """
        Where extensions may be left out neither scripts nor dot files are found
        that way.
        """
        root = self.ignoring()
        self.assertStatus(200, b"/notes", b"/sub/a", root=root)
        self.assertStatus(404, b"/run", b"/.htacc", root=root)

    def test_oneFile(self) -> None:
        """
        A root that is a file is served at its own URL.
        """
        root = self.file(os.path.join(self.root, "notes.txt"))
        response = self.ask(b"/", root=root)
        self.assertEqual((200, b"hello"), (response.status, response.body))
        self.assertStatus(404, b"/x", b"/notes.txt", b"/../secret.txt", root=root)


class LinkTests(FilesTestCase):
    """
    Symbolic links, and what is no file.
    """

    OUT = (
        b"/out.txt",
        b"/out-absolute",
        b"/out-dir",
        b"/out-dir/",
        b"/out-dir/secret.txt",
        b"/out-bare/",
        b"/out-sibling/secret.txt",
        b"/out-chain",
        b"/sub/out/secret.txt",
        b"/sub/up/out.txt",
        b"/linked/",
        b"/linked/index.html",
    )

    def test_inside(self) -> None:
        """
        Links within the root are followed.
        """
        self.assertStatus(
            200, b"/inside", b"/inside-dir/a.txt", b"/sub/up/notes.txt", b"/out-then-in"
        )

    def test_outside(self) -> None:
        """
        Those that leave it are not there, nor is what lies behind them; they can
        not be told from what is not there.
        """
        self.assertStatus(404, *self.OUT, b"/loop", b"/dangling", b"/loop/x")
        for wanted in (True, False):
            root = self.file(listDirectories=wanted)
            self.assertStatus(404, *self.OUT, root=root)

    def test_outsideAllowed(self) -> None:
        """
        They are followed for whoever wants it.
        """
        root = self.file(outsideLinks=True)
        self.assertStatus(
            200, b"/out.txt", b"/out-dir/secret.txt", b"/linked/", root=root
        )
        self.assertStatus(404, b"/loop", b"/dangling", root=root)

    def test_rootIsLink(self) -> None:
        """
        The root itself may be a link, and come to lead elsewhere.
        """
        link = f"{self.root}-link"
        os.symlink("www", link)
        root = self.file(link)
        self.assertStatus(200, b"/notes.txt", b"/inside", root=root)
        self.assertStatus(404, *self.OUT, root=root)
        os.unlink(link)
        os.symlink("outside", link)
        self.assertStatus(200, b"/secret.txt", root=root)

    def test_changedInBetween(self) -> None:
        """
        A path that leads outside only when it is opened is not opened either.
        """
        file = self.file().createSimilarFile(os.path.join(self.root, "notes.txt"))
        self.assertEqual(b"hello", self.content(file))
        os.unlink(file.path)
        os.symlink("../secret.txt", file.path)
        self.assertRaises(PermissionError, file.openForReading)
        os.unlink(file.path)
        os.mkfifo(file.path)
        self.assertRaises(PermissionError, file.openForReading)

    def content(self, file: PublicFile) -> bytes:
        """
        What is in a file.
        """
        with file.openForReading() as opened:
            data: bytes = opened.read()
            return data

    def test_noFile(self) -> None:
        """
        Pipes and devices, which would hold the server, are not there.
        """
        os.mkfifo(os.path.join(self.root, "pipe"))
        os.symlink("pipe", os.path.join(self.root, "to-pipe"))
        os.symlink("/dev/zero", os.path.join(self.root, "zero"))
        self.assertStatus(404, b"/pipe", b"/to-pipe", b"/zero")
        self.assertStatus(404, b"/zero", root=self.file(outsideLinks=True))

    def test_anyTree(self) -> None:
        """
        Whatever links there are in whatever tree, nothing from outside is served,
        and all that lies inside is.
        """
        for seed in range(10):
            source = random.Random(seed)
            top = os.path.realpath(self.mktemp())
            folders = [
                os.path.join(top, *parts)
                for parts in (
                    ("root",),
                    ("root", "a"),
                    ("root", "a", "b"),
                    ("root", "c"),
                    ("out",),
                    ("out", "a"),
                    ("root2",),
                )
            ]
            paths = []
            for folder in folders:
                os.makedirs(folder)
                path = os.path.join(folder, "f.txt")
                with open(path, "wb") as file:
                    file.write(b"in" if f"{os.sep}root{os.sep}" in path else SECRET)
                paths += [folder, path]
            for number in range(12):
                place = os.path.join(source.choice(folders), f"l{number}")
                target = source.choice(paths)
                if source.random() < 0.5:
                    target = os.path.relpath(target, os.path.dirname(place))
                os.symlink(target, place)
                paths.append(place)
            names = ["a", "b", "c", "f.txt", *(f"l{n}" for n in range(12))]
            root = self.file(os.path.join(top, "root"), listDirectories=True)
            wire = self.connect(self.site(root))
            for _ in range(60):
                parts = [source.choice(names) for _ in range(source.randrange(1, 5))]
                path = os.path.join(top, "root", *parts)
                wire.send(get("/".join(["", *parts]).encode()))
                response = wire.responses[-1]
                real = os.path.realpath(path)
                fits = os.path.isfile(path) and real.startswith(f"{top}/root/")
                self.assertEqual(fits, response.status == 200, f"{seed}: {parts}")
                self.assertNotIn(SECRET, response.body)


class DirectoryTests(FilesTestCase):
    """
    Directories: indexes, listings, and the slash at the end.
    """

    def test_notListed(self) -> None:
        """
        A directory without an index is forbidden.
        """
        self.assertStatus(403, b"/", b"/sub/", b"/scripted/")
        self.assertStatus(200, b"/indexed/")

    def test_listed(self) -> None:
        """
        A listing has those names that would be served.
        """
        root = self.file(listDirectories=True)
        os.mkfifo(os.path.join(self.root, "pipe"))
        with open(os.path.join(os.fsencode(self.root), b"bad\xff"), "wb"):
            pass
        response = self.ask(b"/", root=root)
        self.assertEqual(200, response.status)
        text = response.body.decode()
        for name in ("notes.txt", "sub/", "inside", "README", "a%3Cb%3E%26c.txt"):
            self.assertIn(f'href="{name}"', text)
        self.assertIn("a&lt;b&gt;&amp;c.txt", text)
        for name in (
            ".git",
            ".htaccess",
            "out.",
            "out-d",
            "out-s",
            "run.",
            "pipe",
            "bad",
            "loop",
        ):
            self.assertNotIn(f'href="{name}', text)
        for name in set(FILES) | set(LINKS):
            if "/" not in name and f'href="{name}"' in text:
                self.assertStatus(200, b"/" + name.encode(), root=root)

    def test_unreadable(self) -> None:
        """
        A directory that may not be read is forbidden.
        """
        root = self.file(listDirectories=True)

        def listNames() -> list[str]:
            raise PermissionError(13, "Permission denied")

        self.patch(root, "listNames", listNames)
        self.assertStatus(403, b"/", root=root)

    def test_slash(self) -> None:
        """
        The URL of a directory without its slash leads to that with it, on this
        host, whatever else the path may look like.
        """
        for target, location in (
            (b"/sub", b"/sub/"),
            (b"/sub?a=//b/", b"/sub/?a=//b/"),
            (b"/sub?", b"/sub/?"),
            (b"/s%75b", b"/s%75b/"),
            (b"http://example.com/sub?x", b"/sub/?x"),
        ):
            response = self.ask(target)
            self.assertEqual(302, response.status)
            self.assertEqual(location, response.get(b"location"))
        for target in (
            b"//sub",
            b"//evil.example/sub",
            b"/%2fevil.example",
            b"/%2fevil.example/sub",
            b"/%5cevil.example",
            b"//evil.example/%2e%2e/sub",
            b"/.//sub",
        ):
            response = self.ask(target)
            self.assertEqual(404 if target[:2] != b"//" else 403, response.status)
            self.assertIsNone(response.get(b"location"), repr(target))

    def test_otherHost(self) -> None:
        """
        Not even where a path begins with two slashes and finds a directory.
        """

        class Asked:
            uri = b"//evil.example/sub?a"
            path = b"//evil.example/sub"

            def __init__(self) -> None:
                self.fields: dict[bytes, bytes] = {}

            def setHeader(self, name: bytes, value: bytes) -> None:
                self.fields[name.lower()] = value

            def redirect(self, url: bytes) -> None:
                self.fields[b"location"] = url

        asked = Asked()
        self.file().redirect(asked)
        self.assertEqual(b"/evil.example/sub/?a", asked.fields[b"location"])


class ScriptTests(FilesTestCase):
    """
    Files that could be run.
    """

    def test_off(self) -> None:
        """
        They are neither run nor shown.
        """
        self.assertStatus(404, b"/run.rpy", b"/run.RPY", b"/run.cgi", b"/run.epy")
        self.assertStatus(404, b"/scripted/index.rpy")
        self.assertTrue([m for m in self.messages() if "--scripts on" in m])

    def test_on(self) -> None:
        """
        They are run for whoever wants it, within the root.
        """
        root = self.file()
        root.processors.update(SCRIPTS)
        self.assertEqual(b"ran", self.ask(b"/run.rpy", root=root).body)
        self.assertEqual(b"ran", self.ask(b"/scripted/", root=root).body)
        with open(os.path.join(self.root, "../secret.rpy"), "wb") as file:
            file.write(SCRIPT)
        os.symlink("../secret.rpy", os.path.join(self.root, "out.rpy"))
        self.assertStatus(404, b"/out.rpy", root=root)
        self.assertStatus(404, b"/run.RPY", root=root)
