"""
The machine: cores, tools, and what is to be written beside every figure.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
from datetime import datetime, timezone

__all__ = [
    "busy_seconds",
    "cores",
    "describe_machine",
    "pinned",
    "probe",
    "raise_descriptor_limit",
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


def cores() -> tuple[int, int] | None:
    """
    The core for the server and the core for the load, or C{None} when there
    are not two.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else None


def pinned(command: list[str], core: int | None) -> list[str]:
    """
    The command, bound to a core where that is possible.
    """
    if core is None or shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", str(core), *command]


def probe(
    python: str, modules: list[str], environment: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """
    Ask another Python what it has.

    @param python: path of the interpreter.
    @param modules: names that are to be imported.
    @return: the modules that can not be imported, with the reason; the
        versions of all distributions.
    @raise subprocess.CalledProcessError: when it does not run.
    """
    done = subprocess.run(
        [python, "-c", _PROBE, *modules],
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


def busy_seconds(core: int | None) -> float | None:
    """
    CPU time that was used on a core by everything, since the machine started.

    @return: C{None} when it is not known.
    """
    try:
        with open("/proc/stat", encoding="ascii") as lines:
            for line in lines:
                name, *ticks = line.split()
                if name == f"cpu{core}":
                    # user nice system idle iowait irq softirq steal ...
                    used = sum(map(int, ticks[:3] + ticks[5:8]))
                    return used / os.sysconf("SC_CLK_TCK")
    except OSError:
        pass
    return None


def _processor() -> str:
    """
    What the processor is called.
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _revision() -> str:
    """
    Which revision of this project is measured, and whether it was changed.
    """
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=os.path.dirname(os.path.abspath(__file__)),
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def describe_machine() -> dict[str, object]:
    """
    What a reader has to know about where and when this was measured.
    """
    wrk = shutil.which("wrk")
    version = "not installed"
    if wrk is not None:
        # wrk says its version together with its usage, and fails.
        done = subprocess.run([wrk, "-v"], capture_output=True, text=True, check=False)
        version = (done.stdout + done.stderr).partition("[")[0].strip()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "revision": _revision(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "wrk": version,
        "load": list(os.getloadavg()),
    }
