"""
C{fetch} as a process whose server or whose output fails.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from typing import Any

from twisted.internet.defer import inlineCallbacks

from tests.command.test_fetch_faults import WHOLE, Ended, FaultTestCase, answer
from tests.support.long_cases import unnamed
from tests.support.times import eventually

skip = unnamed()


# Python 3.10 and later name it.
F_GETPIPE_SZ = 1032


def stuck(ended: Ended, pipe: bool) -> bool:
    """
    Whether a process waits: for C{pipe}, which takes nothing more, or for the network.
    """
    if not os.path.exists("/proc/self/stat"):
        return True
    process: Any = ended.transport
    if pipe:
        output = process.pipes[1].fileno()
        there = struct.unpack("i", fcntl.ioctl(output, termios.FIONREAD, bytes(4)))[0]
        # The first page and the last may hold less than a page.
        if there < fcntl.fcntl(output, F_GETPIPE_SZ) - 8192:
            return False
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as line:
        return line.read().rpartition(")")[2].split()[0] == "S"


class ProcessTests(FaultTestCase):
    """
    The command as a process.
    """

    def assertQuiet(self, ended: Ended) -> None:
        """
        Nothing that a person would have to decipher was said.
        """
        self.assertNotIn(b"Traceback", ended.errors)
        self.assertNotIn(b"Exception ignored", ended.errors)

    @inlineCallbacks
    def test_outputs(self) -> Any:
        """
        Standard output that is full or closed, or whose reader has gone, is 23;
        standard error never matters.
        """
        url = self.serve(answer(b"200 OK", WHOLE * 2000))
        name = self.mktemp()
        commands = [
            ('"$@" %s | head -c 1', 23, b"0"),
            ('"$@" -v %s 2>&1 | head -1', 23, None),
            ('"$@" -v %s <&- >&- 2>&-', 23, b""),
        ]
        if os.path.exists("/dev/full"):
            commands += [
                ('"$@" %s >/dev/full', 23, b""),
                ('"$@" --help %s >/dev/full', 23, b""),
                ('"$@" --version %s >/dev/full', 23, b""),
                (f'"$@" -v -o {name} %s 2>/dev/full', 0, b""),
            ]
        else:
            commands += [(f'"$@" -v -o {name} %s 2>&-', 0, b"")]
        running = [
            (command, code, output, self.shell(command % url))
            for command, code, output in commands
        ]
        for command, code, output, ended in running:
            yield ended.done
            self.assertEqual(code, ended.code, (command, ended.errors))
            self.assertQuiet(ended)
            if output is not None:
                self.assertEqual(output, ended.output, command)
        with open(name, "rb") as file:
            self.assertEqual(WHOLE * 2000, file.read())

    @inlineCallbacks
    def test_interrupted(self) -> Any:
        """
        C{^C} is 130 and SIGTERM 143, at once and without a word, also while nobody
        takes what is written; what was received is in the file.
        """
        name = self.mktemp()
        begun = self.stall()
        much = self.stall(b"x" * 3_000_000)
        running = []
        for command, number, code in (
            (f'exec "$@" -v -o {name} {begun}', signal.SIGINT, 130),
            (f'exec "$@" {much}', signal.SIGINT, 130),
            (f'exec "$@" -i {begun}', signal.SIGTERM, 143),
        ):

            def interrupt(
                ended: Any, number: Any = number, pauses: bool = much in command
            ) -> bool:
                if not ended.output and b"head received" not in ended.errors:
                    return False
                if pauses:
                    # Nobody reads from here on.
                    ended.transport.pauseProducing()
                waits = eventually(stuck, ended, pauses)
                waits.addCallback(lambda _: ended.transport.signalProcess(number))
                return True

            ended = self.shell(command)
            ended.whenOutput = interrupt
            running.append((command, code, ended))
        for command, code, ended in running:
            yield ended.done
            self.assertEqual(code, ended.code, (command, ended.errors))
            self.assertQuiet(ended)
            self.assertNotIn(b"twisted_h11:", ended.errors)
        with open(name, "rb") as file:
            self.assertEqual(b"begun", file.read())
