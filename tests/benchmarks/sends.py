"""
How many system calls send a response: what strace sees of a server.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack

from tests.benchmarks.cases import Case
from tests.benchmarks.servers import Server

__all__ = ["sends"]

# Connections, and requests on each.
_CONNECTIONS, _REQUESTS = 8, 10

# Seconds for an answer; a server may not go on while it is watched.
_PATIENCE = 5.0

_CALLS = "write,writev,sendto,sendmsg,sendmmsg,sendfile"


def sends(server: Server, case: Case) -> float | None:
    """
    Ask for the same several times, on several connections at once.

    @return: how many calls sent something to us, for each response; C{None} where
        that can not be seen.
    """
    if shutil.which("strace") is None:
        return None
    keep = "keep-alive" in server.peer.can and not case.closes
    message = case.message(server.host)
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
            asked = 0
            for _ in range(1 if keep else _REQUESTS):
                with ExitStack() as each:
                    held = [
                        each.enter_context(contextlib.closing(server.connect()))
                        # A server that closes may read one connection at a time.
                        for _ in range(_CONNECTIONS if keep else 1)
                    ]
                    for connection in held:
                        connection.socket.settimeout(_PATIENCE)
                    for _ in range(_REQUESTS if keep else 1):
                        for connection in held:
                            connection.send(message.several(asked, case.depth))
                            asked += case.depth
                        for connection in held:
                            for _ in range(case.depth):
                                connection.answer()
        except OSError:
            return None
        finally:
            tracer.send_signal(signal.SIGINT)
            stack.callback(tracer.communicate)
            tracer.wait(10)
        with open(path, encoding="utf-8", errors="replace") as lines:
            ours = re.compile(
                rf"(?:{_CALLS.replace(',', '|')})\(\d+<TCP:\[[^>]*:{server.port}->"
            )
            found = sum(
                1 for line in lines if ours.search(line) and " = -1 " not in line
            )
    return found / asked
