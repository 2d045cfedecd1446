"""
The logs of C{twistd h11web}: their options, and what becomes of their files.
"""

from __future__ import annotations

import io
import json
import os
import signal
from typing import Any, ClassVar

from twisted.application.app import AppLogger
from twisted.logger import (
    FileLogObserver,
    Logger,
    LogPublisher,
    eventsFromJSONLogFile,
    formatEvent,
)
from twisted.python.reflect import namedAny
from twisted.scripts import twistd
from twisted.trial.unittest import SynchronousTestCase

from tests.command.test_h11web_options import OptionsTestCase
from tests.server.test_log_format import EVIL
from twisted_h11._command.log_options import Logs
from twisted_h11._command.options import Options
from twisted_h11._command.program_log import json_line, program_log
from twisted_h11._command.signals import Signals
from twisted_h11.server import LogFile, Site, TrustedProxies
from twisted_h11.tap import makeService

# Answers, and on /hang never returns to the reactor.


class Parent(dict[str, Any]):
    """
    The options of twistd.
    """

    synonyms: ClassVar[dict[str, str]] = {}


class LogOptionTests(OptionsTestCase):
    """
    What the options may be, and become.
    """

    def logging(self, *arguments: str) -> dict[str, Any]:
        """
        What a site is given of them.
        """
        found: dict[str, Any] = self.parse(*arguments)["logging"]
        Site(None, **{**found, "trustedProxies": TrustedProxies(["::1"])})
        return found

    def test_defaults(self) -> None:
        """
        Without options nothing is as it is not without them.
        """
        self.assertEqual(
            {
                "logPath": None,
                "accessLog": True,
                "logFormatter": None,
                "requestIds": False,
            },
            self.logging(),
        )

    def test_format(self) -> None:
        """
        C{--log-format} is a format, C{--log-json} another.
        """
        made = self.logging("--log-format", "{status} {client}")["logFormatter"]
        self.assertEqual({"status", "client"}, made.fields)
        made = self.logging("--log-json")["logFormatter"]
        self.assertIn("seconds", made.fields)
        self.assertIn(
            "--log-format: there is no field 'clint': did you mean 'client'?",
            self.refused("--log-format", "{clint}"),
        )
        self.refused("--log-format", "{status}\n{client}")
        self.assertIn(
            "exclude each other", self.refused("--log-format", "{status}", "--log-json")
        )

    def test_rotation(self) -> None:
        """
        C{--log-rotate-size} and C{--log-rotate-count} are for a file.
        """
        path = f"{self.directory()}/x.log"
        found = self.logging("-l", path, "--log-rotate-size", "10M")
        self.assertEqual(
            (10 << 20, 5), (found["logRotateSize"], found["logRotateCount"])
        )
        found = self.logging(
            *("-l", path, "--log-rotate-size", "1", "--log-rotate-count", "9")
        )
        self.assertEqual((1, 9), (found["logRotateSize"], found["logRotateCount"]))
        for arguments, expected in (
            (["--log-rotate-size", "1"], "goes with --logfile"),
            (["-l", "-", "--log-rotate-size", "1"], "not a regular file"),
            (["-l", "/dev/null", "--log-rotate-size", "1"], "not a regular file"),
            (["-l", "/dev/stdout", "--log-rotate-size", "1"], "not a regular file"),
            (["-l", "/dev/fd/2", "--log-rotate-size", "1"], "not a regular file"),
            (["-l", path, "--log-rotate-count", "1"], "goes with --log-rotate-size"),
            (["-l", path, "--log-rotate-size", "0"], "must be at least 1 byte"),
            (["-l", path, "--log-rotate-size", "1T"], "not a number of bytes"),
            (
                ["-l", path, "--log-rotate-size", "9" * 40],
                "too many bytes: must be less than",
            ),
            (["-l", path, "--log-rotate-size", ""], "not a number of bytes"),
        ):
            self.assertIn(expected, self.refused(*arguments))
        for count in ("0", "-1", "x", "", "1.5", "10000", "\u0663"):
            self.assertIn(
                "--log-rotate-count",
                self.refused(
                    *("-l", path, "--log-rotate-size", "9"),
                    *("--log-rotate-count", count),
                ),
            )

    def command(self, *words: str, logfile: str) -> dict[str, Any]:
        """
        What a site is given as a command of twistd.
        """
        options = Options()
        parent: Any = twistd.ServerOptions()  # type: ignore[attr-defined]
        parent.parseOptions([*words])
        options.parent = parent
        try:
            options.parseOptions(["--logfile", logfile])
        except SystemExit as error:
            return {"refused": str(error)}
        found: dict[str, Any] = options["logging"]
        return found

    def test_daemonsStreams(self) -> None:
        """
        A daemon has no standard output and error, by whatever name.
        """
        link = os.path.join(self.directory(), "link")
        os.symlink("/dev/stdout", link)
        for name in ("-", "/dev/stdout", "/dev/stderr", "/proc/self/fd/1", link):
            found = self.command(logfile=name)
            self.assertEqual(
                f"twistd h11web: --logfile {name}: a daemon has no standard output; "
                "use twistd -n",
                found.get("refused"),
            )
            self.assertNotIn("refused", self.command("-n", logfile=name))

    def test_rundir(self) -> None:
        """
        A relative name is one in the directory that twistd was started in, though it
        goes to another one before the file is opened; in another root it is not
        checked.
        """
        folder = self.directory()
        found = self.command("-n", f"--rundir={folder}", logfile="x.log")
        self.assertEqual(os.path.abspath("x.log"), found.get("logPath"))
        words = ("-n", f"--chroot={folder}", "--pidfile=")
        found = self.command(*words, logfile="/none/x.log")
        self.assertEqual("/none/x.log", found.get("logPath"))
        found = self.command("-n", logfile="/none/x.log")
        self.assertIn("no such directory: /none", found["refused"])

    def test_requestIds(self) -> None:
        """
        C{--request-id-header} is believed only of somebody.
        """
        self.assertTrue(self.logging("--request-ids", "on")["requestIds"])
        self.assertEqual(
            b"X-Id",
            self.logging(
                *("--request-ids", "on", "--request-id-header", "X-Id"),
                *("--trust-proxy", "::1"),
            )["requestIdHeader"],
        )
        for arguments, expected in (
            (["--request-ids", "maybe"], "must be on or off"),
            (["--request-id-header", "X-Id"], "goes with --request-ids on"),
            (
                ["--request-ids", "on", "--request-id-header", "X Id"],
                "not the name of a field",
            ),
            (
                ["--request-ids", "on", "--request-id-header", "X-Id"],
                "needs --trust-proxy",
            ),
        ):
            self.assertIn(expected, self.refused(*arguments))

    def test_off(self) -> None:
        """
        What is about lines goes not with C{--no-access-log}.
        """
        self.assertFalse(self.logging("--no-access-log")["accessLog"])
        for arguments in (["--log-json"], ["--log-format", "{status}"], ["-l", "x"]):
            self.assertIn(
                "--no-access-log exclude each other",
                self.refused("--no-access-log", *arguments),
            )

    def test_personal(self) -> None:
        """
        A publisher speaks no HTTP.
        """
        for arguments in (
            ["--log-json"],
            ["--log-format", "{status}"],
            ["--request-ids", "on"],
        ):
            self.assertIn(
                f"{arguments[0]} and --personal exclude each",
                self.refused("--personal", *arguments),
            )
        self.parse("--personal", "--request-ids", "off")


class ProgramLogTests(SynchronousTestCase):
    """
    The program's own log.
    """

    def setUp(self) -> None:
        """
        A folder.
        """
        self.path = os.path.abspath(self.mktemp())

    def log(self, **command: Any) -> Any:
        """
        What is made for a command line of twistd.
        """
        json = command.pop("json", False)
        options = Parent(command)
        made = program_log(options, json)
        self.assertEqual(made is not None, options.get("logger") is not None)
        return made

    def test_whose(self) -> None:
        """
        A file is ours; the standard output only for JSON; what somebody else has, is
        his.
        """
        self.assertIsNotNone(self.log(logfile=self.path))
        self.assertIsNotNone(self.log())
        self.assertIsNone(self.log(nodaemon=True))
        self.assertIsNone(self.log(logfile="-", nodaemon=True))
        self.assertIsNone(self.log(logfile="-", json=True))
        self.assertIsNotNone(self.log(nodaemon=True, json=True))
        self.assertIsNone(program_log(None, False))
        self.assertIsNone(program_log(Parent(syslog=True), False))
        self.assertIsNone(program_log(Parent(logger=print), False))

    def test_refused(self) -> None:
        """
        What is written by somebody else can not be made JSON.
        """
        for command, expected in (
            (None, "for commands of twistd"),
            (Parent(syslog=True), "neither with"),
            (Parent(logger=print), "neither with"),
        ):
            with self.assertRaises(Exception) as caught:
                program_log(command, True)
            self.assertIn(expected, str(caught.exception))

    def test_text(self) -> None:
        """
        The file has what twistd's has, is appended to, never renames itself, and is
        opened anew when that is asked.
        """
        with open(self.path, "w") as file:
            file.write("before\n")
        made = self.log(logfile=self.path)
        publisher = LogPublisher()
        publisher.addObserver(made.observer())
        self.addCleanup(made._file.close)
        log = Logger("a.b", observer=publisher)
        log.info("one")
        os.rename(self.path, self.path + ".1")
        log.info("two " + "x" * 1_200_000)
        log.info("two")
        made.reopen()
        log.info("three")
        with open(self.path + ".1") as file:
            lines = file.read().splitlines()
        self.assertEqual("before", lines[0])
        self.assertRegex(lines[1], r"\A\d{4}-\d\d-\d\dT\S+ \[a\.b#info\] one\Z")
        self.assertEqual(4, len(lines))
        with open(self.path) as file:
            self.assertRegex(file.read(), r"\A\S+ \[a\.b#info\] three\n\Z")

    def test_notOpen(self) -> None:
        """
        Until twistd opens it there is nothing to be opened anew, and nothing is lost.
        """
        made = self.log(logfile=self.path)
        made.reopen()
        self.assertEqual(0, made.dropped)
        self.assertFalse(os.path.exists(self.path))

    def test_notOpened(self) -> None:
        """
        A log that can not be opened ends the process with one line.
        """
        os.mkfifo(self.path)
        with self.assertRaises(SystemExit) as caught:
            self.log(logfile=self.path).observer()
        self.assertEqual(
            f"twistd h11web: can not write the log {self.path}: nobody reads this pipe",
            caught.exception.code,
        )

    def test_relative(self) -> None:
        """
        A relative name means the same after a change of the directory.
        """
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(folder)
        made = self.log(logfile="x.log")
        made.observer()
        self.addCleanup(made._file.close)
        os.chdir(before)
        os.rename(f"{folder}/x.log", f"{folder}/y.log")
        made.reopen()
        self.assertEqual(["x.log", "y.log"], sorted(os.listdir(folder)))

    def test_twistd(self) -> None:
        """
        twistd takes it for its log.
        """
        options = Parent(logfile=self.path, nodaemon=True)
        made: Any = program_log(options, True)
        options["logger"] = namedAny(options["logger"])
        logger: Any = AppLogger(options)
        logger._observerFactory()
        self.addCleanup(made._file.close)
        self.assertTrue(os.path.exists(self.path))

    def events(self) -> list[dict[str, Any]]:
        """
        What all kinds of events look like.
        """
        lines = io.StringIO()
        publisher = LogPublisher()
        publisher.addObserver(FileLogObserver(lines, json_line))
        log = Logger("a.b", observer=publisher)
        log.info("{what} happens", what="it")
        try:
            raise ValueError("line one\nline two \x1b[2J\x7f")
        except ValueError:
            log.failure("bad {x}", x=object())
        for text in EVIL:
            log.warn("{text}", text=text, data=text.encode("utf-8", "surrogatepass"))
        publisher({"message": ("old",), "isError": 0, "log_format": "{message}"})
        publisher({})
        text = lines.getvalue()
        self.assertTrue(text.isascii() and text.replace("\n", "").isprintable())
        self.lines = text
        return [json.loads(line) for line in text.splitlines()]

    def test_json(self) -> None:
        """
        An event is one line of JSON, whatever is in it, with what others look for at
        its beginning.
        """
        found = self.events()
        self.assertEqual(len(EVIL) + 4, len(found))
        first, second = found[:2]
        self.assertEqual(
            ("info", "it happens", "a.b", "it"),
            tuple(first[k] for k in ("level", "message", "log_namespace", "what")),
        )
        self.assertRegex(first["time"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        self.assertEqual(["time", "level", "message"], list(first)[:3])
        self.assertEqual("critical", second["level"])
        self.assertIn("ValueError: line one\nline two", second["traceback"])

    def test_readAgain(self) -> None:
        """
        Twisted reads it again.
        """
        self.events()
        events = list(
            eventsFromJSONLogFile(io.StringIO(self.lines), recordSeparator="")
        )
        self.assertEqual("it happens", formatEvent(events[0]))


class SignalTests(SynchronousTestCase):
    """
    What signals do.
    """

    def test_calls(self) -> None:
        """
        Each call is made, in order, by the reactor, whatever another one raises.
        """
        calls: list[str] = []

        class Loop:
            def callFromThread(self, call: Any, *args: Any) -> None:
                calls.append("later")
                call(*args)

        def fails() -> None:
            calls.append("fails")
            raise ValueError("no")

        before = signal.getsignal(signal.SIGUSR1)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        signals = Signals(Loop())
        signals.add(signal.SIGUSR1, fails)
        signals.add(signal.SIGUSR1, lambda: calls.append("second"))
        signals.install()
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(["later", "fails", "second"], calls)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_reopen(self) -> None:
        """
        All logs are opened anew; one that can not be is said, and the others are.
        """
        path = os.path.abspath(self.mktemp())
        os.mkdir(path)
        site = Site(None, logPath=f"{path}/access.log")
        site.startFactory()
        self.addCleanup(site.stopFactory)
        own = LogFile(f"{path}/own.log")
        self.addCleanup(own.close)
        logs = Logs(site, own)
        for name in ("access", "own"):
            os.rename(f"{path}/{name}.log", f"{path}/{name}.old")
        os.mkdir(f"{path}/own.log")
        logs.reopen()
        self.assertTrue(os.path.isfile(f"{path}/access.log"))
        own.write("goes on\n")
        with open(f"{path}/own.old") as file:
            self.assertIn("goes on\n", file.read())
        self.assertEqual(0, logs.dropped)
        site._dropped = 2
        own._losses.count = 3
        self.assertEqual(5, logs.dropped)
        os.unlink(f"{path}/access.log")
        logs = Logs(site, None)
        logs.reopen()
        self.assertTrue(os.path.isfile(f"{path}/access.log"))
        self.assertEqual(2, logs.dropped)

    def test_wired(self) -> None:
        """
        A site of the command has what its options say.
        """
        path = os.path.abspath(self.mktemp())
        options = Options()
        options.parseOptions(
            [
                *("-p", "unix:x", "--logfile", path, "--log-format", "{request_id}"),
                *("--request-ids", "on", "--log-rotate-size", "20"),
            ]
        )
        made: Any = makeService(options)
        site = made.services[0].factory
        self.assertEqual(path, site.logPath)
        self.assertIsNotNone(site.requestIds)
        site.startFactory()
        site.logFile.write("x" * 30 + "\n")
        site.logFile.flush()
        site.logFile.write("y\n")
        site.stopFactory()
        self.assertTrue(os.path.exists(path + ".1"))
