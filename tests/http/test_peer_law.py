"""
The law of forms, the access log, the configuration file and passwords, with a few
generated inputs.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import log_law
from tests.fuzz.forms_law import check_multipart, check_query
from tests.fuzz.law import BrokenLaw
from tests.fuzz.log_law import check_log
from tests.fuzz.options_law import check_configuration
from tests.fuzz.passwords_law import check_basic, check_password_file, known_line
from tests.fuzz.strategies import CURL, CURL_POST, examples
from tests.fuzz.targets import TARGETS, seeds
from tests.http.test_fields_law import made_of
from tests.support.optional import need
from twisted_h11._command import configuration, options
from twisted_h11._resources import passwords
from twisted_h11._server import access_log, form_reader, forms, log_fields

KIND = b"multipart/form-data; boundary=xyz\n"
PART = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello\r\n'
FILE = b'--xyz\r\nContent-Disposition: form-data; name=b; filename="x"\r\nA: b\r\n\r\n'
ONE = b"\x05" + KIND + PART + b"--xyz--\r\n"


class FormTests(SynchronousTestCase):
    """
    Forms, and queries.
    """

    def setUp(self) -> None:
        """
        Skip without the parser.
        """
        need("python_multipart")

    @examples(40)
    @given(
        some.binary(min_size=1, max_size=1),
        some.lists(some.sampled_from([PART, FILE]), max_size=5).map(b"".join),
        made_of(b"--xyz", b"\r\n", b"--", b"A: ", PART, b'"', b"x" * 130),
    )
    def test_multipart(self, size: bytes, parts: bytes, rest: bytes) -> None:
        """
        A form has the same parts however it comes, within its limits.
        """
        check_multipart(size + KIND + parts + rest)
        check_multipart(size + KIND + parts + rest + b"\r\n--xyz--\r\n")

    @examples(40)
    @given(made_of(b"a=b", b"&", b";", b"=", b"%", b"%4", b"%41", b"+", b"4" * 1100))
    def test_query(self, data: bytes) -> None:
        """
        A query has the arguments that twisted.web finds.
        """
        check_query(data)

    def test_faults(self) -> None:
        """
        A reader that loses bytes, passes a limit, tells an end twice or never, or reads
        what the other one does not, breaks the law.
        """
        check_multipart(ONE)
        reader: Any = form_reader.FormReader
        data, head, ended = reader._on_part_data, reader._header, reader._on_part_end

        def without(bound: str) -> Any:
            def __init__(self: Any, *args: Any) -> None:
                made(self, *args)
                self._limits = replace(self._limits, **{bound: 10_000})

            return __init__

        made = reader.__init__
        long = ONE.replace(b"hello", b"hello" * 30)
        faults: list[tuple[str, Any, bytes]] = [
            ("_on_part_data", lambda self, d, a, b: data(self, d, a, a), ONE),
            ("_on_part_data", lambda self, d, a, b: data(self, d, b - 1, b), ONE),
            ("_on_part_end", lambda self: self._takePart(), ONE),
            ("_on_part_end", lambda self: ended(self) or 1 / 0, ONE),
            ("_header", lambda self, d, a, b: head(self, d, a, b)[:1], ONE),
            ("__init__", without("maxFieldLength"), long),
            ("__init__", without("maxParts"), ONE.replace(PART, PART * 6)),
            ("__init__", without("maxHeaderLength"), ONE.replace(b"on:", b"on: " * 99)),
        ]
        for name, fault, form in faults:
            change = self.patch(reader, name, fault)
            self.assertRaises(BrokenLaw, check_multipart, form)
            change.restore()
        self.patch(forms, "parse_multipart", lambda *args: {b"a": [b"hell"]})
        self.assertRaises(BrokenLaw, check_multipart, ONE)
        self.patch(forms, "parse_query", lambda *args: {b"a": [b"c"]})
        self.assertRaises(BrokenLaw, check_query, b"a=b")


class LogTests(SynchronousTestCase):
    """
    The access log.
    """

    @examples(40)
    @given(
        some.sampled_from([b"\0", b"\1", b"\x09"]),
        some.sampled_from([b"GET", b"M'", b"POST"]),
        made_of(b"/", b'"', b"\\", b"?", b"%00", b"\xff", b"\t"),
        made_of(b'"', b"\\", b"\t", b"\x7f", b"\xe2\x80\xa8", b"\r\nReferer: a", b" "),
        some.sampled_from([b"", CURL, CURL_POST, b"\x1b[2J\r\n\r\n", b"\x16\x03\x01"]),
    )
    def test_lines(
        self, size: bytes, method: bytes, target: bytes, agent: bytes, more: bytes
    ) -> None:
        """
        Each response has one line, which can be read back.
        """
        head = (
            b"%b /%b HTTP/1.1\r\nHost: a\r\nForwarded: for=b\r\nUser-Agent: %b\r\n\r\n"
        )
        check_log(size + more + head % (method, target, agent) + more)

    def test_faults(self) -> None:
        """
        Lines that are not escaped, that are escaped otherwise, or that are not there
        break the law.
        """
        odd = b"\0" + CURL.replace(b"User-Agent: ", b'User-Agent: "\xe9\t')
        self.assertIn(b'"\xe9', odd)
        check_log(odd)
        combined, escape = access_log.combined_line, access_log.escape
        faults: list[tuple[Any, str, Any]] = [
            (access_log, "combined_line", lambda *args: combined(*args) + "\x1b"),
            (access_log, "combined_line", lambda *args: combined(*args)[:-1]),
            (access_log, "combined_line", lambda *args: combined(*args) + "\nx"),
            (log_fields, "escape", lambda value: escape(value)[1:]),
            (log_fields, "escape", lambda value: '"'),
            (log_fields, "json_text", lambda value: json.dumps("x")),
            (log_law, "_FINAL", re.compile(b"never")),
        ]
        for owner, name, fault in faults:
            change = self.patch(owner, name, fault)
            self.assertRaises(BrokenLaw, check_log, odd)
            change.restore()


class FileTests(SynchronousTestCase):
    """
    Files of the administrator.
    """

    @examples(15)
    @given(
        some.lists(
            some.tuples(
                some.sampled_from(["port", "listen", "path", "grace", "http2", "x.y"]),
                some.sampled_from(
                    [
                        "0",
                        "-1",
                        "true",
                        '"."',
                        '"\\u0000"',
                        "[]",
                        '["a", 1]',
                        "{}",
                        "nan",
                    ]
                ),
            ).map(" = ".join),
            max_size=3,
        ).map("\n".join),
        made_of(b"\n[a]", b"\xff", b"=", b"[" * 5000, b'"""'),
    )
    def test_configuration(self, lines: str, rest: bytes) -> None:
        """
        The file of C{--config} gives options, or one line.
        """
        check_configuration(lines.encode())
        check_configuration(lines.encode() + rest)

    @examples(40)
    @given(made_of(b"\r\n", b"\n", b"#", b":", b"bob", b" ", b"\x0b", b"$2a$04$"))
    def test_passwords(self, more: bytes) -> None:
        """
        The file of names has those of its lines, or the wrong one is told.
        """
        need("bcrypt")
        check_password_file(more)
        check_password_file(known_line() + more + known_line())

    def test_configurationFaults(self) -> None:
        """
        An exception, a value that is another one than on the command line, and a
        message that is none break the law.
        """
        text = b"grace = 3\n"
        check_configuration(text)
        owner = configuration.Configuration
        change = self.patch(owner, "_said", lambda self, name, value: ["2"])
        self.assertRaises(BrokenLaw, check_configuration, text)
        change.restore()
        change = self.patch(owner, "_said", lambda self, name, value: 1 / 0)
        self.assertRaises(ZeroDivisionError, check_configuration, text)
        change.restore()
        self.patch(options, "one_line", lambda text: text)
        self.assertRaises(BrokenLaw, check_configuration, b'grace = "\\u001b"')

    def test_passwordFaults(self) -> None:
        """
        A file that is read wrongly, and a hash that bcrypt can not take, break the law.
        """
        need("bcrypt")
        odd = known_line()[:32] + b"x" + known_line()[33:]
        check_password_file(odd)
        loose = re.compile(passwords._HASH.pattern.replace(b"[.Oeu]", b"."))
        self.patch(passwords, "_HASH", loose)
        self.assertRaises(BrokenLaw, check_password_file, odd)
        self.patch(passwords, "_HASH", re.compile(b"(1)x"))
        self.assertRaises(BrokenLaw, check_password_file, known_line())


class BasicTests(SynchronousTestCase):
    """
    What a client says of who it is.
    """

    def setUp(self) -> None:
        """
        Skip without bcrypt.
        """
        need("bcrypt")

    @examples(30)
    @given(
        some.sampled_from([b"Basic ", b"basic  ", b"Bearer ", b""]),
        made_of(b"YW5uOnBhc3N3b3Jk", b"YW5u", b"OnBhc3N3b3Jk", b"=", b":", b" "),
    )
    def test_basic(self, scheme: bytes, said: bytes) -> None:
        """
        Who has the right password is let in, and nobody else.
        """
        check_basic(scheme + said)
        check_basic(scheme + b"YW5uOnBhc3N3b3Jk" + said)

    def test_faults(self) -> None:
        """
        To let everybody in, or nobody, breaks the law.
        """
        right = b"Basic YW5uOnBhc3N3b3Jk"
        check_basic(right)
        for owner, answer, said in (
            (passwords.PasswordFile, lambda self, who: succeed(b"x"), b"Basic YTpi"),
            (
                passwords.PasswordFile,
                lambda self, who: fail(UnauthorizedLogin()),
                right,
            ),
        ):
            change = self.patch(owner, "requestAvatarId", answer)
            self.assertRaises(BrokenLaw, check_basic, said)
            change.restore()


class SeedTests(SynchronousTestCase):
    """
    What the fuzzer begins with.
    """

    def test_seeds(self) -> None:
        """
        The seeds of each of these targets keep the law.
        """
        need("python_multipart")
        need("bcrypt")
        for name in ("multipart", "query", "access-log", "configuration", "basic"):
            found = list(seeds(name))
            self.assertTrue(found)
            for seed in found:
                TARGETS[name](seed)
        for seed in seeds("htpasswd"):
            check_password_file(seed)
