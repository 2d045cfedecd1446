"""
Options of C{twistd h11web} from a TOML file and from the environment.
"""

from __future__ import annotations

import os
import re

from tests.command.test_h11web_options import OptionsTestCase
from tests.support.command_cases import CommandTestCase
from twisted_h11._command.configuration import INTERNAL, PREFIX, Configuration
from twisted_h11._command.grouped_help import grouped
from twisted_h11._command.options import Options
from twisted_h11._command.root_options import ROOTS


def variable(name: str) -> str:
    """
    The environment variable of an option.
    """
    return PREFIX + name.upper().replace("-", "_")


class ConfigurationTestCase(OptionsTestCase):
    """
    Has an environment of its own.
    """

    def setUp(self) -> None:
        """
        Take away what others have set.
        """
        clean = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        self.patch(os, "environ", clean)

    def set(self, **values: str) -> None:
        """
        Set environment variables.
        """
        for name, value in values.items():
            os.environ[variable(name)] = value

    def write(self, text: str) -> str:
        """
        Write a file.
        """
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class EachOptionTests(ConfigurationTestCase):
    """
    All options can be given in all three ways.
    """

    def said(self, environ: dict[str, str], *argv: str) -> list[str]:
        """
        The arguments that come out.
        """
        return Configuration(Options(), list(argv), environ).arguments

    def test_each(self) -> None:
        """
        Whatever option is given in the environment, or in the file, becomes the
        argument that it would have been.
        """
        for spelled in Options().longOpt:
            name = spelled.rstrip("=")
            if len(name) == 1 or name in ("help", "version", "check", "config"):
                continue
            if spelled.endswith("="):
                expected, said, toml = [f"--{name}=ab"], "ab", '"ab"'
            else:
                expected, said, toml = [f"--{name}"], "on", "true"
            self.assertEqual(self.said({variable(name): said}), expected)
            path = self.write(f"{name} = {toml}\n")
            self.assertEqual(
                self.said({}, f"--config={path}"),
                [*expected, f"--config={path}"],
            )

    def test_byteOrderMark(self) -> None:
        """
        The mark that editors of Windows put before a text is no part of it.
        """
        path = self.write("\ufeffport = 8080\n")
        expected = ["--port=8080", f"--config={path}"]
        self.assertEqual(expected, self.said({}, f"--config={path}"))

    def test_repeated(self) -> None:
        """
        An option that may be repeated takes a list in the file, and a line for each
        value in the environment.
        """
        path = self.write('listen = ["tcp:1", "tcp:2"]\n')
        expected = ["--listen=tcp:1", "--listen=tcp:2"]
        self.assertEqual(self.said({"H11WEB_CONFIG": path}), expected)
        self.assertEqual(self.said({"H11WEB_LISTEN": "tcp:1\ntcp:2\n"}), expected)

    def test_repeatable(self) -> None:
        """
        The options whose help says that they may be repeated are those that add up.
        """
        for name in ("listen", "index", "add-header", "ignore-ext", "processor"):
            self.assertIn("May be repeated", Options().docs[name])

    def test_onAndOff(self) -> None:
        """
        A flag is on or off in the environment, in any of the usual words.
        """
        for word in ("on", "1", "true", "YES"):
            self.assertEqual(self.said({"H11WEB_HTTP2": word}), ["--http2"])
        for word in ("off", "0", "False", "no", ""):
            self.assertEqual(self.said({"H11WEB_HTTP2": word}), [])

    def test_numbersAndSwitches(self) -> None:
        """
        Numbers may be written as numbers, and C{on} and C{off} as true and false.
        """
        path = self.write("grace = 2.5\nport = 80\ndot-files = true\n")
        self.assertEqual(
            self.said({"H11WEB_CONFIG": path}),
            ["--grace=2.5", "--port=80", "--dot-files=on"],
        )

    def test_internal(self) -> None:
        """
        The variables of workers are no options.
        """
        self.assertEqual(self.said(dict.fromkeys(INTERNAL, "1")), [])


class PrecedenceTests(ConfigurationTestCase):
    """
    The command line wins over the environment, and that over the file.
    """

    def test_order(self) -> None:
        """
        Each takes the place of the next, and what only one says counts.
        """
        path = self.write("grace = 1\nidle-timeout = 1\nhead-timeout = 1\n")
        self.set(grace="2", idle_timeout="2", config=path)
        options = self.parse("--grace", "3")
        limits = options["limits"]
        self.assertEqual(options["grace"], 3)
        self.assertEqual((limits.idleTimeout, limits.headTimeout), (2, 1))

    def test_lists(self) -> None:
        """
        Values of an option that may be repeated take the place of others, too.
        """
        path = self.write('listen = ["tcp:1", "tcp:2"]\n')
        self.assertEqual(self.names("--config", path, "--listen", "tcp:3"), ["tcp:3"])
        self.assertEqual(self.names("--config", path), ["tcp:1", "tcp:2"])

    def test_shortNames(self) -> None:
        """
        A short name, or a part of one, on the command line counts as its option.
        """
        self.set(port="1")
        self.assertEqual(self.names("-p", "tcp:2"), ["tcp:2"])
        self.set(list_directories="on")
        path = self.directory()
        options = self.parse("--path", path, "--list-dir", "off")
        self.assertFalse(options["root"].policy.listDirectories)

    def test_flag(self) -> None:
        """
        A flag that is off in the environment is off, whatever the file says.
        """
        path = self.write("http2 = true\n")
        self.set(http2="off", config=path)
        self.assertFalse(self.parse()["http2"])

    def test_roots(self) -> None:
        """
        The options that say what to serve count as one.
        """
        here, there = self.directory(), self.directory()
        for name in ROOTS - {"path"}:
            self.set(**{name: "on" if name == "user" else "no.such"})
            self.assertEqual(self.parse("--path", here)["root"].path, here)
            del os.environ[variable(name)]
        path = self.write(f'wsgi = "no:such"\npath = "{there}"\n')
        self.set(path=here, config=path)
        self.assertEqual(self.parse()["root"].path, here)

    def test_orderOfPath(self) -> None:
        """
        What goes after C{--path} finds it, wherever the two come from.
        """
        here = self.directory()
        for file, line in (
            (f'mime-type = "text/x"\npath = "{here}"\n', []),
            ('mime-type = "text/x"\n', ["--path", here]),
            (f'path = "{here}"\n', ["--mime-type", "text/x"]),
        ):
            options = self.parse("--config", self.write(file), *line)
            self.assertEqual(options["root"].defaultType, "text/x")

    def test_help(self) -> None:
        """
        Somebody who asks for help gets it, however wrong the rest is.
        """
        self.set(nothing="1")
        self.assertRaises(SystemExit, self.parse, "--version")


class WrongTests(ConfigurationTestCase):
    """
    What is wrong is said in one line that names its place.
    """

    def test_file(self) -> None:
        """
        A file that can not be read, or is no TOML, or has anything in it that is no
        option with a value of its kind.
        """
        for text, words in (
            ("port", "Expected '='"),
            ('path = "\\q"', "line 1"),
            ("[limits]\nidle-timeout = 1\n", "tables are not supported"),
            ("idle_timeout = 1", "there is no such option; did you mean idle-timeout?"),
            ("idle-timeot = 1", "there is no such option; did you mean idle-timeout?"),
            ("zzzzzzzz = 1", "there is no such option"),
            ('"a\\nb" = 1', "there is no such option"),
            ("help = true", "there is no such option"),
            ("check = true", "there is no such option"),
            ('config = "other"', "there is no such option"),
            ("http2 = 1", "http2: must be true or false"),
            ('http2 = "on"', "http2: must be true or false"),
            ("grace = [1, 2]", "grace: takes one value, not a list"),
            ("listen = [[1]]", "listen: must be text"),
            ("grace = 1979-05-27", "grace: must be text"),
            ("grace = {a = 1}", "grace: must be text"),
            ('logfile = "a\\u0000b"', "logfile: has a NUL"),
            ('listen = ["unix:/a\\u0000b"]', "listen: has a NUL"),
        ):
            path = self.write(text)
            message = self.refused("--config", path)
            self.assertTrue(message.startswith(f"--config {path}: "), message)
            self.assertIn(words, message)

    def test_unreadable(self) -> None:
        """
        The reason is said why a file can not be read.
        """
        directory = self.directory()
        with open(self.write(""), "ab") as file:
            file.write(b"\xff = 1")
        large = self.write("#" * ((1 << 20) + 1))
        deep = self.write("grace = " + "[" * 10_000)
        for path, words in (
            ("no/such", "No such file or directory"),
            ("", "No such file or directory"),
            (directory, "Is a directory"),
            ("/dev/null", "not a file"),
            (file.name, "utf-8"),
            (large, "longer than"),
            (deep, "nested too deeply"),
        ):
            self.assertIn(words, self.refused("--config", path))
            self.set(config=path)
            self.assertIn(words, self.refused())
            del os.environ["H11WEB_CONFIG"]

    def test_deepKeys(self) -> None:
        """
        A key of very many parts, which would take seconds or hours to read, is refused
        before, in whatever way it is written.  Values may have as many dots.
        """
        for key in (
            "a." * 100_000 + "b = 1",
            "a . " * 17 + "b = 1",
            "'a=b'." * 17 + "b = 1",
            '"a\\"b".' * 17 + "b = 1",
            "[" + "a." * 17 + "b]",
            "[[ " + "a." * 17 + "b]]",
            "grace = {" + "a." * 17 + "b = 1}",
            "grace = {c = 1, " + "a." * 17 + "b = 1}",
        ):
            path = self.write("\n\n" + key)
            self.assertEqual(
                f"--config {path}: line 3: a key has more than 16 dots",
                self.refused("--config", path),
            )
        path = self.write("a." * 16 + "b = 1")
        self.assertIn("tables are not supported", self.refused("--config", path))
        dots = ".".join("a" * 16)
        hosts = ", ".join([f"'a=http://{dots}/'"] * 30)
        path = self.write(
            f"# {'a.' * 100}\nproxy-pass = [{hosts}]\nport = '{'.' * 99}'"
        )
        message = self.refused("--config", path)
        self.assertNotIn("more than", message)

    def test_unprintable(self) -> None:
        """
        What a terminal would not show, but obey, is escaped in a message, in a value
        and in the name of a file.
        """
        path = self.write('port = "\\u001b[2J\\u009b\\u2028\u00e9"')
        odd = f"{path}\x1b[2J"
        os.rename(path, odd)
        message = self.refused("--config", odd)
        self.assertTrue(message.startswith("--port \\x1b[2J\\x9b \u00e9: neither"))
        self.assertTrue(message.endswith("\\x1b[2J)"), message)
        self.assertIn("\\x00", self.refused("--path", "\0"))
        self.assertIn("\\udcff", self.refused("--path", "no\udcff"))

    def test_environment(self) -> None:
        """
        A variable that is no option, or no value of one.
        """
        for name, value, words in (
            ("H11WEB_GRACEE", "1", "no such option; did you mean H11WEB_GRACE?"),
            ("H11WEB_grace", "1", "no such option; did you mean H11WEB_GRACE?"),
            ("H11WEB_HEAD-TIMEOUT", "1", "did you mean H11WEB_HEAD_TIMEOUT?"),
            ("H11WEB_", "1", "no such option"),
            ("H11WEB_P", "1", "no such option"),
            ("H11WEB_CHECK", "1", "no such option"),
            ("H11WEB_HTTP2", "maybe", "must be on or off, not 'maybe'"),
            ("H11WEB_HTTP2", "x" * 10_000, "must be on or off, not 'xxx"),
        ):
            os.environ[name] = value
            message = self.refused()
            self.assertTrue(
                message.startswith(f"environment variable {name}: "), message
            )
            self.assertIn(words, message)
            self.assertLess(len(message), 200)
            del os.environ[name]

    def test_origin(self) -> None:
        """
        A wrong value is refused with the words of the command line, and its origin.
        """
        self.set(grace="soon")
        self.assertEqual(
            self.refused(),
            "--grace soon: not a number of seconds "
            "(from environment variable H11WEB_GRACE)",
        )
        self.assertNotIn("from", self.refused("--grace", "later"))
        del os.environ["H11WEB_GRACE"]
        path = self.write('max-head-length = "1x"\n')
        message = self.refused("--config", path)
        self.assertTrue(message.endswith(f"(from {path})"), message)

    def test_commandLine(self) -> None:
        """
        A command line that is wrong is refused for that.
        """
        self.set(nothing="1")
        self.assertIn("not recognized", self.refused("--nonsense"))


class HelpTests(ConfigurationTestCase):
    """
    The options stand under headings.
    """

    def test_each(self) -> None:
        """
        Each option stands under one heading, which is that of its class.
        """
        groups = grouped(Options())
        listed = [name for names in groups.values() for name in names]
        known = {name.rstrip("=") for name in Options().longOpt}
        self.assertEqual(
            sorted(listed), sorted(name for name in known if len(name) > 1)
        )
        self.assertEqual(groups["Help"], ["help"])
        for heading in ("What to serve", "Where to listen", "Limits"):
            self.assertIn(heading, groups)

    def test_shown(self) -> None:
        """
        The help has all headings, and each option once, in lines of the width.
        """
        text = Options().getUsage(100)
        for heading, names in grouped(Options()).items():
            self.assertIn(f"{heading}:\n", text)
            for name in names:
                line = rf"(?m)^ {{1,8}}(-., )?--{name}[= ]"
                self.assertEqual(len(re.findall(line, text)), 1, name)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)


class CheckTests(CommandTestCase):
    """
    C{--check} as a process.
    """

    def check(self, *arguments: str) -> tuple[int, str, str]:
        """
        Run it.
        """
        return self.run_("-n", "h11web", "--check", *arguments)

    def test_fine(self) -> None:
        """
        If all is right it says so, ends with 0, and leaves nothing behind, no UNIX
        socket either.
        """
        status, out, err = self.check("--port", "0", "--listen", "unix:s")
        self.assertEqual(
            (status, out, err),
            (0, "twistd h11web: everything is as it should be\n", ""),
        )
        self.assertEqual(self.files(), [])

    def test_port(self) -> None:
        """
        A port in use is one line, and a status of 1.
        """
        status, out, err = self.check("--listen", f"tcp:{self.port()}")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("Address already in use", err)
        self.assertEqual(err.count("\n"), 1)

    def test_samePort(self) -> None:
        """
        So is a port that two options name: all ports are open at the same time.
        """
        status, out, err = self.check("--listen", "unix:s", "--status-listen", "unix:s")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(
            err, "\\Atwistd h11web: can not listen on unix:s: .* s.lock\n\\Z"
        )
        self.assertEqual(self.files(), [])

    def test_application(self) -> None:
        """
        An application that can not be imported is one line, and a status of 1,
        wherever it is named.
        """
        self.environment["H11WEB_WSGI"] = "no_such_module:app"
        status, out, err = self.check()
        self.assertEqual((status, out), (1, ""))
        self.assertIn("no_such_module", err)
        self.assertIn("(from environment variable H11WEB_WSGI)", err)
        self.assertEqual(err.count("\n"), 1)
