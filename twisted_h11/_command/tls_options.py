"""
The options of C{twistd h11web} for TLS.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python import usage

from twisted_h11._command.endpoints import has_tls, tcp_description
from twisted_h11._command.values import is_number, parse_whole, read_option
from twisted_h11.resources import HTTPSRedirect, PublicFile
from twisted_h11.tls import BadTLSFile, ServerTLS, TLSEndpoint

__all__ = ["CHALLENGES", "TLSOptions"]

_CERTIFICATE = (
    "PEM file with the certificate of the server, its chain after it, and optionally "
    "its key. Read again when it changes, and on SIGHUP. Goes with --https."
)
_PRIVATE_KEY = (
    "PEM file with the key of --certificate; by default it is in the same file."
)
_CERTIFICATES = (
    "Folder with NAME.pem files (certificate, chain and key) or, as certbot's live "
    "folder, with NAME/fullchain.pem and NAME/privkey.pem; each for the names in the "
    "certificate. Goes with --https."
)
_MINIMUM = "The oldest version of TLS to speak: 1.2 or 1.3. [default: 1.2]"
_CLIENT_CA = (
    "PEM file with the authorities against which certificates of clients are verified. "
    "Goes with --https."
)
_CLIENT_CERTIFICATE = (
    "Whether a client must have a certificate of --client-ca: required or optional. "
    "[default: required]"
)
_REDIRECT = (
    "Redirect requests without TLS to https: with 301, or with 308 where the method is "
    "neither GET nor HEAD. With --path, files below /.well-known/acme-challenge/ are "
    "still served without TLS. Goes with --https, or with --trust-proxy."
)
_REDIRECT_PORT = (
    "Port to which --redirect-https redirects, if it is not that of --https: in a "
    "container, behind a proxy."
)
_HSTS = (
    "Seconds for which browsers must use TLS only (Strict-Transport-Security), sent in "
    "responses with TLS. Begin with few: browsers remember them. Goes with TLS, or "
    "with --trust-proxy."
)

CHALLENGES = b"/.well-known/acme-challenge/"
"""
Where authorities check the control of a name (RFC 8555 section 8.3).
"""

_OPTIONS = {
    "certificate": "certificate",
    "certificates": "certificates",
    "clientCA": "client-ca",
}
"""
The options for the arguments of L{ServerTLS} that name files.
"""

_NEED_HTTPS = (
    "certificate",
    "certificates",
    "tls-min-version",
    "client-ca",
)


class TLSOptions(usage.Options):
    """
    Options for certificates, and for listening with TLS.

    After L{checkTLS}, C{self["tls"]} is a L{ServerTLS}, or C{None}.

    @since: 0.1
    """

    heading = "TLS"

    _log = Logger()

    optParameters: ClassVar[list[list[Any]]] = [
        ["certificate", None, None, _CERTIFICATE],
        ["private-key", None, None, _PRIVATE_KEY],
        ["certificates", None, None, _CERTIFICATES],
        ["tls-min-version", None, None, _MINIMUM],
        ["client-ca", None, None, _CLIENT_CA],
        ["client-certificate", None, None, _CLIENT_CERTIFICATE],
        ["redirect-port", None, None, _REDIRECT_PORT],
        ["hsts", None, None, _HSTS],
    ]

    optFlags: ClassVar[list[list[str]]] = [["redirect-https", "", _REDIRECT]]

    compData = usage.Completions(
        optActions={
            name: usage.CompleteFiles("*.pem")
            for name in ("certificate", "private-key", "client-ca")
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self["https"] = []
        self["tls"] = None
        self._secured: list[TLSEndpoint] = []

    def opt_https(self, port: str) -> None:
        """
        Port number, or endpoint description, to listen on with TLS; without --port and
        --listen it is the only one. Needs --certificate or --certificates. May be
        repeated.
        """
        self["https"].append(port)

    def checkTLS(
        self, endpoint: Callable[[str, str, str], IStreamServerEndpoint]
    ) -> list[tuple[str, IStreamServerEndpoint]]:
        """
        Load the certificates.

        @param endpoint: makes an endpoint, given the name of an option, its value, and
            the description of the endpoint.
        @return: the endpoints to listen on with TLS, each with its name for messages.
        """
        for name in _NEED_HTTPS:
            if self[name] is not None and not self["https"]:
                raise usage.UsageError(f"--{name} goes with --https")
        for name, other in (
            ("private-key", "certificate"),
            ("client-certificate", "client-ca"),
            ("redirect-port", "redirect-https"),
        ):
            if self[name] is not None and not self[other]:
                raise usage.UsageError(f"--{name} goes with --{other}")
        self._checkTLSOnly()
        if not self["https"]:
            return []
        if self["certificate"] is None and self["certificates"] is None:
            raise usage.UsageError(
                "--https needs --certificate FILE, or --certificates FOLDER"
            )
        tls = self["tls"] = _load(self)
        secured = [self._secure(port, tls, endpoint) for port in self["https"]]
        self._secured = [endpoint for _, endpoint in secured]
        return list(secured)

    def givenForTLS(self) -> dict[str, bool]:
        """
        Which of the options that need no other one were given.
        """
        return {
            "https": bool(self["https"]),
            "hsts": self["hsts"] is not None,
            "redirect-https": bool(self["redirect-https"]),
        }

    def secureRoot(self, root: Any) -> Any:
        """
        Wrap the root so that it is served with TLS only, if C{--redirect-https} was
        given.

        @param root: the root of the site.
        """
        if not self["redirect-https"]:
            return root
        files = isinstance(self["root"], PublicFile) or self["vhosts"]
        port = self["redirect-port"] or self._openPort
        return HTTPSRedirect(root, port, [CHALLENGES] if files else [])

    def reloadTLS(self) -> None:
        """
        Read the certificates again, and log the result.
        """
        tls: ServerTLS | None = self["tls"]
        if tls is None:
            self._log.info("There are no certificates to read again")
        elif not tls.reload():
            self._log.info("TLS: read all certificates again")

    def tellWarnings(self) -> None:
        """
        Warn on stderr of certificates that clients will not accept.
        """
        for warning in self["tls"].warnings() if self["tls"] is not None else ():
            print(f"twistd h11web: warning: {warning}", file=sys.stderr)

    def _checkTLSOnly(self) -> None:
        """
        Check C{--redirect-https}, C{--hsts} and the options that go with them.
        """
        listened = [name for name, _ in self["listen"]]
        secure = self["https"] or self["trustedNetworks"]
        if self["redirect-https"] and not secure:
            raise usage.UsageError(
                "--redirect-https goes with --https, or with --trust-proxy"
            )
        if self["redirect-https"] and all(map(has_tls, listened)):
            raise usage.UsageError(
                "--redirect-https needs a --port or --listen without TLS"
            )
        if self["hsts"] is not None and not (secure or any(map(has_tls, listened))):
            raise usage.UsageError(
                "--hsts goes with --https, another endpoint with TLS, or --trust-proxy"
            )
        for name, least, most, what in (
            ("redirect-port", 1, 65535, "a port number, at most 65535"),
            ("hsts", 0, 10**10, "a whole number of seconds"),
        ):
            if self[name] is not None:
                parse = partial(parse_whole, least=least, most=most, what=what)
                self[name] = read_option(self, name, parse)

    def _openPort(self) -> int | None:
        """
        The number of the first port that is open with TLS.
        """
        for endpoint in self._secured:
            for port in endpoint.ports:
                number: int | None = getattr(port.getHost(), "port", None)
                if number is not None:
                    return number
        return None

    def _secure(
        self,
        port: str,
        tls: ServerTLS,
        endpoint: Callable[[str, str, str], IStreamServerEndpoint],
    ) -> tuple[str, TLSEndpoint]:
        name = description = port
        if is_number(port):
            try:
                name, description = tcp_description(port, self["interface"], "https")
            except ValueError as error:
                raise usage.UsageError(str(error)) from None
        elif ":" not in port:
            raise usage.UsageError(
                f"--https {port}: neither a number nor an endpoint description"
            )
        elif has_tls(port):
            raise usage.UsageError(
                f"--https {port}: the endpoint has TLS itself; use --listen, or tcp:..."
            )
        return f"https {name}", TLSEndpoint(endpoint("https", port, description), tls)


def _load(options: usage.Options) -> ServerTLS:
    """
    Load the certificates that the options name.
    """
    minimum = options["tls-min-version"] or "1.2"
    if minimum not in ("1.2", "1.3"):
        raise usage.UsageError(f"--tls-min-version {minimum}: must be 1.2 or 1.3")
    asked = options["client-certificate"]
    if asked not in (None, "optional", "required"):
        raise usage.UsageError(
            f"--client-certificate {asked}: must be optional or required"
        )
    try:
        return ServerTLS(
            options["certificate"],
            options["private-key"],
            certificates=options["certificates"],
            minimumVersion=minimum,
            clientCA=options["client-ca"],
            clientCertificate=asked,
        )
    except BadTLSFile as error:
        raise usage.UsageError(f"--{_OPTIONS[error.argument]}: {error}") from None
