"""
Check that a wheel has the package, all of it, and one plugin file, and nothing else.

The package is what the tree has: every module of every folder of C{twisted_h11/}
is wanted, and no other is allowed.

A wheel with tests in it, or with any other file in C{twisted/}, would put files
of ours where other distributions have theirs.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
METADATA = re.compile(r"twisted_h11-[^/]+\.dist-info/.+")
PLUGIN = "twisted/plugins/twisted_h11_plugin.py"


def wanted() -> list[str]:
    """
    The files of the package and the plugin, as they are in the tree.
    """
    modules = (path.relative_to(TOP) for path in (TOP / "twisted_h11").rglob("*.py"))
    return sorted([m.as_posix() for m in modules] + ["twisted_h11/py.typed", PLUGIN])


def problems(names: list[str]) -> list[str]:
    """
    What is wrong with a wheel that has these files.
    """
    want = wanted()
    foreign = [
        f"does not belong: {n}"
        for n in names
        if n not in want and not METADATA.fullmatch(n)
    ]
    absent = [f"is missing: {n}" for n in want if n not in names]
    return foreign + absent


if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        files = wheel.namelist()
    print("\n".join(files))
    found = problems(files)
    print("\n".join(found))
    sys.exit(1 if found else 0)
