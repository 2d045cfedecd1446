"""
The command line of C{python -m twisted_h11 URL}.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import Any
from urllib.parse import quote

from twisted_h11 import __version__
from twisted_h11._boundary.explain import reason
from twisted_h11._boundary.opening import read_input
from twisted_h11.client import (
    Agent,
    ClientSettings,
    Proxies,
    Proxy,
    TLSPolicy,
    UNIXEndpointFactory,
)

__all__ = ["BadUsage", "make_agent", "make_parser", "make_uri", "parse"]

_ESCAPED = re.compile(rb"[^\x21-\x7e]")

# A URL that has a scheme; another URL may be in the query of one that has none.
_SCHEME = re.compile(r"[^/?#]*://")


class BadUsage(Exception):
    """
    The command line is invalid.

    @ivar silent: whether no message is wanted.
    """

    silent = False

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


def make_parser() -> argparse.ArgumentParser:
    """
    The options.
    """
    parser = argparse.ArgumentParser(
        prog="python -m twisted_h11",
        description="Fetch a URL.",
        epilog="Exit codes are those of curl.",
    )
    add = parser.add_argument
    add("url", metavar="URL")
    add("-X", "--request", metavar="METHOD", help="the method")
    add(
        "-H",
        "--header",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        help="send this field; may be repeated",
    )
    add("-d", "--data", metavar="DATA", help="send a body; with @FILE a file's content")
    add("-o", "--output", metavar="FILE", help="write the body to a file")
    add(
        "-C",
        "--continue",
        "--continue-at",
        dest="resume",
        action="store_true",
        help="resume an earlier download to FILE; a - after it, as in curl, is ignored",
    )
    add("-i", "--include", action="store_true", help="write the response head as well")
    add("-f", "--fail", action="store_true", help="fail on status 400 and above")
    add(
        "-m",
        "--max-time",
        metavar="SECONDS",
        type=float,
        help="total time; 0: no limit",
    )
    add("-x", "--proxy", metavar="URL", help="the proxy; default: the environment's")
    add("--cacert", metavar="FILE", help="trust these certificates only")
    add("--unix-socket", metavar="PATH", help="connect to a UNIX socket")
    add("-s", "--silent", action="store_true", help="no progress bar, no error message")
    add("-v", "--verbose", action="store_true", help="show all events and their times")
    add("-V", "--version", action="version", version=f"twisted-h11 {__version__}")
    return parser


def parse(arguments: list[str]) -> argparse.Namespace:
    """
    Parse the command line.

    @raise BadUsage: for errors that argparse does not find.
    """
    options = make_parser().parse_args(_without_dash(arguments))
    try:
        _settle(options)
    except BadUsage as error:
        error.silent = options.silent
        raise
    return options


def _settle(options: argparse.Namespace) -> None:
    if options.max_time is not None and not options.max_time >= 0:
        raise BadUsage(f"--max-time is a number of seconds, not {options.max_time:g}")
    fields = []
    for text in options.header:
        name, colon, value = text.partition(":")
        if not colon:
            raise BadUsage(f"A header is written as NAME:VALUE, not {text!r}")
        fields.append((os.fsencode(name), os.fsencode(value.strip())))
    options.fields = fields
    options.body = None
    if options.data is not None:
        options.body = os.fsencode(options.data)
        if options.data.startswith("@"):
            options.body = _read(options.data[1:], 26)
    options.method = options.request or ("GET" if options.body is None else "POST")
    if options.resume:
        if options.output in (None, "-"):
            raise BadUsage("--continue needs --output FILE")
        if options.include:
            raise BadUsage("--continue and --include can not be used together")
        if options.method != "GET":
            raise BadUsage("--continue can only be used with GET")
    options.uri = make_uri(options.url)
    options.authorities = None
    if options.cacert is not None:
        options.authorities = _read(options.cacert, 77)


def _read(path: str, code: int) -> bytes:
    """
    Read a file before the reactor runs: until then, SIGINT ends the wait for the writer
    of a pipe.

    @param code: the exit code if it can not be read.
    """
    try:
        return read_input(path)
    except (OSError, ValueError) as error:
        raise BadUsage(f"Can not read {path}: {reason(error)}", code) from None


def _without_dash(arguments: list[str]) -> list[str]:
    """
    The arguments, without the C{-} that curl wants behind C{-C}.
    """
    flags = ("-C", "--continue", "--continue-at")
    return [
        text
        for before, text in zip(["", *arguments], arguments, strict=False)
        if not (text == "-" and before in flags)
    ]


def make_uri(url: str) -> bytes:
    """
    Convert a URL as a user types it to a URI: the scheme may be missing, the host may
    be an international name, and spaces and other characters are escaped.

    @raise BadUsage: for an invalid host name.
    """
    if not _SCHEME.match(url):
        url = "http://" + url
    scheme, _, rest = url.partition("://")
    end = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    authority, rest = rest[:end], rest[end:]
    try:
        host = authority.encode("ascii")
    except UnicodeEncodeError:
        import idna

        name, colon, port = authority.partition(":")
        try:
            host = idna.encode(name, uts46=True) + (colon + port).encode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise BadUsage(f"Not a host name: {authority}", 3) from None
    return b"%b://%b%b" % (
        quote(os.fsencode(scheme)).encode("ascii"),
        host,
        _ESCAPED.sub(lambda m: b"%%%02X" % m[0][0], os.fsencode(rest)),
    )


def make_agent(reactor: Any, options: argparse.Namespace, trace: Any) -> Agent:
    """
    The agent that the options describe.
    """
    settings = ClientSettings(totalTimeout=options.max_time or None)
    if options.unix_socket is not None:
        try:
            factory = UNIXEndpointFactory(reactor, options.unix_socket)
        except ValueError as error:
            raise BadUsage(str(error), 7) from None
        return Agent.usingEndpointFactory(
            reactor,
            factory,
            settings=settings,
            trace=trace,
        )
    try:
        if options.proxy is not None:
            proxy = Proxy.fromURL(options.proxy)
            proxies = Proxies(proxy, proxy)
        else:
            proxies = Proxies.fromEnvironment()
    except ValueError as error:
        raise BadUsage(str(error), 5) from None
    policy = None
    if options.authorities is not None:
        try:
            policy = TLSPolicy.trusting(options.authorities)
        except Exception:
            raise BadUsage(f"No certificate in {options.cacert}", 77) from None
    return Agent(reactor, policy, settings=settings, proxies=proxies, trace=trace)
