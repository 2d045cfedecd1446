"""
Parts of the documentation that are made from the code.

  - C{.. limits-table::}: every field of C{Limits}.
  - C{.. h11web-options::}: every option of C{twistd h11web}.
  - C{.. log-fields::}: every field of the access log.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from twisted_h11._command.grouped_help import grouped
from twisted_h11.limits import Limits, describe_limits
from twisted_h11.server import describe_log_fields
from twisted_h11.tap import Options


def describe_value(value: float | None, unit: str) -> str:
    """
    A default as a person writes it.
    """
    if value is None:
        return "none"
    if unit == "bytes":
        for size, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if value >= size and value % size == 0:
                return f"{value / size:g} {name}"
    return f"{value:g} {unit}"


def option_name(field: str) -> str:
    """
    C{maxHeadLength} is C{--max-head-length}.
    """
    return "--" + re.sub(r"[A-Z]", lambda m: "-" + m.group().lower(), field)


def limits_table() -> list[str]:
    """
    The lines of the table.
    """
    out = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :class: limits",
        "",
        "   * - Field",
        "     - Default",
        "     - What it bounds",
        "     - When it is reached",
        "     - Precedent",
    ]
    for field in describe_limits():
        data = field.metadata
        default = describe_value(getattr(Limits(), field.name), data["unit"])
        if data["optional"] and default != "none":
            default += "; may be ``None``"
        status = data["status"]
        out += [
            f"   * - ``{field.name}``",
            f"     - {default}",
            f"     - {data['doc']}",
            f"     - {status if status else 'no status'}",
            f"     - {data['precedent']}",
        ]
    return out


def log_fields() -> list[str]:
    """
    The lines of the table of what the access log may say.
    """
    out = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - Field",
        "     - What it is",
        "     - For example",
    ]
    for field in describe_log_fields():
        out += [
            f"   * - ``{field.name}``",
            f"     - {field.doc}",
            f"     - ``{field.example}``",
        ]
    return out


_CODE = re.compile(
    r"`(?P<quoted>[^`']+)'"  # as Twisted quotes
    r"|(?P<bare>--[a-z0-9-]+|~/[\w.-]+|(?:tcp|unix|ssl):[\w/=:.-]*[\w/])"
)


def _literals(text: str) -> str:
    """
    A help text, with what is to be typed as it stands marked as such.
    """
    text = re.sub(r"([*|\\])", r"\\\1", " ".join(text.split()))
    return _CODE.sub(lambda m: f"``{m.group('quoted') or m.group('bare')}``", text)


def options_list() -> list[str]:
    """
    The lines of definition lists, under headings, of all options but those of the
    limits.
    """
    options = Options()
    bounds = {option_name(field.name)[2:] for field in describe_limits()}
    takes = {name.rstrip("=") for name in options.longOpt if name.endswith("=")}
    out: list[str] = []
    for heading, name in [
        (heading if not place else "", name)
        for heading, names in grouped(options).items()
        for place, name in enumerate(name for name in names if name not in bounds)
    ]:
        if heading:
            out += [f"**{heading}**", ""]
        value = " VALUE" if name in takes else ""
        short = sorted(
            same
            for same, meant in options.synonyms.items()
            if meant == name and len(same) == 1
        )
        text = _literals(" ".join((options.docs.get(name) or "").split()))
        default = options.defaults.get(name)
        if isinstance(default, str):
            text += f" [default: {default}]"
        spelled = [f"``-{one}``" for one in short]
        out += [", ".join([*spelled, f"``--{name}{value}``"]), f"    {text}", ""]
    return out


class _Generated(Directive):
    """
    Parses lines that are made by L{lines} as if they stood in the page.
    """

    source = ""

    def lines(self) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        node = nodes.container()
        self.state.nested_parse(StringList(self.lines(), self.source), 0, node)
        return node.children


class _LimitsTable(_Generated):
    source = "limits"

    def lines(self) -> list[str]:
        return limits_table()


class _LogFields(_Generated):
    source = "log fields"

    def lines(self) -> list[str]:
        return log_fields()


class _OptionsList(_Generated):
    source = "h11web"

    def lines(self) -> list[str]:
        return options_list()


def setup(app: Any) -> dict[str, Any]:
    """
    See Sphinx.
    """
    app.add_directive("limits-table", _LimitsTable)
    app.add_directive("h11web-options", _OptionsList)
    app.add_directive("log-fields", _LogFields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
