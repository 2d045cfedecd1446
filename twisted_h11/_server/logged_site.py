"""
The part of a site that writes the access log, and counts responses.
"""

from __future__ import annotations

from typing import Any

from twisted.python import log
from twisted.web import server
from twisted.web.http import combinedLogFormatter

from twisted_h11._boundary.guarded import guarded, log_failure
from twisted_h11._server.access_log import combined_line, log_times
from twisted_h11._server.batched_file import BatchedFile
from twisted_h11._server.log_file import LogFile, check_rotation
from twisted_h11._server.logged import body_length, seconds

__all__ = ["LoggedSite"]


class LoggedSite(server.Site):
    """
    The base of L{Site<twisted_h11.server.Site>} for the log and the metrics.

    @ivar accessLog: whether there is a log.
    @ivar metrics: the metrics, or C{None}.
    @ivar timesRequests: whether the time of each request's head is noted, as for
        metrics, and for a C{logFormatter} with the field C{seconds}.
    """

    metrics: Any = None

    def _beginLog(
        self, accessLog: bool, logFormatter: Any, rotation: tuple[int | None, int]
    ) -> None:
        """
        Set the arguments of the constructor that are about the log.
        """
        check_rotation(*rotation)
        self.accessLog = accessLog
        self._rotation = rotation
        self._dropped = 0
        if logFormatter is None or logFormatter is combinedLogFormatter:
            logFormatter = combined_line
        onClock = getattr(logFormatter, "withClock", None)
        if onClock is not None:
            logFormatter = onClock(self.reactor.seconds)
        self._formatLine = logFormatter
        self.timesRequests = "seconds" in getattr(logFormatter, "fields", ())
        self._logTime = log_times(self.reactor)

    def startFactory(self) -> None:
        """
        See L{twisted.web.http.HTTPFactory.startFactory}.
        """
        super().startFactory()
        if self.logPath is not None:
            self.logFile: Any = BatchedFile(self.logFile, self.reactor)

    def _openLogFile(self, path: str | bytes) -> Any:
        """
        See L{twisted.web.http.HTTPFactory}.
        """
        return LogFile(path, *self._rotation)

    def _closeLog(self) -> None:
        logFile = getattr(self, "logFile", None)
        if not guarded("Closing the access log", super().stopFactory):
            # Let the inherited method do the rest.
            self.logFile = log.logfile
            super().stopFactory()
        self._dropped += getattr(logFile, "dropped", 0)

    def log(self, request: Any) -> None:
        """
        Write a line to the access log, if there is one; and count the response.
        """
        if self.metrics is not None:
            self._measure(request)
        if not self.accessLog:
            return
        try:
            logFile = getattr(self, "logFile", None)
            if logFile is not None:
                logFile.write(self._formatLine(self._logTime(), request) + "\n")
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._dropped += 1
            log_failure("The access log")

    def _measure(self, request: Any) -> None:
        now = self.reactor.seconds()
        # The usual case, without calls.
        head = getattr(request, "_requestHead", None)
        try:
            if head is not None and head.length == 0:
                self.metrics.ended(request, now - head.began, 0)
            else:
                took, received = seconds(request, now), body_length(request)
                self.metrics.ended(request, took, received)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log_failure("Metrics")

    @property
    def droppedLogLines(self) -> int:
        """
        How many lines of the access log could not be made or written (for example on a
        full disk) since this site was made.
        """
        logFile = getattr(self, "logFile", None)
        return self._dropped + int(getattr(logFile, "dropped", 0))

    def reopenLog(self) -> None:
        """
        Write what waits, close the log file, and open C{logPath} again.  Call this
        after the file was renamed, as by logrotate.  Does nothing for a site without
        C{logPath}.

        @raise LogFileError: if it can not be opened; then lines still go to the old
            file.
        """
        reopen = getattr(getattr(self, "logFile", None), "reopen", None)
        if reopen is not None:
            reopen()

    def flushLog(self) -> None:
        """
        Write the lines of the access log that wait; by default that happens within
        half a second, and when the site stops.  Any thread may call this.
        """
        flush = getattr(getattr(self, "logFile", None), "flush", None)
        if flush is not None:
            flush()
