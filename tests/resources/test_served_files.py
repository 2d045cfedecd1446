"""
What goes with the files of L{PublicFile}: validators, caching, encoded siblings, and
one file for all pages of an application.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import product
from typing import Any
from unittest.mock import patch

from twisted.web.http import datetimeToString
from twisted.web.resource import Resource

from tests.support.server_cases import ServerTestCase, get
from twisted_h11.resources import FilePolicy, PublicFile
from twisted_h11.server import ErrorPages

APP = b"<html>the application"


class FileCase(ServerTestCase):
    """
    A directory.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)

    def write(self, name: str, content: bytes, changed: int = 1_700_000_000) -> str:
        """
        Write a file.
        """
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content)
        os.utime(path, (changed, changed))
        return path

    def root(self, **policy: Any) -> PublicFile:
        """
        The directory as a resource.
        """
        root = PublicFile(self.directory)
        root.policy = FilePolicy(**policy)
        return root

    def ask(
        self,
        root: Any,
        target: bytes,
        *fields: bytes,
        method: bytes = b"GET",
        **options: Any,
    ) -> Any:
        """
        One request: its response.
        """
        wire = self.connect(self.site(root, **options))
        wire.send(get(target, *fields, method=method))
        return wire.settle(1).responses[-1]


class ValidatorTests(FileCase):
    """
    Entity tags.
    """

    def tag(self) -> bytes:
        """
        That of C{a.txt}.
        """
        response = self.ask(self.root(), b"/a.txt")
        tag = response.get(b"ETag")
        assert tag is not None
        return bytes(tag)

    def test_strong(self) -> None:
        """
        A file has a strong tag, which another time or another length changes.
        """
        self.write("a.txt", b"one")
        tags = [self.tag(), self.tag()]
        self.write("a.txt", b"three")
        tags.append(self.tag())
        self.write("a.txt", b"three", 1_700_000_001)
        tags.append(self.tag())
        self.assertEqual(tags[0], tags[1])
        self.assertEqual(len(set(tags)), 3)
        for tag in tags:
            self.assertRegex(tag, rb'^"[0-9a-f]+-[0-9a-f]+"$')

    def test_noneMatch(self) -> None:
        """
        A client that has it gets 304, for HEAD too, whatever it says of dates; one
        that has another one gets the file, though its date is the same.
        """
        self.write("a.txt", b"one")
        tag = self.tag()
        date = b"If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"
        for method in (b"GET", b"HEAD"):
            for fields, status in (
                ([b"If-None-Match: " + tag], 304),
                ([b"If-None-Match: W/" + tag], 304),
                ([b'If-None-Match: "x", ' + tag, date], 304),
                ([b'If-None-Match: "x"', date], 200),
                ([date], 304),
                ([b"If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT"], 200),
            ):
                response = self.ask(self.root(), b"/a.txt", *fields, method=method)
                self.assertEqual(response.status, status, fields)
                self.assertEqual(response.get(b"ETag"), tag)
                if status == 304:
                    self.assertEqual(response.body, b"")

    def test_ifRange(self) -> None:
        """
        A range is served to somebody who has the rest of the same file.
        """
        self.write("a.txt", b"0123456789")
        tag = self.tag()
        for condition, status in (
            (tag, 206),
            (b"W/" + tag, 200),
            (b'"x"', 200),
            (b"Tue, 14 Nov 2023 22:13:20 GMT", 206),
        ):
            response = self.ask(
                self.root(), b"/a.txt", b"Range: bytes=2-3", b"If-Range: " + condition
            )
            self.assertEqual(response.status, status, condition)

    def test_unreadable(self) -> None:
        """
        A tag that matches shows nothing of a file that is not served.
        """
        outside = os.path.join(os.path.dirname(self.directory), "out")
        with open(outside, "wb") as file:
            file.write(b"x")
        os.symlink(outside, os.path.join(self.directory, "a.txt"))
        response = self.ask(self.root(), b"/a.txt", b"If-None-Match: *")
        self.assertEqual(response.status, 404)


class CacheTests(FileCase):
    """
    C{Cache-Control}.
    """

    def test_files(self) -> None:
        """
        Files have the field, also where they have not changed; nothing else has.
        """
        self.write("a.txt", b"one")
        root = self.root(cacheControl=b"public, max-age=60")
        for target, fields, values in (
            (b"/a.txt", [], [b"public, max-age=60"]),
            (b"/a.txt", [b"If-None-Match: *"], [b"public, max-age=60"]),
            (b"/a.txt", [b"Range: bytes=0-0"], [b"public, max-age=60"]),
            (b"/b.txt", [], []),
            (b"/", [], []),
        ):
            response = self.ask(root, target, *fields)
            self.assertEqual(response.all(b"Cache-Control"), values, target)

    def test_ownField(self) -> None:
        """
        A field that was set before stays as it is.
        """
        self.write("a.txt", b"one")
        root = self.root(cacheControl=b"public, max-age=60")

        class Own(Resource):
            def getChild(self, path: bytes, request: Any) -> Any:
                request.setHeader(b"Cache-Control", b"no-store")
                return root.getChild(path, request)

        response = self.ask(Own(), b"/a.txt")
        self.assertEqual(response.all(b"Cache-Control"), [b"no-store"])


class ChangingFile(PublicFile):
    """
    A file that C{change} changes after it was looked at: before it is opened, or after.
    """

    late = False
    change: Any

    def openForReading(self) -> Any:
        """
        See L{PublicFile.openForReading}.
        """
        if self.late:
            file = super().openForReading()
            self.change(self.path)
            return file
        self.change(self.path)
        return super().openForReading()


def leave(path: str) -> None:
    """
    Remove a file, if it is still there.
    """
    if os.path.exists(path):
        os.unlink(path)


def lead_out(path: str) -> None:
    """
    Have a path lead to a file outside its directory.
    """
    if not os.path.islink(path):
        os.unlink(path)
        os.symlink("../out", path)


class VanishingTests(FileCase):
    """
    Files that change between one look and the next.
    """

    def root(self, **attributes: Any) -> PublicFile:
        """
        The directory, with files of that kind.
        """
        attributes["change"] = staticmethod(attributes["change"])
        kind = type("Changing", (ChangingFile,), attributes)
        root: PublicFile = kind(self.directory)
        return root

    def assertNothingSaid(self, response: Any) -> None:
        """
        The answer has no field that was about the file.
        """
        self.assertIsNone(response.get(b"ETag"))
        self.assertIsNone(response.get(b"Cache-Control"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_gone(self) -> None:
        """
        One that has gone is not there.
        """
        for late in (False, True):
            for policy in (FilePolicy(), FilePolicy(cacheControl=b"max-age=60")):
                self.write("a.txt", b"one")
                root = self.root(change=leave, late=late)
                root.policy = policy
                response = self.ask(root, b"/a.txt")
                self.assertEqual(response.status, 404, late)
                self.assertNothingSaid(response)

    def test_elsewhere(self) -> None:
        """
        One that leads out of the directory by now is not sent, nor is it said that it
        has not changed.
        """
        self.write("../out", b"secret")
        for fields in ([], [b"If-None-Match: *"]):
            self.write("a.txt", b"one")
            root = self.root(change=lead_out)
            root.policy = FilePolicy(cacheControl=b"max-age=60")
            response = self.ask(root, b"/a.txt", *fields)
            self.assertEqual(response.status, 403, fields)
            self.assertNotIn(b"secret", response.body)
            self.assertNothingSaid(response)
            os.unlink(os.path.join(self.directory, "a.txt"))

    def test_replaced(self) -> None:
        """
        If another file takes its place just before or after it is opened, the response
        has the length, the time, the tag and the content of one of them.
        """
        for late, new in product((False, True), (b"n" * 2000, b"new")):

            def replace(path: str, new: bytes = new) -> None:
                os.rename(self.write("other", new, 1_700_000_100), path)

            for fields in ([], [b"Range: bytes=0-999999"]):
                self.write("a.txt", b"o" * 1000)
                root = self.root(change=replace, late=late)
                response = self.ask(root, b"/a.txt", *fields)
                if response.body[:1] == b"o":
                    whole, changed = b"o" * 1000, 1_700_000_000
                else:
                    whole, changed = new, 1_700_000_100
                body = response.body
                self.assertTrue(response.complete)
                if response.status == 200:
                    self.assertEqual(whole, body)
                else:
                    self.assertEqual(whole[: len(body)], body)
                    told = b"bytes 0-%d/%d" % (len(body) - 1, len(whole))
                    self.assertEqual(told, response.get(b"Content-Range"))
                tag = b'"%x-%x"' % (changed * 10**9, len(whole))
                self.assertEqual(tag, response.get(b"ETag"))
                date = datetimeToString(changed)
                self.assertEqual(date, response.get(b"Last-Modified"))

    def test_whileItIsOpened(self) -> None:
        """
        One that goes just after it was opened is not sent, since nobody can tell
        where it was.
        """
        self.write("a.txt", b"one")
        file = PublicFile(self.directory).createSimilarFile(
            os.path.join(self.directory, "a.txt")
        )
        real = os.fstat

        def fstat(descriptor: int) -> os.stat_result:
            status = real(descriptor)
            if os.path.exists(file.path):
                os.unlink(file.path)
            return status

        self.patch(os, "fstat", fstat)
        self.assertRaises(PermissionError, file.openForReading)


class SiblingTests(FileCase):
    """
    Files that are there in an encoded form, too.
    """

    def setUp(self) -> None:
        """
        Write three.
        """
        super().setUp()
        self.write("a.js", b"the script")
        self.write("a.js.br", b"as br")
        self.write("a.js.gz", b"as gzip")

    def test_chosen(self) -> None:
        """
        The client gets what it takes, with the type of the file that it asked for, its
        own tag, and C{Vary}.
        """
        root = self.root(precompressed=True)
        tags = set()
        for accepted, body, coding in (
            (b"gzip, br", b"as br", [b"br"]),
            (b"gzip", b"as gzip", [b"gzip"]),
            (b"br;q=0.5, gzip", b"as gzip", [b"gzip"]),
            (b"deflate", b"the script", []),
        ):
            for method in (b"GET", b"HEAD"):
                field = b"Accept-Encoding: " + accepted
                response = self.ask(root, b"/a.js", field, method=method)
                self.assertEqual(response.body, body if method == b"GET" else b"")
                self.assertEqual(response.all(b"Content-Encoding"), coding)
                self.assertEqual(response.all(b"Content-Length"), [b"%d" % len(body)])
                self.assertEqual(response.all(b"Vary"), [b"Accept-Encoding"])
                self.assertIn(b"javascript", response.get(b"Content-Type"))
                self.assertEqual(response.all(b"X-Content-Type-Options"), [b"nosniff"])
                tags.add(response.get(b"ETag"))
        self.assertEqual(len(tags), 3)

    def test_revalidated(self) -> None:
        """
        The tag of the encoded file is the one that counts.
        """
        root = self.root(precompressed=True)
        field = b"Accept-Encoding: gzip"
        tag = self.ask(root, b"/a.js", field).get(b"ETag")
        match = b"If-None-Match: " + tag
        self.assertEqual(self.ask(root, b"/a.js", field, match).status, 304)
        self.assertEqual(self.ask(root, b"/a.js", match).status, 200)

    def test_not(self) -> None:
        """
        An older sibling, one that is not served, one of a file that is not there, and
        any where that is not switched on, are not sent; nor is one for a range.
        """
        field = b"Accept-Encoding: gzip, br"
        self.assertEqual(self.ask(self.root(), b"/a.js", field).body, b"the script")
        self.assertEqual(self.ask(self.root(), b"/a.js", field).all(b"Vary"), [])
        root = self.root(precompressed=True)
        response = self.ask(root, b"/a.js", field, b"Range: bytes=0-2")
        self.assertEqual((response.status, response.body), (206, b"the"))
        self.write("b.js.gz", b"as gzip")
        self.assertEqual(self.ask(root, b"/b.js", field).status, 404)
        self.write("b.js.gz.br", b"twice")
        response = self.ask(root, b"/b.js.gz", field)
        self.assertEqual((response.body, response.all(b"Vary")), (b"as gzip", []))
        self.write("c.js", b"alone")
        response = self.ask(root, b"/c.js", field)
        self.assertEqual((response.body, response.all(b"Vary")), (b"alone", []))
        self.write("a.js", b"newer", 1_700_000_001)
        self.assertEqual(self.ask(root, b"/a.js", field).body, b"newer")
        os.unlink(os.path.join(self.directory, "a.js.br"))
        outside = os.path.join(os.path.dirname(self.directory), "out")
        with open(outside, "wb") as file:
            file.write(b"secret")
        os.symlink(outside, os.path.join(self.directory, "a.js.br"))
        self.assertEqual(self.ask(root, b"/a.js", field).body, b"newer")

    def test_fileGone(self) -> None:
        """
        If the file itself goes while its siblings are looked for, none is sent.
        """
        root = self.root(precompressed=True)
        path = os.path.join(self.directory, "a.js")
        real = PublicFile._status

        def status(file: Any, sibling: str) -> Any:
            if sibling == f"{path}.br":
                os.unlink(path)
            return real(file, sibling)

        self.patch(PublicFile, "_status", status)
        response = self.ask(root, b"/a.js", b"Accept-Encoding: gzip, br")
        self.assertFalse(os.path.exists(path))
        self.assertEqual(404, response.status)

    def test_unusable(self) -> None:
        """
        A sibling that can not be sent leaves the file as it is: a directory, one that
        is gone when it is opened, and one that may not be read.
        """
        root = self.root(precompressed=True)
        sibling = os.path.join(self.directory, "a.js.br")
        os.unlink(os.path.join(self.directory, "a.js.gz"))
        real = os.open

        def opening(error: type[OSError], code: int, path: Any, *args: Any) -> int:
            if path == sibling:
                raise error(code, "unusable")
            return real(path, *args)

        for kind, code in ((FileNotFoundError, 2), (PermissionError, 13)):
            with patch("os.open", partial(opening, kind, code)):
                response = self.ask(root, b"/a.js", b"Accept-Encoding: br")
            self.assertEqual((200, b"the script"), (response.status, response.body))
            self.assertEqual([], response.all(b"Content-Encoding"))
            self.assertEqual([b"Accept-Encoding"], response.all(b"Vary"))
        os.unlink(sibling)
        os.mkdir(sibling)
        response = self.ask(root, b"/a.js", b"Accept-Encoding: br")
        self.assertEqual((200, b"the script"), (response.status, response.body))


class FallbackTests(FileCase):
    """
    One file for all pages of an application.
    """

    HTML = b"Accept: text/html, */*;q=0.5"

    def app(self) -> PublicFile:
        """
        A directory with an application.
        """
        self.write("index.html", APP)
        self.write("a.js", b"the script")
        root = self.root()
        root.fallBackTo("index.html")
        return root

    def test_pages(self) -> None:
        """
        A page that is not there is the application, and not to be kept; what is there
        is what it is.
        """
        os.mkdir(os.path.join(self.directory, "sub"))
        for target in (b"/people", b"/people/5", b"/sub/x", b"/a/", b"/%20", b"/.x/y"):
            for method in (b"GET", b"HEAD"):
                response = self.ask(self.app(), target, self.HTML, method=method)
                self.assertEqual(response.status, 200, target)
                self.assertEqual(response.body, APP if method == b"GET" else b"")
                self.assertEqual(response.all(b"Cache-Control"), [b"no-cache"])
                self.assertEqual(response.get(b"Content-Type"), b"text/html")
        response = self.ask(self.app(), b"/a.js", self.HTML)
        self.assertEqual(response.body, b"the script")

    def test_ranges(self) -> None:
        """
        Ranges and conditions hold for the file as they do at its own address.
        """
        self.write("index.html", b"0123456789")
        root = self.root()
        root.fallBackTo("index.html")
        html = b"Accept: text/html"
        for fields in (
            [b"Range: bytes=2-3"],
            [b"Range: bytes=2-3", b'If-Range: W/"x"'],
            [b"Range: bytes=0-5,2-7,1-4"],
            [b"Range: bytes=9-2"],
            [b"Range: bytes=20-"],
        ):
            own = self.ask(root, b"/index.html", html, *fields)
            page = self.ask(root, b"/page", html, *fields)
            self.assertEqual((page.status, page.body), (own.status, own.body), fields)

    def test_others(self) -> None:
        """
        What is no page is not there: a script, an image, an answer of an interface,
        another method.
        """
        for target, fields, method in (
            (b"/b.js", [self.HTML], b"GET"),
            (b"/.env", [self.HTML], b"GET"),
            (b"/people", [b"Accept: application/json"], b"GET"),
            (b"/people", [], b"GET"),
            (b"/people", [self.HTML], b"POST"),
        ):
            response = self.ask(self.app(), target, *fields, method=method)
            self.assertEqual(response.status, 404, target)
            self.assertNotIn(APP, response.body)

    def test_wrong(self) -> None:
        """
        What is no file of the directory is an error.
        """
        os.mkdir(os.path.join(self.directory, "sub"))
        for path in ("index.html", "sub", "../out", "/etc/passwd", ""):
            self.raised(ValueError, self.root().fallBackTo, path)


class ErrorPageTests(FileCase):
    """
    Pages of one's own.
    """

    def test_each(self) -> None:
        """
        What is not there, not allowed, not known, or too large has the page of the
        site, with its type.
        """
        os.mkdir(os.path.join(self.directory, "sub"))
        self.write("a.txt", b"x")
        html = self.write("lost.html", b"<p>lost")
        plain = self.write("no.txt", b"no")
        pages = ErrorPages({404: html, 403: plain, 405: plain, 400: plain})
        for target, method, status, body, kind in (
            (b"/b", b"GET", 404, b"<p>lost", b"text/html; charset=utf-8"),
            (b"/b", b"HEAD", 404, b"", b"text/html; charset=utf-8"),
            (b"/sub/", b"GET", 403, b"no", b"text/plain; charset=utf-8"),
            (b"/a.txt", b"DELETE", 405, b"no", b"text/plain; charset=utf-8"),
            (b"/a#b", b"GET", 400, b"no", b"text/plain; charset=utf-8"),
        ):
            response = self.ask(self.root(), target, method=method, errorPages=pages)
            self.assertEqual((response.status, response.body), (status, body), target)
            self.assertEqual(response.get(b"Content-Type"), kind)

    def test_failure(self) -> None:
        """
        A resource that raises has the page for 500, unless tracebacks are shown.
        """
        path = self.write("sorry.html", b"<p>sorry")

        def render(request: Any) -> bytes:
            raise RuntimeError("never")

        for shown in (False, True):
            site = self.site(render, errorPages=ErrorPages({500: path}))
            site.displayTracebacks = shown
            wire = self.connect(site)
            wire.send(get())
            response = wire.settle(1).responses[-1]
            self.assertEqual(response.status, 500)
            self.assertEqual(response.body == b"<p>sorry", not shown)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_applications(self) -> None:
        """
        What an application answers is its own.
        """
        path = self.write("lost.html", b"<p>lost")

        def render(request: Any) -> bytes:
            request.setResponseCode(404)
            return b"my own"

        response = self.ask(render, b"/", errorPages=ErrorPages({404: path}))
        self.assertEqual(response.body, b"my own")

    def test_wrong(self) -> None:
        """
        A status that is no error, and a file that can not be read or is too long.
        """
        path = self.write("a", b"x" * (1 << 20))
        ErrorPages({404: path})
        for status in (200, 304, 399, 600):
            self.raised(ValueError, ErrorPages, {status: path})
        self.raised(OSError, ErrorPages, {404: path + "x"})
        self.raised(OSError, ErrorPages, {404: self.directory})
        self.write("a", b"x" * (1 << 20) + b"x")
        self.raised(ValueError, ErrorPages, {404: path})
