"""
The options of C{twistd h11web} for logs: the access log, and the program's own log.
"""

from __future__ import annotations

import os
import stat
from typing import Any, ClassVar

from twisted.logger import Logger, globalLogPublisher
from twisted.python import usage

from twisted_h11._boundary.opening import standard_stream
from twisted_h11._command.endpoints import explain
from twisted_h11._command.program_log import program_log
from twisted_h11._command.twistd_paths import check_log, check_paths, from_start
from twisted_h11._command.values import (
    parse_size,
    parse_switch,
    parse_whole,
    read_option,
)
from twisted_h11._http.abnf import is_token
from twisted_h11.server import (
    Site,
    access_log_format,
    add_request_id,
    describe_log_fields,
    json_log_format,
)

__all__ = ["LogOptions", "Logs"]

_LOGFILE = (
    "Path to the access log; -: standard output. By default it goes to the program's "
    "log. SIGUSR1 reopens it."
)
_FORMAT = (
    "Format of the lines of the access log: a text with fields in braces, such as "
    "'{time} {client} \"{method} {target}\" {status}'. Fields are "
    f"{', '.join(field.name for field in describe_log_fields())}. By default it is the "
    "combined log format."
)
_JSON = "Write the access log as JSON, an object a line, with all fields."
_SIZE = (
    "Size, such as 100M, at which the access log is renamed to its name and .1, older "
    "ones to .2 and so on, and a new one is begun. By default there is no rotation: "
    "use logrotate. Goes with --logfile."
)
_COUNT = (
    "How many renamed access logs are kept; by default 5. Goes with --log-rotate-size."
)
_IDS = (
    "Give requests identifiers, for the access log, the application and the program's "
    "log: on or off."
)
_ID_HEADER = (
    "Field, such as X-Request-ID, in which a --trust-proxy sends the identifier of a "
    "request. Goes with --request-ids on."
)
_PROGRAM_JSON = "Write the program's log as JSON, an object a line."

_DEFAULT_COUNT, _MOST_COUNT = 5, 9999


class LogOptions(usage.Options):
    """
    Logs.

    After L{checkLogs}, C{self["logging"]} has arguments for a L{Site}, and
    C{self["programLog"]} a L{ProgramLog<twisted_h11._command.program_log.ProgramLog>}
    or C{None}; C{self["logger"]} is what twistd's C{--logger} names, or C{None}.

    @since: 0.1
    """

    heading = "Logs"

    optParameters: ClassVar[list[list[Any]]] = [
        ["logfile", "l", None, _LOGFILE],
        ["log-format", None, None, _FORMAT],
        ["log-rotate-size", None, None, _SIZE],
        ["log-rotate-count", None, None, _COUNT],
        ["request-ids", None, "off", _IDS],
        ["request-id-header", None, None, _ID_HEADER],
    ]

    optFlags: ClassVar[list[list[str]]] = [
        ["no-access-log", "", "Write no access log lines."],
        ["log-json", "", _JSON],
        ["program-log-json", "", _PROGRAM_JSON],
    ]

    def checkLogs(self) -> None:
        """
        Check the options against each other.  The options for proxies were checked
        before.
        """
        self._checkFile()
        self["logging"] = {
            "logPath": self._path(),
            "accessLog": not self["no-access-log"],
            "logFormatter": self._formatter(),
            **self._rotation(),
            **self._identifiers(),
        }
        check_paths(self.parent)
        # Not what twistd makes of it when our options are parsed.
        self["logger"] = None if self.parent is None else self.parent.get("logger")
        self["programLog"] = program_log(self.parent, bool(self["program-log-json"]))

    def givenForLogs(self) -> dict[str, bool]:
        """
        Which of these options were given, without the one for the program's log.
        """
        names = [row[0] for row in (*LogOptions.optParameters, *LogOptions.optFlags)]
        given = {name: bool(self[name]) for name in names}
        given["request-ids"] = self["logging"]["requestIds"]
        del given["program-log-json"]
        return given

    def _checkFile(self) -> None:
        if self["no-access-log"]:
            for name in ("logfile", "log-format", "log-json", "log-rotate-size"):
                if self[name]:
                    raise usage.UsageError(
                        f"--{name} and --no-access-log exclude each other"
                    )
        path = self["logfile"]
        if path is None:
            return
        if _is_stream(path):
            if self.parent is not None and not self.parent.get("nodaemon"):
                raise usage.UsageError(
                    f"--logfile {path}: a daemon has no standard output; use twistd -n"
                )
        else:
            check_log(self.parent, "--logfile", path)

    def _path(self) -> str | None:
        path: str | None = self["logfile"]
        if path is None or path == "-":
            return path and "/dev/stdout"
        return from_start(self.parent, path)

    def _formatter(self) -> Any:
        text = self["log-format"]
        if self["log-json"]:
            if text is not None:
                raise usage.UsageError("--log-json and --log-format exclude each other")
            return json_log_format()
        if text is None:
            return None
        try:
            return access_log_format(text)
        except ValueError as error:
            raise usage.UsageError(f"--log-format: {error}") from None

    def _rotation(self) -> dict[str, Any]:
        size, count, path = (
            self[name] for name in ("log-rotate-size", "log-rotate-count", "logfile")
        )
        if size is None:
            if count is not None:
                raise usage.UsageError("--log-rotate-count goes with --log-rotate-size")
            return {}
        if path is None:
            raise usage.UsageError("--log-rotate-size goes with --logfile")
        if _is_stream(path) or not _may_be_regular(path):
            raise usage.UsageError(
                f"--log-rotate-size {size}: {path} is not a regular file"
            )
        most = read_option(self, "log-rotate-size", parse_size)
        if not most:
            raise usage.UsageError(f"--log-rotate-size {size}: must be at least 1 byte")
        kept = _DEFAULT_COUNT
        if count is not None:
            kept = read_option(
                self, "log-rotate-count", lambda text: parse_whole(text, 1, _MOST_COUNT)
            )
        return {"logRotateSize": most, "logRotateCount": kept}

    def _identifiers(self) -> dict[str, Any]:
        wanted = read_option(self, "request-ids", parse_switch)
        field = self["request-id-header"]
        made: dict[str, Any] = {"requestIds": wanted}
        if field is None:
            return made
        name = os.fsencode(field)
        if not is_token(name):
            raise usage.UsageError(
                f"--request-id-header {field!r}: not the name of a field"
            )
        if not wanted:
            raise usage.UsageError("--request-id-header goes with --request-ids on")
        if self["proxies"] is None:
            raise usage.UsageError(
                "--request-id-header needs --trust-proxy, with the trusted proxies"
            )
        made["requestIdHeader"] = name
        return made


class Logs:
    """
    The logs of a running server.

    @param site: its site.
    @param programLog: the L{ProgramLog<twisted_h11._command.program_log.ProgramLog>};
        C{None} if twistd has a log of its own.
    """

    _log = Logger()

    def __init__(self, site: Site, programLog: Any) -> None:
        self._site = site
        self._programLog = programLog

    def addIdentifiers(self) -> None:
        """
        Add the identifiers of requests to the program's log.  To be called before the
        log's observers are added.
        """
        if self._site.requestIds is not None:
            globalLogPublisher.addObserver(add_request_id)

    @property
    def dropped(self) -> int:
        """
        How many lines of both logs could not be written.
        """
        own = self._programLog
        return self._site.droppedLogLines + (0 if own is None else own.dropped)

    def reopen(self) -> None:
        """
        Reopen all files.  If one can not be opened, the old file is used further.
        """
        calls = [self._site.reopenLog]
        if self._programLog is not None:
            calls.insert(0, self._programLog.reopen)
        for call in calls:
            try:
                call()
            except OSError as error:
                self._log.error(
                    "Can not reopen a log, the old file stays in use: {reason}",
                    reason=explain(error),
                )


def _is_stream(path: str) -> bool:
    """
    Whether a log file is the standard output or error.
    """
    return path == "-" or standard_stream(path) is not None


def _may_be_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True
