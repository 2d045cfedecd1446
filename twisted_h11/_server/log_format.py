"""
Lines of the access log with chosen fields.

A L{LineFormat} makes a line of text with fields in it, a L{JSONFormat} a JSON object.
"""

from __future__ import annotations

import copy
import os
import string
import time
from collections.abc import Callable
from typing import Any

from twisted_h11._boundary.checks import STR, checked
from twisted_h11._boundary.variables import WORKER
from twisted_h11._server.access_log import combined_line
from twisted_h11._server.log_fields import (
    LOG_FIELDS,
    Line,
    LogField,
    log_field,
)

__all__ = [
    "COMBINED_LOG_FORMAT",
    "access_log_format",
    "json_log_format",
]

COMBINED_LOG_FORMAT = (
    '"{client}" - - {clf_time} "{method} {target} {protocol}" '
    '{status} {bytes_out} "{referer}" "{agent}"'
)
"""
The combined log format of L{twisted.web.http.combinedLogFormatter}, the default.

@since: 0.1
"""


class _Format:
    """
    Makes a line of the log for a request.

    @ivar fields: the names of its fields.
    """

    def __init__(self, fields: list[LogField]) -> None:
        self._fields = fields
        self.fields = frozenset(field.name for field in fields)
        self._clock: Callable[[], float] = time.time
        self._worker = os.environ.get(WORKER)

    def withClock(self, clock: Callable[[], float]) -> Any:
        """
        A copy of this format with another clock; called by a site with its own.

        @param clock: returns the seconds since 1970.
        """
        made = copy.copy(self)
        made._clock = clock
        return made


class LineFormat(_Format):
    """
    A line of text.
    """

    def __init__(self, fields: list[LogField], template: str) -> None:
        super().__init__(fields)
        self._template = template
        self._getters = [field.text for field in fields]

    def __call__(self, timestamp: Any, request: Any) -> str:
        """
        See L{twisted.web.iweb.IAccessLogFormatter}.
        """
        line = Line(request, timestamp, self._clock(), self._worker)
        return self._template % tuple([get(line) for get in self._getters])


class JSONFormat(_Format):
    """
    A JSON object in one line.
    """

    def __init__(self, fields: list[LogField]) -> None:
        super().__init__(fields)
        keys = ", ".join(f'"{field.name}": %s' for field in fields)
        self._template = f"{{{keys}}}"
        self._getters = [field.json for field in fields]

    def __call__(self, timestamp: Any, request: Any) -> str:
        """
        See L{twisted.web.iweb.IAccessLogFormatter}.
        """
        line = Line(request, timestamp, self._clock(), self._worker)
        text = self._template % tuple([get(line) for get in self._getters])
        # DEL: the JSON encoder does not escape it.
        return text.replace("\x7f", "\\u007f") if "\x7f" in text else text


@checked(text=STR)
def access_log_format(text: str) -> Any:
    """
    Make a C{logFormatter} for a L{Site<twisted_h11.server.Site>} from a text with
    fields::

        Site(root, logFormatter=access_log_format("{time} {client} {status} {seconds}"))

    Each field (L{describe_log_fields}) is escaped to printable ASCII, so that a request
    is always one line.  Double a brace to write it.  Put values that clients choose in
    quotation marks, because they may have spaces.

    @param text: the text, one line.
    @return: an L{twisted.web.iweb.IAccessLogFormatter}.
    @raise TypeError: if C{text} is not a string.
    @raise ValueError: for an unknown field, unbalanced braces, and a control character
        other than the tab.

    @since: 0.1
    """
    if text == COMBINED_LOG_FORMAT:
        return combined_line
    if not all(letter.isprintable() or letter == "\t" for letter in text):
        raise ValueError("a format is one line, without control characters")
    template: list[str] = []
    fields: list[LogField] = []
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        raise ValueError(
            "a field is its name in braces, as in {status}; {{ and }} are braces"
        ) from None
    for literal, name, details, conversion in parsed:
        template.append(literal.replace("%", "%%"))
        if name is None:
            continue
        if details or conversion:
            raise ValueError(f"the field {name!r} takes no format of its own")
        fields.append(log_field(name))
        template.append("%s")
    if not fields:
        raise ValueError("there is no field in it, such as {status}")
    return LineFormat(fields, "".join(template))


def json_log_format(*names: str) -> Any:
    """
    Make a C{logFormatter} for a L{Site<twisted_h11.server.Site>} whose lines are JSON
    objects::

        Site(root, logFormatter=json_log_format())

    They are ASCII.  Lengths, seconds and the status are numbers, unknown values are
    C{null}, and bytes that are not UTF-8 are written as C{\\xNN}.

    @param names: the fields (L{describe_log_fields}); by default all except
        C{clf_time}.
    @return: an L{twisted.web.iweb.IAccessLogFormatter}.
    @raise ValueError: for an unknown field.

    @since: 0.1
    """
    return JSONFormat(
        [log_field(name) for name in names or LOG_FIELDS if names or name != "clf_time"]
    )
