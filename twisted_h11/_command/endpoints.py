"""
Endpoint descriptions of the command line: making and parsing them, and one-line
messages for errors in them.

With L{twisted.internet.endpoints.serverFromString} the exception depends on the kind of
endpoint, and often on the line that happens to fail.  Here it is always a L{ValueError}
with a message for the user who typed the description.
"""

from __future__ import annotations

import os
import re
from typing import Any

from twisted.internet import endpoints
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IStreamServerEndpoint

from twisted_h11._boundary.explain import explain
from twisted_h11._command.pem import check_directory, check_files

__all__ = [
    "describe_port",
    "endpoint_kind",
    "explain",
    "has_tls",
    "is_handed_over",
    "is_plain",
    "is_unix",
    "parse_endpoint",
    "tcp_description",
]

_BACKLOG = 2048
"""
Gunicorn's and uvicorn's; the kernel has a bound of its own (C{net.core.somaxconn}).
"""

_BACKLOG_PLACES = {"tcp": 3, "tcp6": 2, "unix": 3, "ssl": 6}
"""
Which argument of an endpoint is its backlog, if the arguments have no names.
"""


def parse_endpoint(
    reactor: Any, description: str, directory: str | None = None
) -> IStreamServerEndpoint:
    """
    Make an endpoint, with its certificates loaded.

    @param directory: where the relative path of a UNIX socket begins, if the working
        directory will be another one when the endpoint listens.
    @raise ValueError: for any error in the description.
    """
    try:
        _check_certificates(description)
        endpoint: IStreamServerEndpoint = endpoints.serverFromString(
            reactor, _from_directory(_with_backlog(description), directory)
        )
    except Exception as error:
        if ":" not in description:
            problem = "not an endpoint description such as tcp:8080"
        else:
            problem = _explain_parser(error, description)
        raise ValueError(problem) from None
    return endpoint


def tcp_description(
    port: str, interface: str | None, option: str = "port"
) -> tuple[str, str]:
    """
    The endpoint for a port number, on one interface or on all.

    @param option: the name of the option that has the number.
    @return: a name for messages, and the endpoint description.

    @raise ValueError: for a number that is too large, or an interface that is
        not an IP address.
    """
    digits = port.lstrip("0") or "0"
    # int() raises for more than 4300 digits.
    if len(digits) > 5 or int(digits) > 65535:
        raise ValueError(f"--{option} {port}: a port number is at most 65535")
    number = int(digits)
    if interface is None:
        return f"port {number}", f"tcp:{number}"
    address = interface
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if isIPv6Address(address):
        kind = "tcp6"
    elif isIPAddress(address):
        kind = "tcp"
    else:
        raise ValueError(f"--interface {interface}: not an IP address")
    quoted = endpoints.quoteStringArgument(address)
    return f"port {number} of {address}", f"{kind}:{number}:interface={quoted}"


def describe_port(description: str, host: object) -> str:
    """
    The address of a listening port, as a URL if possible.

    @param description: the endpoint description, or another name.
    @param host: the address that the port is bound to.
    """
    if isinstance(host, UNIXAddress):
        return f"unix:{os.fsdecode(host.name)}" if host.name else "unix:"
    if not isinstance(host, (IPv4Address, IPv6Address)):
        return description
    scheme = "https" if has_tls(description) else "http"
    name = f"[{host.host}]" if isinstance(host, IPv6Address) else host.host
    return f"{scheme}://{name}:{host.port}/"


def has_tls(description: str) -> bool:
    """
    Whether an endpoint listens with TLS.

    @param description: the endpoint description, or another name.
    """
    kind = _arguments(description)[0]
    return kind in ("ssl", "tls") or kind.startswith("https ")


def _arguments(description: str) -> list[str]:
    """
    The kind of an endpoint and its arguments, without a wrapper for PROXY.
    """
    parts = re.split(r"(?<!\\):", description)
    if parts[0] == "haproxy" and len(parts) > 1:
        del parts[0]
    return [re.sub(r"\\(.)", r"\1", part) for part in parts]


def endpoint_kind(description: str) -> str:
    """
    The kind of an endpoint, such as C{tcp} or C{haproxy}.
    """
    return description.partition(":")[0]


def is_handed_over(description: str) -> bool:
    """
    Whether the socket of an endpoint was opened by another process.
    """
    return _arguments(description)[0] == "systemd"


def is_unix(description: str) -> bool:
    """
    Whether an endpoint opens a UNIX socket.
    """
    return _arguments(description)[0] == "unix"


def _check_certificates(description: str) -> None:
    """
    Check that the certificates and keys of an endpoint can be loaded.

    @raise ValueError: if not.
    """
    kind, *arguments = _arguments(description)
    if kind == "tls" and arguments:
        check_directory(arguments[0].removeprefix("path="))
    elif kind == "ssl":
        try:
            check_files(arguments)
        except (ValueError, OSError) as error:
            raise ValueError(
                f"can not load the certificate or key: {explain(error)}"
            ) from None


def _with_backlog(description: str) -> str:
    """
    Add a longer backlog to a description, unless it has one.

    Twisted's is 50.  More connections than that can come in one turn of the reactor.
    Then Linux refuses those of a UNIX socket, with EAGAIN, and a proxy has nothing to
    answer its client but 502; those of TCP wait for a second, until they are tried
    again.
    """
    kind, *arguments = _arguments(description)
    named = any(argument.startswith("backlog=") for argument in arguments)
    positions = sum("=" not in argument for argument in arguments)
    if (
        named
        or not 0 < positions < _BACKLOG_PLACES.get(kind, 0)
        or description.endswith("\\")
    ):
        return description
    return f"{description}:backlog={_BACKLOG}"


def _from_directory(description: str, directory: str | None) -> str:
    """
    Make the path of a UNIX socket absolute.

    @param directory: the directory to which it is relative; C{None} to leave it.
    """
    parts = re.split(r"(?<!\\):", description)
    kind = 1 if parts[0] == "haproxy" else 0
    if directory is None or parts[kind : kind + 1] != ["unix"]:
        return description
    for place in range(kind + 1, len(parts)):
        part = parts[place]
        if part.startswith("address="):
            name, quoted = "address=", part.removeprefix("address=")
        elif place == kind + 1 and not re.search(r"(?<!\\)=", part):
            name, quoted = "", part
        else:
            continue
        path = os.path.join(directory, re.sub(r"\\(.)", r"\1", quoted))
        parts[place] = name + endpoints.quoteStringArgument(path)
    return ":".join(parts)


def is_plain(description: str) -> bool:
    """
    Whether an endpoint is one of Twisted's, without TLS.

    @param description: its description, or the name from L{tcp_description}.
    """
    kind = _arguments(description)[0]
    # What tcp_description makes of a number is called "port ...".
    return kind.startswith("port ") or kind in (
        "tcp",
        "tcp4",
        "tcp6",
        "unix",
        "systemd",
        "stdio",
        "fd",
    )


def _explain_parser(error: Exception, description: str) -> str:
    """
    Why a description is invalid, without the names of the parser's functions.
    """
    if isinstance(error, TypeError):
        # "_parseTCP() got an unexpected keyword argument 'x'"
        return re.sub(r"^\S+\(\) ", "", str(error))
    if isinstance(error, RuntimeError) and description.endswith("\\"):
        return "nothing follows the last backslash"
    if isinstance(error, (IndexError, KeyError)):
        # Only systemd: raises these: it looks sockets up, by number or by name.
        return (
            "no such socket was handed over to this process; sockets count only if all "
            "of them have names (LISTEN_FDNAMES), as systemd gives them"
        )
    if isinstance(error, AttributeError) and is_handed_over(description):
        # "module 'socket' has no attribute 'AF_x'"
        domain = str(error).rpartition("AF_")[2].rstrip("'")
        return f"there is no domain {domain!r}, only INET, INET6 and UNIX"
    # "invalid literal for int() with base 10: 'x'"
    return re.sub(r"^invalid literal for int.*: ", "not a number: ", explain(error))
