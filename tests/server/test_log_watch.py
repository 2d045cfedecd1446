"""
Lines wait while somebody else has the log open, who may be about to cut it.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface import directlyProvides

from twisted_h11._server import log_watch
from twisted_h11._server.batched_file import _LOOK_SECONDS, FLUSH_SECONDS, BatchedFile
from twisted_h11._server.log_watch import BRIEFLY, PATIENCE, watch_log
from twisted_h11.server import LogFile

MODULE: Any = log_watch


def make_reactor() -> Any:
    """
    A clock that passes for a reactor with descriptors.
    """
    made: Any = Clock()
    made.removeReader = made.removeWriter = lambda descriptor: None
    directlyProvides(made, IReactorFDSet)
    return made


class WatchTestCase(SynchronousTestCase):
    """
    A log that others open.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        if MODULE.inotify is None:
            raise SkipTest("needs inotify")
        self.path = os.path.abspath(self.mktemp())
        self.now = 1000.0
        self.patch(log_watch, "monotonic", lambda: self.now)
        self.reactor = make_reactor()
        self.log = BatchedFile(LogFile(self.path), self.reactor)
        self.addCleanup(self.log.close)
        # The doubts of the beginning are over.
        self.now += PATIENCE + 1

    def content(self) -> str:
        """
        What is in the file; it is opened and closed by that.
        """
        with open(self.path) as file:
            return file.read()

    def size(self) -> int:
        """
        How much is in it, without opening it.
        """
        return os.stat(self.path).st_size

    def write(self, line: str) -> None:
        """
        Write a line, and let the time pass after which it would be in the file.
        """
        self.log.write(line)
        self.advance(FLUSH_SECONDS)

    def advance(self, seconds: float) -> None:
        """
        Let time pass, for looks, too.
        """
        self.now += seconds
        self.reactor.advance(seconds)


class WatchTests(WatchTestCase):
    """
    Lines wait for them.
    """

    def test_nobody(self) -> None:
        """
        Where nobody has it open, lines are written as ever; those who have read it
        disturb nothing.
        """
        self.write("a\n")
        self.assertEqual("a\n", self.content())
        self.write("b\n")
        self.assertEqual("a\nb\n", self.content())

    def test_cut(self) -> None:
        """
        What comes between the copy and the cut is in the file after the cut.
        """
        self.write("a\n")
        with open(self.path, "r+") as file:
            copy = file.read()
            for _ in range(300):
                self.log.write("b\n")
            self.reactor.advance(FLUSH_SECONDS)
            self.reactor.pump([_LOOK_SECONDS] * 5)
            self.assertEqual(2, self.size())
            file.truncate(0)
        self.reactor.advance(_LOOK_SECONDS)
        self.assertEqual("a\n", copy)
        self.assertEqual("b\n" * 300, self.content())

    def test_anotherCloses(self) -> None:
        """
        Who copies it is waited for a short time yet when another reader has closed it.
        """
        self.write("a\n")
        with open(self.path) as file:
            file.read()
            self.content()
            self.write("b\n")
            self.assertEqual(2, self.size())
            self.content()
            self.write("c\n")
            self.assertEqual(2, self.size())
        self.advance(FLUSH_SECONDS)
        self.assertEqual(6, self.size())

    def test_stays(self) -> None:
        """
        Who has it open for long is waited for once; who opens it next is, too.
        """
        with open(self.path):
            self.write("a\n")
            self.assertEqual(0, self.size())
            self.now += PATIENCE + 1
            self.reactor.advance(_LOOK_SECONDS)
            self.assertEqual(2, self.size())
            self.write("b\n")
            self.assertEqual(4, self.size())
            with open(self.path):
                self.write("c\n")
                self.assertEqual(4, self.size())
            self.reactor.advance(_LOOK_SECONDS)
            self.assertEqual(6, self.size())
        self.write("d\n")
        self.assertEqual(8, self.size())

    def test_closedTogether(self) -> None:
        """
        Linux reports two that close the file one right after the other as one: no line
        waits long for the second.
        """
        self.write("a\n")
        first = open(self.path)  # noqa: SIM115
        first.read()
        second = open(self.path)  # noqa: SIM115
        second.read()
        first.close()
        second.close()
        self.write("b\n")
        self.now += BRIEFLY
        self.advance(FLUSH_SECONDS)
        self.assertEqual(4, self.size())

    def test_closedTogetherOften(self) -> None:
        """
        Nor if others go on to open and close it.
        """
        first = open(self.path)  # noqa: SIM115
        self.write("a\n")
        second = open(self.path)  # noqa: SIM115
        self.assertTrue(self.log._mustWait())
        first.close()
        second.close()
        for _ in range(int(PATIENCE / FLUSH_SECONDS) + 1):
            self.assertEqual(0, self.size())
            self.content()
            self.advance(FLUSH_SECONDS)
        self.advance(FLUSH_SECONDS)
        self.assertEqual(2, self.size())

    def test_writer(self) -> None:
        """
        Who has it open and does not read it, as another server that writes to it, is
        waited for a short time, and not again because others read it.
        """
        self.write("a\n")
        with open(self.path, "a"):
            self.write("b\n")
            self.assertEqual(2, self.size())
            self.now += BRIEFLY
            self.advance(FLUSH_SECONDS)
            self.assertEqual(4, self.size())
            self.assertEqual("a\nb\n", self.content())
            self.write("c\n")
            self.assertEqual(6, self.size())

    def test_writerAndReaders(self) -> None:
        """
        Others that open, read and close the file do not make that longer.
        """
        self.write("a\n")
        with open(self.path, "a"):
            self.log.write("b\n")
            self.advance(FLUSH_SECONDS)
            self.advance(_LOOK_SECONDS)
            self.content()
            self.advance(_LOOK_SECONDS)
            self.assertEqual(4, self.size())

    def test_bounded(self) -> None:
        """
        Only so many lines wait.
        """
        with open(self.path):
            for _ in range(64 * 1024 + 10):
                self.log.write("a\n")
            self.assertEqual(2 * 64 * 1024, self.size())

    def test_end(self) -> None:
        """
        What waits is written when the log is opened anew or closed, whoever has it
        open.
        """
        with open(self.path):
            self.log.write("a\n")
            os.rename(self.path, self.path + ".1")
            self.log.reopen()
            self.assertEqual(2, os.stat(self.path + ".1").st_size)
            with open(self.path):
                self.write("b\n")
                self.assertEqual(0, self.size())
                self.log.close()
                self.assertEqual(2, self.size())

    def test_reopened(self) -> None:
        """
        After that the new file is looked at.
        """
        os.rename(self.path, self.path + ".1")
        self.log.reopen()
        with open(self.path + ".1"):
            self.write("a\n")
            self.assertEqual(2, self.size())
        with open(self.path):
            self.write("b\n")
            self.assertEqual(2, self.size())

    def test_flood(self) -> None:
        """
        Whoever opens it again and again keeps nobody busy for ever.
        """
        self.patch(log_watch, "_MOST_READS", 3)
        watch: Any = self.log._watch
        looks: list[int] = []

        def doRead() -> None:
            looks.append(1)
            watch._changed(None, None, MODULE.inotify.IN_ACCESS)

        self.patch(watch._notify, "doRead", doRead)
        self.assertFalse(watch.isBusy())
        self.assertEqual(3, len(looks))

    def test_readers(self) -> None:
        """
        However many have read it since the last line.
        """
        for _ in range(3000):
            os.close(os.open(self.path, os.O_RDONLY))
        self.write("a\n")
        self.assertEqual(2, self.size())

    def test_noDescriptorLeft(self) -> None:
        """
        Each watch is given up.
        """
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            self.log.reopen()
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))
        self.log.close()
        self.assertEqual(before - 2, len(os.listdir("/proc/self/fd")))


class DoubtTests(WatchTestCase):
    """
    Lines that were written nevertheless are in doubt.
    """

    def between(self, order: str) -> tuple[list[str], Any]:
        """
        Have the write of line b, in the given order of steps, meet a copy of the file
        and its truncation.

        @return: where the copy will be, and what undoes it.
        """
        write = os.write
        copied: list[str] = []

        def between(descriptor: int, data: bytes) -> int:
            if data != b"b\n" or copied:
                return write(descriptor, data)
            done = 0
            with open(self.path, "r+") as file:
                for step in order.split():
                    if step == "copy":
                        copied.append(file.read())
                    elif step == "cut":
                        file.truncate(0)
                    else:
                        done = write(descriptor, data)
            return done

        return copied, self.patch(os, "write", between)

    def test_within(self) -> None:
        """
        All of that may happen between the look and the write, in any order: each line
        is there once.
        """
        for order in ("copy write cut", "write copy cut", "copy cut write"):
            for last in (False, True):
                os.truncate(self.path, 0)
                self.write("a\n")
                copied, patch = self.between(order)
                self.write("b\n")
                if last:
                    self.advance(FLUSH_SECONDS)
                    self.advance(FLUSH_SECONDS)
                else:
                    self.write("c\n")
                patch.restore()
                wanted = ["a", "b"] if last else ["a", "b", "c"]
                found = (copied[0] + self.content()).splitlines()
                self.assertEqual(wanted, found, (order, last))
                self.advance(PATIENCE)
                self.assertEqual([], self.reactor.getDelayedCalls())

    def test_doubtWithin(self) -> None:
        """
        Lines that were in doubt before that are not written again if they were copied.
        """
        for order in ("copy write cut", "copy cut write"):
            os.truncate(self.path, 0)
            with open(self.path, "a"):
                self.log.write("a\n")
                self.advance(FLUSH_SECONDS)
                self.now += PATIENCE
                self.advance(_LOOK_SECONDS)
                self.assertTrue(self.log._isInDoubt(), order)
                copied, patch = self.between(order)
                self.write("b\n")
                self.advance(FLUSH_SECONDS)
                self.advance(FLUSH_SECONDS)
                patch.restore()
                found = (copied[0] + self.content()).splitlines()
                self.assertEqual(["a", "b"], found, order)
            self.advance(PATIENCE)
            self.assertEqual([], self.reactor.getDelayedCalls())

    def test_othersWithin(self) -> None:
        """
        Nor is a line lost if another server has written before the copy was made.
        """
        write = os.write

        def between(descriptor: int, data: bytes) -> int:
            if data != b"b\n":
                return write(descriptor, data)
            patch.restore()
            with open(self.path, "a") as other:
                other.write("other\n")
            with open(self.path, "r+") as file:
                copied.append(file.read())
                done = write(descriptor, data)
                file.truncate(0)
            return done

        copied: list[str] = []
        self.write("a\n")
        patch = self.patch(os, "write", between)
        self.write("b\n")
        self.advance(FLUSH_SECONDS)
        self.assertEqual(["a\nother\n"], copied)
        self.assertEqual("b\n", self.content())

    def test_openedTogether(self) -> None:
        """
        Linux reports two that open the file one right after the other as one: nothing
        is lost if the second cuts it when the first has closed it.
        """
        self.write("a\n")
        first = open(self.path)  # noqa: SIM115
        with open(self.path, "r+") as second:
            first.read()
            copy = second.read()
            first.close()
            self.write("b\n")
            self.assertEqual(4, self.size())
            second.truncate(0)
        self.assertEqual("a\n", copy)
        self.advance(FLUSH_SECONDS)
        self.advance(FLUSH_SECONDS)
        self.assertEqual("b\n", self.content())

    def test_patience(self) -> None:
        """
        Lines that were written because the copy takes long are not lost with the cut,
        and none is there twice: whatever of them was copied, and whether the file is
        cut at all, also if more is written before that is known.
        """
        for read in (0, 1, 2):
            for cut in (True, False):
                for after in (True, False):
                    os.truncate(self.path, 0)
                    self.write("a\n")
                    with open(self.path, "r+") as file:
                        copy = file.read()
                        self.write("b\n")
                        self.now += PATIENCE + 1
                        self.reactor.advance(_LOOK_SECONDS)
                        copy += file.read() if read > 0 else ""
                        self.write("c\n")
                        copy += file.read() if read > 1 else ""
                        if cut:
                            file.truncate(0)
                        if after:
                            self.write("d\n")
                    for _ in range(4):
                        self.advance(FLUSH_SECONDS)
                    if not cut:
                        copy = ""
                    found = (copy + self.content()).splitlines()
                    wanted = ["a", "b", "c", "d"] if after else ["a", "b", "c"]
                    self.assertEqual(wanted, sorted(found), (read, cut, after))
                    self.assertEqual([], self.reactor.getDelayedCalls())

    def test_begun(self) -> None:
        """
        Who has opened the file before it is looked at may be about to cut it, too.
        """
        with open(self.path, "r+") as file:
            self.log.reopen()
            self.write("a\n")
            self.assertEqual(2, self.size())
            file.truncate(0)
        self.advance(FLUSH_SECONDS)
        self.advance(FLUSH_SECONDS)
        self.assertEqual("a\n", self.content())
        self.now += PATIENCE + 1
        self.write("b\n")
        os.truncate(self.path, 0)
        self.advance(FLUSH_SECONDS)
        self.assertEqual("", self.content())

    def test_forgotten(self) -> None:
        """
        For who has it open for a minute and more nothing is kept, and never more than
        some megabytes of it.
        """
        watch: Any = self.log._watch
        with open(self.path, "r+") as file:
            self.write("a\n")
            self.now += PATIENCE + 1
            self.write("x" * (1 << 20) + "\n")
            self.assertTrue(watch.isInDoubt)
            for _ in range(40):
                self.write("x" * (1 << 20) + "\n")
            self.assertLessEqual(watch._kept, 1 << 25)
            self.assertEqual(watch._kept, sum(map(len, watch._unread)))
            self.now += 60
            self.reactor.advance(_LOOK_SECONDS)
            self.assertFalse(watch.isInDoubt)
            self.write("b\n")
            self.assertFalse(watch.isInDoubt)
            file.truncate(0)
        self.reactor.pump([FLUSH_SECONDS] * 2)
        self.assertEqual("", self.content())


class NoWatchTests(SynchronousTestCase):
    """
    Logs that nobody cuts, or where it can not be known.
    """

    def test_others(self) -> None:
        """
        A pipe, a file that renames itself, a clock instead of a reactor.
        """
        path = os.path.abspath(self.mktemp())
        for file in (LogFile("/dev/null"), LogFile(path, 100)):
            self.addCleanup(file.close)
            self.assertFalse(file.mayBeCut)
        file = LogFile(path)
        self.addCleanup(file.close)
        self.assertTrue(file.mayBeCut)
        self.assertIsNone(watch_log(Clock(), path, int))
        self.assertIsNone(watch_log(reactor, path + "-not-there", int))

    def test_tooMany(self) -> None:
        """
        Where the kernel gives no more of them, logs are written as ever.
        """
        if MODULE.inotify is None:
            raise SkipTest("needs inotify")

        def fails(reactor: object) -> None:
            raise OSError("too many")

        self.patch(MODULE.inotify, "INotify", fails)
        self.assertIsNone(watch_log(make_reactor(), "/dev/null", int))
