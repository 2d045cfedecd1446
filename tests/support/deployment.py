"""
The files of docs/examples/deployment, with a test's own ports and folders in them.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
from pathlib import Path

from tests.support.ports import free_port

__all__ = ["DEPLOYMENT", "SHOP", "example", "unit", "unit_command", "with_"]

DEPLOYMENT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "deployment"

SHOP = '''
import os
import threading
import time

waiting = threading.Event()


def app(environ, start_response):
    """
    Say who answers, who asks, and for what.
    """
    path = environ["PATH_INFO"]
    if path == "/events":
        # The second piece comes when somebody asks for it.
        start_response("200 OK", [("X-Accel-Buffering", "no")])
        return (one() for one in (lambda: b"first", lambda: waiting.wait() and b"last"))
    if path == "/go-on":
        waiting.set()
    if path.startswith("/slow"):
        time.sleep(float(path.partition("=")[2]))
    if path.startswith("/uploads/"):
        body = environ["wsgi.input"].read(5)
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    length = len(environ["wsgi.input"].read())
    body = " ".join(
        (
            str(os.getpid()),
            environ["REMOTE_ADDR"],
            environ["wsgi.url_scheme"],
            environ["HTTP_HOST"],
            path,
            str(length),
        )
    ).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
'''
"""
An application that goes with them.
"""


def with_(text: str, *replacements: tuple[str, str]) -> str:
    """
    Replace what has to be another thing on this machine.

    @raise AssertionError: if it is not there: then the test would no longer say
        anything about the file.
    """
    for old, new in replacements:
        assert old in text, f"{old!r} is not in {text!r}"
        text = text.replace(old, new)
    return text


def example(name: str, *replacements: tuple[str, str]) -> str:
    """
    One of the files.
    """
    return with_((DEPLOYMENT / name).read_text("utf-8"), *replacements)


class _Unit(configparser.RawConfigParser):
    # Names are case-sensitive, and "=" is all that stands between name and value.
    def __init__(self) -> None:
        super().__init__(delimiters=("=",), strict=False, interpolation=None)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit(name: str) -> configparser.RawConfigParser:
    """
    A unit of systemd; of a name that is there twice the last.
    """
    parsed = _Unit()
    parsed.read_string(re.sub(r"\\\n\s*", " ", example(name)))
    return parsed


def unit_command(folder: str, twistd: list[str]) -> list[str]:
    """
    What C{h11web.service} runs, with the application of this module in a folder.

    @param folder: where it runs: the application and the settings are written
        there, and a folder for logs and one for the pid file made.
    @param twistd: what to run in place of the command twistd.
    """
    for name in ("run", "log"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    Path(folder, "shop.py").write_text(SHOP)
    Path(folder, "h11web.toml").write_text(
        example(
            "h11web.toml",
            ("/var/log/h11web", f"{folder}/log"),
            ("tcp:9000", f"tcp:{free_port()}"),
        )
    )
    text = with_(
        unit("h11web.service")["Service"]["ExecStart"],
        ("/run/h11web", f"{folder}/run"),
        ("/var/log/h11web", f"{folder}/log"),
    )
    first, *rest = shlex.split(text)
    assert os.path.basename(first) == "twistd", first
    return [*twistd, *rest]
