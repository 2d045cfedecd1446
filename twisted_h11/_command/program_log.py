"""
The program's own log, that of C{twistd --logfile}.

twistd's own log file is renamed at each megabyte, without a bound on the number of
files, and is not opened in append mode.  L{ProgramLog}'s is, and it is not renamed:
logrotate may move it away and have it reopened, or truncate it.  It is given to twistd
by the option C{--logger}, unless the user has given that, or C{--syslog}.

An event is some lines of text, or one line of JSON.
"""

from __future__ import annotations

import os
from collections import deque
from datetime import datetime, timezone
from typing import Any

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    eventAsJSON,
    formatEvent,
    textFileLogObserver,
)
from twisted.python import usage

from twisted_h11._boundary.explain import explain
from twisted_h11.server import LogFile, LogFileError

__all__ = ["ProgramLog", "json_line", "open_last", "program_log"]


def json_line(event: LogEvent) -> str:
    """
    An event as one line of JSON: the C{time}, C{level} and C{message}, the C{traceback}
    of a failure, and then all that L{eventAsJSON} writes.
    """
    when = datetime.fromtimestamp(event.get("log_time") or 0, timezone.utc)
    told: LogEvent = {
        "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": getattr(event.get("log_level"), "name", "info"),
        "message": formatEvent(event),
    }
    failure = event.get("log_failure")
    if failure is not None:
        told["traceback"] = failure.getTraceback()
    told.update((name, value) for name, value in event.items() if name != "message")
    # DEL is the one control character that json does not escape.
    return eventAsJSON(told).replace("\x7f", "\\u007f") + "\n"


class ProgramLog:
    """
    The file of the program's log.

    @param path: the path of the file, or C{-} for the standard output.
    @param json: whether to write lines of JSON.
    @ivar path: the whole path of the file.
    """

    def __init__(self, path: str, json: bool) -> None:
        # twistd may change the directory after it has made its log.
        self.path = "/dev/stdout" if path == "-" else os.path.abspath(path)
        self._json = json
        self._file: LogFile | None = None

    def observer(self) -> ILogObserver:
        """
        Open the file.

        @return: an observer that writes to the file.
        @raise SystemExit: if it can not be opened, with one line: twistd calls this
            before it becomes a daemon, and would print a traceback.
        """
        try:
            self._file = file = LogFile(self.path)
        except LogFileError as error:
            problem = f"can not write the log {explain(error)}"
            raise SystemExit(f"twistd h11web: {problem}") from None
        output: Any = file
        if self._json:
            return FileLogObserver(output, json_line)
        made: ILogObserver = textFileLogObserver(output)
        return made

    @property
    def dropped(self) -> int:
        """
        How many lines could not be written.
        """
        return 0 if self._file is None else self._file.dropped

    def reopen(self) -> None:
        """
        Reopen the file by its name.

        @raise LogFileError: if it can not be opened.
        """
        if self._file is not None:
            self._file.reopen()


def program_log(command: Any, json: bool) -> ProgramLog | None:
    """
    Make twistd use a L{ProgramLog}.

    @param command: twistd's options; C{None} if this is not a command of twistd.
    @param json: whether the log is to be JSON.
    @return: the log; C{None} where twistd has its own.
    @raise usage.UsageError: if the log can not be JSON.
    """
    taken = command is None or command.get("logger") or command.get("syslog")
    if taken:
        if json and command is None:
            raise usage.UsageError("--program-log-json is for commands of twistd")
        if json:
            raise usage.UsageError(
                "--program-log-json goes neither with twistd --logger nor with --syslog"
            )
        return None
    path = command.get("logfile")
    toStdout = path == "-" or (not path and command.get("nodaemon"))
    if toStdout and not json:
        # twistd's own log writes text to the standard output well.
        return None
    if path == "-" and not command.get("nodaemon"):
        # twistd reports the error.
        return None
    made = ProgramLog("-" if toStdout else path or "twistd.log", json)
    _logs.append(made)
    # --logger takes a name to import.
    command["logger"] = f"{__name__}.{open_last.__name__}"
    return made


# A process has one log: the last one made by program_log.
_logs: deque[ProgramLog] = deque(maxlen=1)


def open_last() -> ILogObserver:
    """
    Open the log that L{program_log} has made; called by twistd.
    """
    return _logs[-1].observer()
