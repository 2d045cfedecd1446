"""
Resources behind a password.
"""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Any

import bcrypt
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from zope.interface import implementer

import twisted_h11._resources.passwords
from tests.support.server_cases import Echo, ServerTestCase, get, post
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.resources import PasswordFile, PublicFile, protect
from twisted_h11.server import ErrorPages


def hashed(password: bytes) -> bytes:
    """
    A hash that is made quickly.
    """
    made: bytes = bcrypt.hashpw(password, bcrypt.gensalt(4))
    return made


class Threads:
    """
    Calls that somebody makes later.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Deferred[Any], Any, tuple[Any, ...]]] = []

    def defer(self, call: Any, *args: Any) -> Deferred[Any]:
        """
        As C{deferToThread}.
        """
        done: Deferred[Any] = Deferred()
        self.calls.append((done, call, args))
        return done

    def run(self) -> None:
        """
        Make all calls.
        """
        while self.calls:
            done, call, args = self.calls.pop(0)
            done.callback(call(*args))


class PasswordCase(ServerTestCase):
    """
    A file of passwords, and threads that run when they are told to.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.path: str = self.mktemp()
        self.write(b"ann:" + hashed(b"secret") + b"\n")
        self.threads = Threads()
        self.patch(
            twisted_h11._resources.passwords, "deferToThread", self.threads.defer
        )

    def write(self, content: bytes) -> None:
        """
        Write the file.
        """
        with open(self.path, "wb") as file:
            file.write(content)


class ProtectTests(PasswordCase):
    """
    L{protect}.
    """

    def ask(self, site: Any, *fields: bytes, target: bytes = b"/a/b") -> Any:
        """
        One request: its response.
        """
        wire = self.connect(site)
        wire.send(get(target, *fields))
        self.threads.run()
        return wire.settle(1).responses[-1]

    def authorization(self, text: bytes) -> bytes:
        """
        The field for C{name:password}.
        """
        return b"Authorization: Basic " + b64encode(text)

    def root(self) -> Resource:
        """
        Something to protect.
        """

        class Leaf(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                path: bytes = request.path
                return b"inside " + path

        root = Resource()
        child = Resource()
        root.putChild(b"a", child)
        child.putChild(b"b", Leaf())
        return root

    def test_each(self) -> None:
        """
        Who has no name and password, or another one, gets 401 and is asked for it,
        also for what is not there; who has it is let in.
        """
        site = self.site(protect(self.root(), PasswordFile(self.path), "The cellar"))
        for text in (
            b"",
            b"ann",
            b"ann:",
            b"ann:wrong",
            b"bob:secret",
            b"ANN:secret",
            b"ann:secret\0",
            b"ann:secret\0x",
        ):
            for target in (b"/a/b", b"/", b"/nothing"):
                response = self.ask(site, self.authorization(text), target=target)
                self.assertEqual(response.status, 401, text)
                self.assertIn(b'realm="The cellar"', response.get(b"WWW-Authenticate"))
        for field in (b"Authorization: Basic !!", b"Authorization: x", b"X: y"):
            self.assertEqual(self.ask(site, field).status, 401, field)
        response = self.ask(site, self.authorization(b"ann:secret"))
        self.assertEqual((response.status, response.body), (200, b"inside /a/b"))
        response = self.ask(site, self.authorization(b"ann:secret"), target=b"/no")
        self.assertEqual(response.status, 404)

    def test_remembered(self) -> None:
        """
        A password that was right is not compared again; a wrong one is.
        """
        site = self.site(protect(self.root(), PasswordFile(self.path)))
        self.ask(site, self.authorization(b"ann:secret"))
        wire = self.connect(site)
        wire.send(get(b"/a/b", self.authorization(b"ann:secret")))
        self.assertEqual(self.threads.calls, [])
        self.assertEqual(wire.responses[-1].status, 200)
        wire = self.connect(site)
        wire.send(get(b"/a/b", self.authorization(b"ann:wrong")))
        self.assertEqual(len(self.threads.calls), 1)
        self.threads.run()

    def test_wrong(self) -> None:
        """
        A realm that could not be quoted is an error.
        """
        for realm in ('a"b', "a\\b", "a\r\nb"):
            self.raised(
                ValueError, protect, self.root(), PasswordFile(self.path), realm
            )

    def test_files(self) -> None:
        """
        Conditions and ranges of files are looked at as they are without a password,
        for who comes first and for who is known already.
        """
        folder = self.mktemp()
        os.mkdir(folder)
        with open(os.path.join(folder, "a.txt"), "wb") as file:
            file.write(b"0123456789")
        right = self.authorization(b"ann:secret")
        for fields in (
            [b"Range: bytes=2-3"],
            [b"Range: bytes=2-3", b'If-Range: W/"x"'],
            [b"Range: bytes=2-3", b"If-Range: yesterday"],
            [b"Range: bytes=0-5,2-7,1-4"],
            [b"Range: bytes=9-2"],
            [b"Range: bytes=20-"],
        ):
            files = PublicFile(folder)
            free = self.ask(self.site(files), *fields, target=b"/a.txt")
            site = self.site(protect(files, PasswordFile(self.path)))
            for _ in range(2):
                response = self.ask(site, right, *fields, target=b"/a.txt")
                self.assertEqual(
                    (response.status, response.body), (free.status, free.body), fields
                )

    def test_streams(self) -> None:
        """
        For who is known the body streams into the resource; who is not let in is told
        before the body is here.
        """

        @implementer(IStreamingResource)
        class Leaf(Resource):
            isLeaf = True

            def render_POST(self, request: Any) -> bytes:
                return b"began"

        site = self.site(protect(Leaf(), PasswordFile(self.path)))
        right = self.authorization(b"ann:secret")
        self.ask(site, right)
        for field, status in ((right, 200), (self.authorization(b"x"), 401)):
            wire = self.connect(site)
            wire.send(get(b"/", field, b"Content-Length: 9", method=b"POST"))
            self.assertEqual(wire.responses[-1].status, status)

    def test_ownPath(self) -> None:
        """
        It may stand anywhere in a tree, and guards that very path, too; what is behind
        has its body there, at once and after a comparison.
        """
        root = Resource()
        root.putChild(b"a", protect(Echo(), PasswordFile(self.path)))
        site = self.site(root)
        for password, status, body in (
            (b"secret", 200, b"body"),
            (b"secret", 200, b"body"),
            (b"wrong", 401, None),
        ):
            wire = self.connect(site)
            field = self.authorization(b"ann:" + password)
            wire.send(post(b"body", field, target=b"/a"))
            self.threads.run()
            response = wire.settle(1).responses[-1]
            self.assertEqual(status, response.status, password)
            if body is not None:
                self.assertEqual(body, response.body)
            self.assertEqual(status, self.ask(site, field, target=b"/a").status)

    def test_connect(self) -> None:
        """
        CONNECT, which has no path, is let in as all others are.
        """
        site = self.site(protect(Echo(), PasswordFile(self.path)))
        for text, status in ((b"ann:wrong", 401), (b"ann:secret", 200)):
            wire = self.connect(site)
            wire.methods = [b"CONNECT"]
            field = self.authorization(text)
            wire.send(get(b"example.com:443", field, method=b"CONNECT"))
            self.threads.run()
            self.assertEqual([status], wire.settle(1).statuses)

    def test_putChild(self) -> None:
        """
        Children are those of what is behind.
        """
        behind = Resource()
        protect(behind, PasswordFile(self.path)).putChild(b"a", Echo())
        self.assertEqual([b"a"], behind.listNames())

    def test_notCompared(self) -> None:
        """
        If a password can not be compared, nobody is let in, and the log says why.
        """

        def broken(*args: Any) -> Deferred[Any]:
            return fail(OSError("no more threads"))

        self.patch(twisted_h11._resources.passwords, "deferToThread", broken)
        site = self.site(protect(self.root(), PasswordFile(self.path)))
        self.assertEqual(self.ask(site, self.authorization(b"ann:secret")).status, 401)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertIn("A password could not be compared", self.messages())

    def test_plain(self) -> None:
        """
        What is below certain paths is for everybody, and nothing beside it.
        """
        passwords = PasswordFile(self.path)
        site = self.site(protect(self.root(), passwords, plain=[b"/a/"]))
        for target, status in (
            (b"/a/b", 200),
            (b"/a/", 404),
            (b"/a", 401),
            (b"/ab", 401),
            (b"/a/../x", 401),
            (b"/a/%2e%2e/x", 401),
            (b"//a/b", 401),
        ):
            found = 401 if b"" in target.split(b"/")[1:] else status
            self.assertEqual(self.ask(site, target=target).status, found, target)
        for path in (b"a/", b"/a", b""):
            message = self.raised(
                ValueError, lambda p: protect(self.root(), passwords, plain=[p]), path
            )
            self.assertIn("slash", message)

    def test_pages(self) -> None:
        """
        The site's pages stand in the place of ours.
        """
        page = self.mktemp()
        with open(page, "wb") as file:
            file.write(b"who are you?")
        site = self.site(
            protect(self.root(), PasswordFile(self.path)),
            errorPages=ErrorPages({401: page}),
        )
        response = self.ask(site)
        self.assertEqual((response.status, response.body), (401, b"who are you?"))
        self.assertIn(b"Basic", response.get(b"WWW-Authenticate"))

    def test_busy(self) -> None:
        """
        If too many passwords are being compared, the client is told to come again, not
        that its password is wrong.
        """
        site = self.site(protect(self.root(), PasswordFile(self.path)))
        wires = [self.connect(site) for _ in range(2 + 64 + 1)]
        for n, wire in enumerate(wires):
            wire.send(get(b"/a/b", self.authorization(b"bob:%d" % n)))
        response = wires[-1].responses[-1]
        self.assertEqual((response.status, response.get(b"Retry-After")), (503, b"1"))
        wires[0].vanish()
        self.threads.run()
        self.assertEqual({w.responses[-1].status for w in wires[1:-1]}, {401})


class FileTests(PasswordCase):
    """
    L{PasswordFile}.
    """

    def allows(self, file: PasswordFile, name: bytes, password: bytes) -> bool:
        """
        Whether it has that name with that password.
        """
        asked = file.requestAvatarId(UsernamePassword(name, password))
        self.threads.run()
        found: list[Any] = []
        asked.addErrback(lambda f: f.trap(UnauthorizedLogin)).addCallback(found.append)
        return found == [name]

    def test_lines(self) -> None:
        """
        Empty lines and comments are passed over; anything else is told by its number.
        """
        self.write(b"# people\n\nann:" + hashed(b"a") + b"\r\nbob:" + hashed(b"b"))
        file = PasswordFile(self.path)
        self.assertTrue(self.allows(file, b"ann", b"a"))
        self.assertTrue(self.allows(file, b"bob", b"b"))
        for line in (
            b"ann",
            b"ann:",
            b":" + hashed(b"a"),
            b"ann:plain",
            b"ann:$apr1$x$y",
            b"ann:{SHA}x",
            b"ann:" + hashed(b"a")[:-1],
            b"ann:" + hashed(b"a")[:-1] + b"!",
            b"ann:$2y$xx$" + b"a" * 53,
            b"ann:$2y$03$" + b"a" * 53,
            b"ann:$2y$31$" + b"a" * 53,
            # A salt that bcrypt refuses at each comparison.
            b"ann:$2y$05$" + b"a" * 53,
            b"\xff\x00",
        ):
            self.write(b"ann:" + hashed(b"a") + b"\n" + line)
            message = self.raised(ValueError, PasswordFile, self.path)
            self.assertIn("line 2", message)
        self.write(b"#" * ((1 << 20) + 1))
        self.assertIn("longer", self.raised(ValueError, PasswordFile, self.path))
        self.raised(OSError, PasswordFile, self.path + "x")

    def test_changed(self) -> None:
        """
        A file that changes counts from then on, also for what was remembered; one that
        is wrong is told once, and what it said before holds.
        """
        file = PasswordFile(self.path)
        self.assertTrue(self.allows(file, b"ann", b"secret"))
        self.write(b"ann:" + hashed(b"other") + b"\n#")
        self.assertFalse(self.allows(file, b"ann", b"secret"))
        self.assertTrue(self.allows(file, b"ann", b"other"))
        self.write(b"nonsense")
        for _ in range(3):
            self.assertTrue(self.allows(file, b"ann", b"other"))
        os.unlink(self.path)
        for _ in range(3):
            self.assertTrue(self.allows(file, b"ann", b"other"))
        told = [line for line in self.messages() if "Can not read" in line]
        self.assertEqual(len(told), 2)
        self.write(b"ann:" + hashed(b"third") + b"\n")
        self.assertTrue(self.allows(file, b"ann", b"third"))

    def test_directory(self) -> None:
        """
        A relative path is relative to the directory of the start, also when the file is
        read again.
        """
        file = PasswordFile(os.path.relpath(self.path))
        self.write(b"ann:" + hashed(b"other") + b"\n#")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/")
        self.assertFalse(self.allows(file, b"ann", b"secret"))
        self.assertTrue(self.allows(file, b"ann", b"other"))

    def test_long(self) -> None:
        """
        What bcrypt does not look at does not count, and is no error.
        """
        self.write(b"ann:" + hashed(b"x" * 72))
        file = PasswordFile(self.path)
        self.assertTrue(self.allows(file, b"ann", b"x" * 72))
        self.assertTrue(self.allows(file, b"ann", b"x" * 100_000))
        self.assertFalse(self.allows(file, b"ann", b"x" * 71))

    def test_times(self) -> None:
        """
        Somebody who is not in the file takes as long as who takes longest.
        """
        for costs, most in (((), 5), ((4,), 4), ((4, 6), 6), ((6, 4), 6)):
            lines = [
                b"%d:%b\n" % (n, bcrypt.hashpw(b"x", bcrypt.gensalt(cost)))
                for n, cost in enumerate(costs)
            ]
            self.write(b"".join(lines))
            file = PasswordFile(self.path)
            file.requestAvatarId(UsernamePassword(b"nobody", b"x"))
            _, compare, (password, against) = self.threads.calls.pop()
            self.assertEqual(against[:7], b"$2b$%02d$" % most)
            self.assertFalse(compare(password, against))

    def test_mostRemembered(self) -> None:
        """
        So many right passwords are remembered, those that were used last.
        """
        self.patch(twisted_h11._resources.passwords, "_MOST_REMEMBERED", 2)
        names = (b"ann", b"bob", b"cid")
        self.write(b"\n".join(name + b":" + hashed(name) for name in names))
        file = PasswordFile(self.path)
        for name, compared in (
            (b"ann", 1),
            (b"bob", 1),
            (b"ann", 0),
            (b"cid", 1),
            (b"ann", 0),
            (b"bob", 1),
        ):
            file.requestAvatarId(UsernamePassword(name, name))
            self.assertEqual(compared, len(self.threads.calls), name)
            self.threads.run()

    def test_bounds(self) -> None:
        """
        Two passwords are compared at a time, some wait, and the rest fails at once.
        """
        file = PasswordFile(self.path)
        failed: list[Any] = []
        for n in range(100):
            asked = file.requestAvatarId(UsernamePassword(b"bob", b"%d" % n))
            asked.addErrback(lambda f: failed.append(f.trap(UnauthorizedLogin)))
        self.assertEqual(len(self.threads.calls), 2)
        self.assertEqual(len(failed), 100 - 2 - 64)
        self.threads.run()
        self.assertEqual(len(failed), 100)


class ThreadTests(TestCase):
    """
    A real thread.
    """

    async def test_compared(self) -> None:
        """
        A password is compared in a thread of the reactor's.
        """
        path: str = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"ann:" + hashed(b"secret"))
        passwords = PasswordFile(path)
        name = await passwords.requestAvatarId(UsernamePassword(b"ann", b"secret"))
        self.assertEqual(name, b"ann")
