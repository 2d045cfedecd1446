"""
The machine: cores, tools, and what is to be written beside every figure.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

__all__ = [
    *("busy_seconds", "cores", "describe_machine", "pinned"),
    *("probe", "raise_descriptor_limit"),
]

# Run by the Python that runs the peers: which modules can be imported there,
# and in which versions the distributions are installed.
_PROBE = """
import importlib, importlib.metadata, json, platform, sys
missing = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as reason:
        missing[name] = str(reason)
versions = {
    found.metadata["Name"]: found.version
    for found in importlib.metadata.distributions()
    if found.metadata["Name"]
}
versions["Python"] = platform.python_version()
print("\\n" + json.dumps([missing, versions]))
"""


def cores() -> tuple[int, int] | tuple[None, None]:
    """
    The core for the server and the core for the load, or no cores when there
    are not two.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def pinned(command: list[str], core: int | None) -> list[str]:
    """
    The command, bound to a core where that is possible.
    """
    if core is None or shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", str(core), *command]


def probe(
    python: str, modules: set[str], environment: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """
    Ask another Python what it has.

    @return: which of the modules can not be imported, with the reason; the versions of
        all distributions.
    @raise subprocess.CalledProcessError: when it does not run.
    """
    done = subprocess.run(
        [python, "-c", _PROBE, *sorted(modules)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    missing, versions = json.loads(done.stdout.strip().splitlines()[-1])
    return missing, versions


def raise_descriptor_limit() -> int:
    """
    Raise the soft limit of open descriptors to the hard one; servers inherit it.

    @return: the limit that holds now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _found(pattern: str, path: str) -> str:
    """
    What the pattern's group is in a file, or nothing.
    """
    try:
        found = re.search(pattern, Path(path).read_text("utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return found[1].strip() if found else ""


def busy_seconds(core: int | None) -> float | None:
    """
    CPU time that was used on a core by everything, since the machine started.

    @return: C{None} when it is not known.
    """
    # user nice system idle iowait irq softirq steal ...
    ticks = [*map(int, _found(rf"^cpu{core} (.*)", "/proc/stat").split())]
    return sum(ticks[:3] + ticks[5:8]) / os.sysconf("SC_CLK_TCK") if ticks else None


def _said(*command: str) -> str:
    """
    What a command prints, or nothing.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()


def describe_machine() -> dict[str, object]:
    """
    What a reader has to know about where and when this was measured.
    """
    processor = _found("^model name.*?:(.*)", "/proc/cpuinfo")
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": processor or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "revision": _said("git", "describe", "--always", "--dirty") or "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        # It says its version together with its usage, and fails.
        "wrk": _said("wrk", "-v").partition("[")[0].strip() or "not installed",
        "load": list(os.getloadavg()),
    }
