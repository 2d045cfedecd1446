"""
C{python -m twisted_h11 URL}: fetch one URL.

It shows the client off, and it is handy for testing.  Its options and its exit
codes are curl's, as far as they go; it is not curl.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import Any, TextIO
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.python.failure import Failure
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.error import SchemeNotSupported

from twisted_h11 import __version__
from twisted_h11._fetch_output import OutputFailed, Progress, Sink, open_output
from twisted_h11.client import (
    Agent,
    CertificateError,
    ClientSettings,
    MalformedResponse,
    Proxies,
    Proxy,
    ProxyError,
    ProxyRefused,
    ResponseTooLarge,
    TLSFailed,
    TLSPolicy,
    TraceEvent,
    UnexpectedEnd,
    UNIXEndpointFactory,
)

__all__ = ["exit_code", "fetch", "main", "parse"]

_ESCAPED = re.compile(rb"[^\x21-\x7e]")


class BadUsage(Exception):
    """
    The command line makes no sense.
    """

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


class Failed(Exception):
    """
    The response is not what was asked for.
    """

    def __init__(self, text: str, code: int) -> None:
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
        dest="resume",
        action="store_true",
        help="go on where an earlier download to FILE ended",
    )
    add("-i", "--include", action="store_true", help="write the response head as well")
    add("-f", "--fail", action="store_true", help="fail on status 400 and above")
    add("-m", "--max-time", metavar="SECONDS", type=float, help="time for everything")
    add("-x", "--proxy", metavar="URL", help="the proxy; otherwise the environment's")
    add("--cacert", metavar="FILE", help="trust these certificates only")
    add("--unix-socket", metavar="PATH", help="connect to a UNIX socket")
    add("-s", "--silent", action="store_true", help="no progress bar, no error message")
    add("-v", "--verbose", action="store_true", help="tell all events and their times")
    add("-V", "--version", action="version", version=f"twisted-h11 {__version__}")
    return parser


def parse(arguments: list[str]) -> argparse.Namespace:
    """
    Parse the command line.

    @raise BadUsage: for what argparse does not refuse itself.
    """
    options = make_parser().parse_args(arguments)
    if options.resume and options.output in (None, "-"):
        raise BadUsage("--continue needs --output FILE")
    fields = []
    for text in options.header:
        name, colon, value = text.partition(":")
        if not colon:
            raise BadUsage(f"A header is written as NAME:VALUE, not {text!r}")
        fields.append((name.encode("latin-1"), value.strip().encode("utf-8")))
    options.fields = fields
    options.body = None
    if options.data is not None:
        options.body = options.data.encode("utf-8")
        if options.data.startswith("@"):
            try:
                with open(options.data[1:], "rb") as file:
                    options.body = file.read()
            except OSError as error:
                raise BadUsage(
                    f"Can not read {options.data[1:]}: {error.strerror}", 26
                ) from None
    options.method = options.request or ("GET" if options.body is None else "POST")
    options.uri = make_uri(options.url)
    return options


def make_uri(url: str) -> bytes:
    """
    A URL as a person writes it, as a URI: the scheme may be missing, the name
    may be international, spaces and letters are escaped.

    @raise BadUsage: if that can not be done.
    """
    if "://" not in url:
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
        quote(scheme).encode("ascii"),
        host,
        _ESCAPED.sub(lambda m: b"%%%02X" % m[0][0], rest.encode("utf-8")),
    )


def make_agent(reactor: Any, options: argparse.Namespace, trace: Any) -> Agent:
    """
    The agent that the options describe.
    """
    settings = ClientSettings(totalTimeout=options.max_time)
    if options.unix_socket is not None:
        return Agent.usingEndpointFactory(
            reactor,
            UNIXEndpointFactory(reactor, options.unix_socket),
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
    if options.cacert is not None:
        try:
            with open(options.cacert, "rb") as file:
                policy = TLSPolicy.trusting(file.read())
        except OSError as error:
            raise BadUsage(
                f"Can not read {options.cacert}: {error.strerror}", 77
            ) from None
        except Exception:
            raise BadUsage(f"No certificate in {options.cacert}", 77) from None
    return Agent(reactor, policy, settings=settings, proxies=proxies, trace=trace)


class Talk:
    """
    What C{-v} says.
    """

    def __init__(self, stream: TextIO, started: float) -> None:
        self._stream = stream
        self._started = started

    def __call__(self, event: TraceEvent) -> None:
        line = f"* {(event.time - self._started) * 1000:8.1f} ms  {event.name}"
        if event.name == "connected":
            line += f" to {event.connection.peer}"
        if event.failure is not None:
            line += f": {event.failure.value}"
        self._stream.write(line + "\n")
        if event.name == "connected":
            self.head(">", event.request.head)

    def head(self, mark: str, head: bytes) -> None:
        """
        The lines of a head.
        """
        for text in head.decode("latin-1").split("\r\n")[:-1]:
            self._stream.write(f"{mark} {text}\n")


def head_of(response: Any) -> bytes:
    """
    The head of a response, as it may have been sent.
    """
    lines = [b"HTTP/1.%d %d %b" % (response.version[2], response.code, response.phrase)]
    lines.extend(b"%b: %b" % field for field in response.rawFields)
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def fetch(
    reactor: Any, options: argparse.Namespace, stdout: Any, stderr: TextIO
) -> None:
    """
    Fetch, and write.
    """
    talk = Talk(stderr, reactor.seconds()) if options.verbose else None
    agent = make_agent(reactor, options, talk)
    fields = list(options.fields)
    names = {name.lower() for name, _ in fields}
    if b"user-agent" not in names:
        fields.append((b"User-Agent", f"twisted-h11/{__version__}".encode()))
    if b"accept" not in names:
        fields.append((b"Accept", b"*/*"))
    begin = 0
    if options.resume and os.path.exists(options.output):
        begin = os.path.getsize(options.output)
        if begin:
            fields.append((b"Range", b"bytes=%d-" % (begin,)))
    response = await agent.request(
        options.method.encode("utf-8"), options.uri, fields, options.body
    )
    if talk is not None:
        for interim in response.interimResponses:
            stderr.write(f"< {interim.code} {interim.phrase.decode('latin-1')}\n")
        talk.head("<", head_of(response))
    if begin:
        begin = resumed(response, begin)
        if begin < 0:
            response.abort()
            return
    if options.fail and response.code >= 400:
        response.abort()
        raise Failed(f"The server answered {response.code}", 22)
    await save(reactor, options, response, begin, stdout, stderr)
    if talk is not None:
        for name, values in response.trailers.getAllRawHeaders():
            for value in values:
                text = b"< %b: %b (trailer)\n" % (name, value)
                stderr.write(text.decode("latin-1"))


def resumed(response: Any, begin: int) -> int:
    """
    From where the body is, after a request for all from C{begin} on; -1 if
    there is nothing more.
    """
    ranges = response.headers.getRawHeaders(b"content-range", [b""])[0]
    if response.code == 206:
        if not ranges.startswith(b"bytes %d-" % (begin,)):
            response.abort()
            raise Failed(f"The server sent another range: {ranges.decode()}", 33)
        return begin
    if response.code == 416:
        if ranges.replace(b" ", b"") == b"bytes*/%d" % (begin,):
            return -1
        response.abort()
        raise Failed("The server has less than what is here already", 33)
    return 0


async def save(
    reactor: Any,
    options: argparse.Namespace,
    response: Any,
    begin: int,
    stdout: Any,
    stderr: TextIO,
) -> None:
    """
    Write the body.
    """
    file = open_output(options.output, begin > 0, stdout)
    progress = None
    toFile = options.output not in (None, "-")
    if toFile and not (options.silent or options.verbose) and stderr.isatty():
        total = None
        if isinstance(response.length, int):
            total = begin + response.length
        progress = Progress(stderr, reactor.seconds, begin, total)
    try:
        sink = Sink(file, begin, progress)
        if options.include:
            file.write(head_of(response))
        response.deliverBody(sink)
        await sink.done
    finally:
        if toFile:
            file.close()


def exit_code(error: BaseException) -> int:
    """
    What curl would return.
    """
    if isinstance(error, (BadUsage, Failed)):
        return error.code
    if isinstance(error, OutputFailed):
        return 23
    if isinstance(error, SchemeNotSupported):
        return 1
    if isinstance(error, TwistedTimeoutError):
        return 28
    if isinstance(error, TLSFailed):
        return 60 if error.reasons[0].check(CertificateError) else 35
    if isinstance(error, DNSLookupError):
        return 5 if isinstance(error, ProxyError) else 6
    if isinstance(error, ProxyRefused):
        return 56
    if isinstance(error, ProxyError) and isinstance(
        error, (ResponseFailed, ResponseNeverReceived, RequestTransmissionFailed)
    ):
        return 56
    if isinstance(error, ConnectError):
        return 7
    if isinstance(error, RequestGenerationFailed):
        return 43
    if isinstance(error, RequestTransmissionFailed):
        return 55
    if isinstance(error, ResponseNeverReceived):
        return 52
    if isinstance(error, ResponseFailed):
        reason: Any = error.reasons[0]
        for kind, code in (
            (MalformedResponse, 8),
            (ResponseTooLarge, 63),
            (UnexpectedEnd, 18),
            ((ConnectionDone, ConnectionLost), 56),
        ):
            if isinstance(reason.value, kind):
                return code
        return 56
    if isinstance(error, ValueError):
        return 3
    return 56


def main(
    arguments: list[str],
    reactor: Any = None,
    stdout: Any = None,
    stderr: TextIO | None = None,
) -> int:
    """
    Run the command.

    @return: the exit code.
    """
    stdout = stdout or sys.stdout
    errors: TextIO = stderr or sys.stderr
    silent = False
    try:
        options = parse(arguments)
        silent = options.silent
    except BadUsage as error:
        errors.write(f"twisted_h11: {error}\n")
        return error.code
    if reactor is None:
        from twisted.internet import reactor
    result: list[int] = []

    def done(code: int) -> None:
        result.append(code)
        if reactor.running:
            reactor.stop()

    def failed(failure: Failure) -> None:
        error: Any = failure.value
        text = " ".join(str(error).split()) or type(error).__name__
        if not silent:
            errors.write(f"twisted_h11: {text}\n")
        done(exit_code(error))

    def begin() -> None:
        fetching = Deferred.fromCoroutine(fetch(reactor, options, stdout, errors))
        fetching.addCallbacks(lambda _: done(0), failed)

    reactor.callWhenRunning(begin)
    reactor.run()
    return result[0] if result else 130
