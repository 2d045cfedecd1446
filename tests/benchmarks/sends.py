"""
How many system calls send a response: what strace sees of a server.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from tests.benchmarks.cases import Case
from tests.benchmarks.servers import Server, ask, keeps

__all__ = ["sends"]

# Connections, and requests on each.
_CONNECTIONS, _REQUESTS = 8, 10

# Seconds for an answer; a server may not go on while it is watched.
_PATIENCE = 5.0

_CALLS = "write,writev,sendto,sendmsg,sendmmsg,sendfile"


def _ask_several(server: Server, case: Case) -> int:
    """
    Ask for the same several times, on several connections at once.

    @return: how often.
    """
    # A server that closes may read one connection at a time.
    connections, times = (_CONNECTIONS, _REQUESTS) if keeps(server, case) else (1, 1)
    asked = 0
    while asked < _REQUESTS * case.depth:
        with ExitStack() as each:
            held = [
                each.enter_context(closing(server.connect()))
                for _ in range(connections)
            ]
            for connection in held:
                connection.socket.settimeout(_PATIENCE)
            for _ in range(times):
                ask(server, case, held, asked)
                asked += connections * case.depth
    return asked


def sends(server: Server, case: Case) -> float | None:
    """
    @return: how many calls sent something to us, for each response; C{None} where
        that can not be seen.
    """
    if shutil.which("strace") is None:
        return None
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = os.path.join(folder, "calls")
        command = ["strace", "-f", "-yy", "-e", f"trace={_CALLS}", "-s", "0"]
        command += ["-o", path, *(f"--attach={one}" for one in server.processes())]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert tracer.stderr is not None
            if "attached" not in tracer.stderr.readline():
                return None
            time.sleep(0.2)
            asked = _ask_several(server, case)
        except OSError:
            return None
        finally:
            tracer.send_signal(signal.SIGINT)
            stack.callback(tracer.communicate)
            tracer.wait(10)
        calls = _CALLS.replace(",", "|")
        ours = rf"(?m)^.*(?:{calls})\(\d+<TCP:\[[^>]*:{server.port}->.*$"
        found = re.findall(ours, Path(path).read_text("utf-8", "replace"))
    return sum(" = -1 " not in line for line in found) / asked
