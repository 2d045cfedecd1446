"""
The paths among twistd's own options are checked before it uses them.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.scripts import twistd
from twisted.trial.unittest import SynchronousTestCase

from tests.support.command_loop import CommandLoopTestCase
from twisted_h11._command.twistd_paths import leaves_nothing
from twisted_h11.tap import Options


class PathsTests(SynchronousTestCase):
    """
    Command lines of twistd.
    """

    def setUp(self) -> None:
        """
        Work in a directory of its own.
        """
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)

    def refused(self, *words: str, mayRemove: bool = False) -> str:
        """
        Why twistd does not start; nothing if it does.
        """
        options = Options()
        parent: Any = twistd.ServerOptions()  # type: ignore[attr-defined]
        parent.parseOptions([*words])
        options.parent = parent
        before = os.listdir()
        try:
            options.parseOptions(["--port=tcp:0"])
        except SystemExit as error:
            return str(error)
        finally:
            if not mayRemove:
                self.assertEqual(before, os.listdir())
        return ""

    def test_wrong(self) -> None:
        """
        A path that can not be used is one line, with twistd's option.
        """
        os.mkdir("folder")
        os.mkfifo("pipe")
        for words, problem in (
            (["--pidfile=folder"], f"--pidfile {os.getcwd()}/folder: is a directory"),
            (["--pidfile=no/x"], f"no such directory: {os.getcwd()}/no"),
            (["-n", "--pidfile=pipe"], f"--pidfile {os.getcwd()}/pipe: not a file"),
            (["-n", "--pidfile=/dev/null"], "--pidfile /dev/null: not a file"),
            (["-n", "--rundir=no"], "--rundir no: no such directory"),
            (["--rundir=pipe"], "--rundir pipe: no such directory"),
            (["-n", "--chroot=no"], "--chroot no: no such directory"),
            (["--logfile=folder"], f"--logfile {os.getcwd()}/folder: is a directory"),
        ):
            message = self.refused(*words)
            self.assertTrue(message.startswith("twistd h11web: twistd --"), words)
            self.assertIn(problem, message)

    def test_daemonsLog(self) -> None:
        """
        The log that a daemon has by default is checked, too, where it is used.
        """
        os.mkdir("twistd.log")
        problem = f"twistd --logfile {os.getcwd()}/twistd.log: is a directory"
        self.assertEqual(f"twistd h11web: {problem}", self.refused())
        for words in (["-n"], ["--syslog"], ["--logfile=x.log"]):
            self.assertEqual("", self.refused(*words))

    def test_fullDisk(self) -> None:
        """
        A pid file on a full disk is refused, in one line.
        """

        class Full:
            f_bfree = 0

        self.patch(os, "statvfs", lambda path: Full)
        self.assertIn("web.pid: no space left", self.refused("--pidfile=web.pid"))
        self.assertEqual("", self.refused("-n", "--pidfile="))

    def test_ownPid(self) -> None:
        """
        A pid file with the id of this process was left by another one: twistd does not
        find it.  Any other stays.
        """
        for content, stays in ((str(os.getpid()), False), ("1", True), ("x", True)):
            with open("web.pid", "w") as file:
                file.write(content)
            self.assertEqual("", self.refused("--pidfile=web.pid", mayRemove=True))
            self.assertEqual(stays, os.path.exists("web.pid"), content)

    def test_right(self) -> None:
        """
        What can be used is, in another root without a look.
        """
        os.mkdir("folder")
        open("old.pid", "w").close()
        for words in (
            ["--pidfile=old.pid"],
            ["-n", "--pidfile="],
            ["-n", "--rundir=folder"],
            ["-n", "--chroot=folder", "--pidfile=/x", "--rundir=."],
            ["-n", "--umask=777"],
            ["-n", f"--uid={os.getuid()}"],
        ):
            self.assertEqual("", self.refused(*words))

    def test_otherRoot(self) -> None:
        """
        Paths in another root are looked for there, unless links lead to them.
        """
        root = os.path.join(os.getcwd(), "root")
        os.mkdir(root)
        os.symlink("/nowhere", "root/link")
        for words, problem in (
            (["--rundir=/no"], f"--rundir /no: no such directory: {root}/no"),
            (["--pidfile=/no/x"], f"{root}/no/x: no such directory: {root}/no"),
            ([], f"no such directory: {root}{os.getcwd()}"),
            (["--uid=0"], f"--uid 0: there is no such user in {root}/etc/passwd"),
        ):
            self.assertIn(problem, self.refused("-n", "--chroot=root", *words))
        os.mkdir("root/etc")
        with open("root/etc/passwd", "w") as file:
            file.write("# none\n\nroot:x:0:0:root:/root:/bin/sh\n")
        right = ["-n", "--chroot=root", "--pidfile=/link/x", "--rundir=/link"]
        self.assertEqual("", self.refused(*right, "--uid=0"))
        self.assertIn("no such user", self.refused(*right, "--uid=1"))
        os.unlink("root/etc/passwd")
        os.symlink("/link", "root/etc/passwd")
        self.assertEqual("", self.refused(*right, "--uid=1"))

    def test_daemonInOtherRoot(self) -> None:
        """
        A daemon needs its standard streams: twistd would wait for it for ever.
        """
        os.mkdir("root")
        words = ["--chroot=root", "--pidfile=", "--syslog"]
        self.assertIn(
            f"--chroot root: a daemon needs {os.getcwd()}/root/dev/null",
            self.refused(*words),
        )
        self.assertEqual("", self.refused("-n", *words))
        os.mkdir("root/dev")
        open("root/dev/null", "w").close()
        self.assertEqual("", self.refused(*words))

    def test_user(self) -> None:
        """
        A user that has no entry is refused: twistd can not find its groups.
        """
        for uid in (-2, 1 << 31, 1 << 70):
            for more in ([], ["--gid=0"]):
                self.assertEqual(
                    f"twistd h11web: twistd --uid {uid}: there is no such user",
                    self.refused("-n", f"--uid={uid}", *more),
                )

    def test_umask(self) -> None:
        """
        A mask is three octal digits at most.
        """
        for mask in ("-1", "1000", "7" * 30):
            self.assertEqual(
                "twistd h11web: twistd --umask: must be from 0 to 777",
                self.refused("-n", f"--umask={mask}"),
            )


class LeavesNothingTests(SynchronousTestCase):
    """
    L{leaves_nothing}.
    """

    def test_made(self) -> None:
        """
        A file that was not there, and has nothing in it, is removed, behind a link too;
        any other stays.
        """
        path, link = self.mktemp(), self.mktemp()
        os.symlink(os.path.abspath(path), link)
        for name in (path, link):
            with leaves_nothing(name):
                open(path, "w").close()
            self.assertFalse(os.path.exists(path))
        with leaves_nothing(None), leaves_nothing(path), open(path, "w") as file:
            file.write("a line\n")
            file.flush()
        with leaves_nothing(path):
            open(path, "w").close()
        self.assertTrue(os.path.exists(path))


class SocketTests(CommandLoopTestCase):
    """
    UNIX sockets of a server that changes its directory.
    """

    def paths(self, *twistd: str) -> list[str]:
        """
        Where a server listens.
        """
        self.loop.ports.clear()
        service = self.make(
            "--listen=unix:web",
            "--listen=unix:/tmp/web",
            r"--listen=haproxy:unix:mode=600:address=b\:c\=d",
            "--status-listen=unix:address=e",
            twistd=("-n", *twistd),
        )
        service.privilegedStartService()
        return sorted(self.loop.ports)

    def test_relative(self) -> None:
        """
        A relative path is relative to the directory that twistd was started in, as all
        paths are, also with C{--rundir}; in another root it stays as it is.
        """
        start = os.getcwd()
        expected = sorted(
            ["/tmp/web", *(os.path.join(start, name) for name in ("web", "b:c=d", "e"))]
        )
        self.assertEqual(expected, self.paths("--rundir=/"))
        expected = ["/tmp/web", "b:c=d", "e", "web"]
        for words in ((), ("--rundir=.",), ("--chroot=/", "--rundir=/tmp")):
            self.assertEqual(expected, self.paths(*words), words)
