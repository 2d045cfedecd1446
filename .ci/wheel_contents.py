"""
Check that a wheel has the package and one plugin file, and nothing else.

A wheel with tests in it, or with any other file in C{twisted/}, would put files
of ours where other distributions have theirs.
"""

from __future__ import annotations

import re
import sys
import zipfile

ALLOWED = re.compile(
    r"twisted_h11/[a-z0-9_]+\.py"
    r"|twisted_h11/py\.typed"
    r"|twisted/plugins/twisted_h11_plugin\.py"
    r"|twisted_h11-[^/]+\.dist-info/.+"
)
NEEDED = ("twisted_h11/__init__.py", "twisted_h11/py.typed", "twisted_h11/tap.py")
PLUGIN = "twisted/plugins/twisted_h11_plugin.py"


def problems(names: list[str]) -> list[str]:
    """
    What is wrong with a wheel that has these files.
    """
    foreign = [f"does not belong: {n}" for n in names if not ALLOWED.fullmatch(n)]
    absent = [f"is missing: {n}" for n in (*NEEDED, PLUGIN) if n not in names]
    return foreign + absent


if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        files = wheel.namelist()
    print("\n".join(files))
    found = problems(files)
    print("\n".join(found))
    sys.exit(1 if found else 0)
