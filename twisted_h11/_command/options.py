"""
The options of C{twistd h11web}.

They are those of C{twistd web} that are not deprecated, with the same names and
meaning, and further ones.  They do not inherit from L{twisted.web.tap.Options}, because
an inherited option can not be removed; its handlers are borrowed one by one.

Four rules:

- Errors that can be found before the server runs are found here, and raised as a
  L{usage.UsageError} of one line that names the option.  Exceptions of users' modules
  during their import are caught too.
- As a command of twistd, that line is written to stderr and the process exits with a
  status other than zero.  (twistd itself would print all of its help to stdout, and
  the message below it.)
- No option is ignored: one that has no effect without another one, or together with
  another one, is an error.
- There is one option per field of L{Limits}, made from the field's metadata.
"""

from __future__ import annotations

import os
import sys
import textwrap
from importlib.metadata import version
from typing import Any, ClassVar, NoReturn

from twisted.python import usage
from twisted.web import distrib

from twisted_h11 import __version__
from twisted_h11._boundary.explain import one_line
from twisted_h11._command.answer_options import AnswerOptions
from twisted_h11._command.bounds import bound_name
from twisted_h11._command.configuration import Configuration
from twisted_h11._command.grouped_help import describe_options
from twisted_h11._command.limit_options import LimitOptions
from twisted_h11._command.listen_options import ListenOptions
from twisted_h11._command.log_options import LogOptions
from twisted_h11._command.root_options import RootOptions
from twisted_h11._command.standard import say
from twisted_h11._command.status import StatusOptions
from twisted_h11._command.suggest import with_suggestion
from twisted_h11._command.tls_options import TLSOptions
from twisted_h11._command.values import is_number
from twisted_h11._http.abnf import has_control, is_token
from twisted_h11.limits import describe_limits

__all__ = ["Options"]

_OURS_TO_SEND = frozenset(
    (
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""
Fields that depend on the message; one fixed value for all would break framing
or the connection.
"""


_NARROWEST = 60
"""
The least width of the help: the names of options need half of it.
"""

_CONFIG = (
    "A TOML file with options, as name = value; the command line and the environment "
    "override it."
)
_CHECK = (
    "Check options, files, certificates, the application and ports, report the result, "
    "and exit."
)
_TRACEBACKS = (
    "Show uncaught exceptions to the client. WARNING: this may be a security risk "
    "and expose private data!"
)
_PERSONAL = (
    "Instead of a web server, start a ResourcePublisher, which listens on the ports "
    f"given, or on ~/{distrib.UserDirectory.userSocketName} if none is."
)
_HTTP2 = (
    "Offer HTTP/2 on TLS endpoints. Experimental: Twisted handles the streams, and "
    "the limits are enforced around it; use it behind a proxy that you trust. Needs "
    "twisted-h11[http2]."
)
_UNDERSCORES = (
    "Pass fields with an underscore in their names to WSGI and CGI programs, too. "
    "WARNING: clients can forge fields with them that only a proxy may set."
)


class HelpOptions(usage.Options):
    """
    The option for the help.

    @since: 0.1
    """

    heading = "Help"

    def opt_help(self) -> NoReturn:
        """
        Display this help and exit.
        """
        say(str(self))
        raise SystemExit(0)


class Options(
    RootOptions,
    AnswerOptions,
    ListenOptions,
    TLSOptions,
    LogOptions,
    StatusOptions,
    LimitOptions,
    HelpOptions,
):
    """
    The options of C{twistd h11web}.

    After L{parseOptions}, C{self["listen"]} is the list of endpoints to listen
    on, each with its name for messages, and C{self["limits"]} the L{Limits}.

    @ivar given: the command line that was parsed.

    @since: 0.1
    """

    heading = "The server"

    synopsis = "[h11web options]"

    longdesc = (
        "This starts a strict, bounded HTTP/1.1 server.  Without --path, --class, "
        "--wsgi, --resource-script, --user or --vhost it answers every request with a "
        "description of that request: a page for browsers, JSON for others.  "
        "Sizes take the suffixes k, M and G, which are powers of 1024."
    )

    optParameters: ClassVar[list[list[Any]]] = [
        ["config", None, None, _CONFIG],
    ]

    optFlags: ClassVar[list[list[str]]] = [
        ["display-tracebacks", "", _TRACEBACKS],
        ["personal", "", _PERSONAL],
        ["check", "", _CHECK],
        ["http2", "", _HTTP2],
        ["environ-underscores", "", _UNDERSCORES],
    ]

    compData = usage.Completions(optActions={"logfile": usage.CompleteFiles("*.log")})

    def __init__(self) -> None:
        super().__init__()
        for name, text in self.docs.items():
            # The docstrings of handlers have their indentation.
            self.docs[name] = " ".join(text.split())
        self["extraHeaders"] = []
        self.given: list[str] = []

    def parseOptions(self, options: list[str] | None = None) -> None:
        """
        Parse the command line, the environment, and the file of C{--config}; see
        L{twisted_h11._command.configuration}.

        @raise usage.UsageError: for any error in them.
        @raise SystemExit: instead, as a command of twistd, with the same line
            as its message.
        """
        given = sys.argv[1:] if options is None else options
        self.given = list(given)
        said: Configuration | None = None
        try:
            said = Configuration(self, given, os.environ)
            super().parseOptions(said.arguments)
        except (usage.UsageError, FileNotFoundError) as error:
            if not isinstance(error, usage.UsageError):
                error = _no_directory(error)
            line = with_suggestion(one_line(str(error)), self)
            if said is not None:
                line = one_line(said.explain(line))
            if self.parent is None:
                raise usage.UsageError(line) from None
            raise SystemExit(f"twistd h11web: {line}") from None

    def getUsage(self, width: int | None = None) -> str:
        """
        The text of C{--help}, with the options under headings.
        """
        width = width or _columns(os.environ.get("COLUMNS", ""))
        about = "\n".join(textwrap.wrap(self.longdesc, width))
        return f"{describe_options(self, width)}\n{about}\n"

    def opt_version(self) -> NoReturn:
        """
        Display the versions of twisted-h11, h11 and Twisted, and exit.
        """
        versions = [f"{name} {version(name)}" for name in ("h11", "Twisted")]
        say(", ".join([f"twisted-h11 {__version__}", *versions]))
        raise SystemExit(0)

    # -- what to send -----------------------------------------------------

    def opt_add_header(self, header: str) -> None:
        """
        Field to add to all responses, as "Name: value". May be repeated.
        """
        name, colon, value = (part.strip(b" \t") for part in _partition(header))
        problem = None
        if not colon:
            problem = 'not of the form "Name: value"'
        elif not is_token(name):
            problem = "the name is not a token of RFC 9110"
        elif has_control(value):
            problem = "control character in the value"
        elif name.lower() in _OURS_TO_SEND:
            problem = "the server itself sends that field where it is needed"
        elif name.lower() == b"server":
            problem = "use --server-header"
        if problem is not None:
            raise usage.UsageError(f"--add-header {header!r}: {problem}")
        self["extraHeaders"].append((name, value))

    def opt_server_header(self, text: str) -> None:
        """
        Value of the Server field of all responses; off: send none.
        [default: twisted-h11/VERSION]
        """
        value = os.fsencode(text).strip(b" \t")
        if not value or has_control(value):
            raise usage.UsageError(
                f"--server-header {text!r}: must be printable text, or off"
            )
        self["serverHeader"] = None if value == b"off" else value

    def parseArgs(self, *words: str) -> None:
        """
        Refuse words that belong to no option.
        """
        if words:
            hint = f", as --port {words[0]}" if is_number(words[0]) else ""
            raise usage.UsageError(
                f"{words[0]}: does not belong to an option{hint}; see --help"
            )

    # -- the whole --------------------------------------------------------

    def postOptions(self) -> None:
        """
        Check the options against each other, and parse the endpoints.
        """
        self.checkLimits()
        self.checkProcess()
        self.checkRoot()
        self.checkProxies()
        self.checkAnswers()
        self.checkLogs()
        self.checkStatus(self.listeningReactor)
        self._checkPersonal()
        self.checkListen()
        self["listen"] += self.checkTLS(self.makeEndpoint)

    def _checkPersonal(self) -> None:
        """
        Raise an error for options that have no effect with C{--personal}: a publisher
        has no HTTP connections, and L{twisted.web.distrib} gives no access to the
        fields of a response.
        """
        if not self["personal"]:
            return
        given = {
            "max-requests": self["max-requests"] is not None,
            "add-header": bool(self["extraHeaders"]),
            "server-header": "serverHeader" in self,
            **self.givenForLogs(),
            "http2": bool(self["http2"]),
            **self.givenForTLS(),
            **self.givenForProxies(),
            "compress": self["compression"] is not None,
            "error-page": self["errorPages"] is not None,
            "basic-auth": self["passwords"] is not None,
            "vhost": bool(self["vhosts"]),
            "status-listen": self["status"] is not None,
        }
        for bound in describe_limits():
            given[bound_name(bound)] = (
                getattr(self["limits"], bound.name) != bound.default
            )
        for name, isGiven in given.items():
            if isGiven:
                raise usage.UsageError(f"--{name} and --personal exclude each other")


def _partition(header: str) -> tuple[bytes, bytes, bytes]:
    """
    Split the bytes of an argument at the first colon.
    """
    return os.fsencode(header).partition(b":")


def _columns(text: str) -> int:
    """
    The width of the help.

    @param text: the value of C{COLUMNS}, which may be empty or anything else.
    """
    if is_number(text) and len(text) < 5:
        return max(int(text), _NARROWEST)
    return 80


def _no_directory(error: FileNotFoundError) -> usage.UsageError:
    """
    What to tell the user if the current directory was removed: no relative path can be
    made absolute then.

    @raise FileNotFoundError: if there is such a directory.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        return usage.UsageError("the current directory no longer exists")
    raise error
