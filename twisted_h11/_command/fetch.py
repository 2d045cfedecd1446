"""
C{python -m twisted_h11 URL}: fetch one URL.

It shows the client off, and it is handy for testing.  Its options and its exit
codes are curl's, as far as they go; it is not curl.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import Any
from urllib.parse import quote

from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.error import SchemeNotSupported

from twisted_h11 import __version__
from twisted_h11._command.fetch_output import (
    Appended,
    Messages,
    NewFile,
    Output,
    OutputFailed,
    Progress,
    Replacement,
    Sink,
)
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

__all__ = ["BadUsage", "exit_code", "fetch", "parse"]

_RANGE = re.compile(r"bytes[ =]([0-9]{1,18})-([0-9]{1,18})/(?:([0-9]{1,18})|\*)")
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
        "--continue-at",
        dest="resume",
        action="store_true",
        help="go on where an earlier download to FILE ended; a - behind it, as curl "
        "has it, is skipped",
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
    options = make_parser().parse_args(_without_dash(arguments))
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
            try:
                with open(options.data[1:], "rb") as file:
                    options.body = file.read()
            except (OSError, ValueError) as error:
                text = getattr(error, "strerror", None) or str(error)
                raise BadUsage(f"Can not read {options.data[1:]}: {text}", 26) from None
    options.method = options.request or ("GET" if options.body is None else "POST")
    if options.resume:
        if options.output in (None, "-"):
            raise BadUsage("--continue needs --output FILE")
        if options.include:
            raise BadUsage("--continue and --include can not be used together")
        if options.method != "GET":
            raise BadUsage("--continue can only be used with GET")
    options.uri = make_uri(options.url)
    return options


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
        quote(os.fsencode(scheme)).encode("ascii"),
        host,
        _ESCAPED.sub(lambda m: b"%%%02X" % m[0][0], os.fsencode(rest)),
    )


def make_agent(reactor: Any, options: argparse.Namespace, trace: Any) -> Agent:
    """
    The agent that the options describe.
    """
    settings = ClientSettings(totalTimeout=options.max_time)
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

    def __init__(self, stream: Messages, started: float) -> None:
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
    reactor: Any, options: argparse.Namespace, stdout: Output, stderr: Messages
) -> None:
    """
    Fetch, and write.

    @param stdout: where the body goes, if not to a file.
    """
    talk = Talk(stderr, reactor.seconds()) if options.verbose else None
    agent = make_agent(reactor, options, talk)
    fields = list(options.fields)
    names = {name.lower() for name, _ in fields}
    if b"user-agent" not in names:
        fields.append((b"User-Agent", f"twisted-h11/{__version__}".encode()))
    if b"accept" not in names:
        fields.append((b"Accept", b"*/*"))
    begin = here(options)
    if begin:
        fields.append((b"Range", b"bytes=%d-" % (begin,)))
    response = await agent.request(
        os.fsencode(options.method), options.uri, fields, options.body
    )
    if talk is not None:
        for interim in response.interimResponses:
            stderr.write(f"< {interim.code} {interim.phrase.decode('latin-1')}\n")
        talk.head("<", head_of(response))
    try:
        if (
            options.fail
            and response.code >= 400
            and (not begin or response.code != 416)
        ):
            raise Failed(f"The server answered {response.code}", 22)
        if begin and is_complete(response, begin):
            return
        await save(reactor, options, response, begin, stdout, stderr)
    finally:
        response.abort()
    if talk is not None:
        for name, values in response.trailers.getAllRawHeaders():
            for value in values:
                text = b"< %b: %b (trailer)\n" % (name, value)
                stderr.write(text.decode("latin-1"))


def here(options: argparse.Namespace) -> int:
    """
    How much of the body is here already.
    """
    if options.resume and os.path.isfile(options.output):
        return os.path.getsize(options.output)
    return 0


def is_complete(response: Any, begin: int) -> bool:
    """
    Whether there is nothing more, after a request for all from C{begin} on.
    """
    if response.code != 416:
        return False
    ranges: str = response.headers.getRawHeaders("content-range", [""])[0]
    if ranges.replace(" ", "") == f"bytes*/{begin}":
        return True
    raise Failed("The server has less than what is here already", 33)


def open_output(
    options: argparse.Namespace, response: Any, begin: int, stdout: Output
) -> tuple[Output, int | None]:
    """
    Find out where the body goes.

    @return: that, and how long it will be with what is there.
    """
    total = response.length if isinstance(response.length, int) else None
    if options.output in (None, "-"):
        return stdout, total
    if not begin:
        return NewFile(options.output), total
    if response.code == 200:
        # The server has no ranges.
        return Replacement(options.output), total
    if response.code != 206:
        raise Failed(
            f"The server answered {response.code}, not with the rest; "
            "what is here was kept",
            33,
        )
    ranges: str = response.headers.getRawHeaders("content-range", [""])[0]
    match = _RANGE.fullmatch(ranges.strip().lower())
    if match is None or int(match[1]) != begin:
        raise Failed(
            f"The server sent another range: {ranges!r}; what is here was kept", 33
        )
    end = int(match[2]) + 1
    if total is not None and begin + total != end:
        raise Failed(f"The range {ranges!r} is not as long as its body", 33)
    return Appended(options.output, begin), int(match[3]) if match[3] else end


async def save(
    reactor: Any,
    options: argparse.Namespace,
    response: Any,
    begin: int,
    stdout: Output,
    stderr: Messages,
) -> None:
    """
    Write the body.
    """
    output, total = open_output(options, response, begin, stdout)
    progress = None
    toFile = output is not stdout
    if toFile and not (options.silent or options.verbose) and stderr.isatty():
        progress = Progress(stderr, reactor.seconds, output.length, total)
    try:
        if options.include:
            output.write(head_of(response))
        sink = Sink(output, progress)
        response.deliverBody(sink)
        certain = await sink.done
        if isinstance(output, Appended) and total not in (None, output.length):
            raise Failed(
                f"The server sent less than the rest: {output.length} of {total} "
                "bytes are here",
                18,
            )
        if isinstance(output, Replacement) and not certain and output.length < begin:
            raise Failed("The body may have been cut; what is here was kept", 18)
        output.complete()
    finally:
        output.end()


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
