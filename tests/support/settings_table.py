"""
The tables of the client's settings, made from the metadata of their fields.

C{python -m tests.support.settings_table} writes them into the pages.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted_h11._client.settings import (
    ClientSettings,
    PoolSettings,
    describe_settings,
)

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def settings_table(settings: type[Any]) -> str:
    """
    The table of a settings class, as reStructuredText.
    """
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - Setting",
        "     - Default",
        "     - Meaning",
        "     - Precedent",
    ]
    for field in describe_settings(settings):
        unit = field.metadata["unit"]
        default: Any = field.default
        if isinstance(default, frozenset):
            default = ", ".join(sorted(method.decode() for method in default))
        if default == 1 and default is not True:
            unit = re.sub("ies$", "y", unit).removesuffix("s")
        elif unit == "bytes" and default and default % 1024 == 0:
            default, unit = default // 1024, "KiB"
        text = f"{default} {unit}".strip() if default is not None else "none"
        lines += [
            f"   * - ``{field.name}``",
            f"     - {text}",
            f"     - {field.metadata['doc']}",
            f"     - {field.metadata['precedent']}",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """
    Renew the tables.
    """
    for name, settings in (("client", ClientSettings), ("pool", PoolSettings)):
        page = DOCS / f"{name}.rst"
        begin, end = f".. {name} settings begin\n", f".. {name} settings end"
        table = settings_table(settings)
        text = page.read_text(encoding="utf-8")
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        page.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
