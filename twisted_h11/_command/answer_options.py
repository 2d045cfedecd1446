"""
The options of C{twistd h11web} for responses: compression, caching, error pages,
passwords, and virtual hosts.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from twisted.python import usage
from twisted.web.vhost import NameVirtualHost

from twisted_h11._command.endpoints import explain
from twisted_h11._command.tls_options import CHALLENGES
from twisted_h11._command.values import (
    is_number,
    parse_size,
    parse_switch,
    parse_whole,
    read_option,
)
from twisted_h11._http.abnf import has_control
from twisted_h11.resources import PasswordFile, PublicFile, protect
from twisted_h11.server import COMPRESSED_TYPES, Compression, ErrorPages

__all__ = ["AnswerOptions"]

_COMPRESS = (
    "Compress responses with gzip for clients that accept it: text, JSON, JavaScript "
    "and the like, see --compress-type."
)
_MINIMUM = (
    "Bytes of content below which a response is not compressed, where its length is "
    "known. Goes with --compress."
)
_LEVEL = "1 (fastest) to 9 (smallest). Goes with --compress."
_CACHE = "Value of the Cache-Control field of files. Goes with --path."
_PRECOMPRESSED = (
    "Send name.br or name.gz instead of name to clients that accept it, if it exists "
    "and is no older: on or off. Goes with --path."
)
_SPA = (
    "A file in the directory, such as index.html, that is served for pages that do not "
    "exist: GET requests that accept HTML, for paths without an extension. Goes with "
    "--path."
)
_AUTH = (
    "A file of names and bcrypt hashes as htpasswd -B makes it: every request needs "
    "one of these names and its password, except for files below "
    "/.well-known/acme-challenge/. Use it with TLS. Needs twisted-h11[passwords]."
)

# Host fields may have more, but no host has such a name.
_HOST = re.compile(r"[a-z0-9._-]+", re.IGNORECASE | re.ASCII)


class AnswerOptions(usage.Options):
    """
    Options for responses.

    After L{checkAnswers}, C{self["compression"]} and C{self["errorPages"]} are for the
    site, and L{wrapRoot} returns its root.

    @since: 0.1
    """

    heading = "Responses"

    optFlags: ClassVar[list[list[str]]] = [["compress", "", _COMPRESS]]

    optParameters: ClassVar[list[list[Any]]] = [
        ["compress-min-length", None, "1024", _MINIMUM],
        ["compress-level", None, "6", _LEVEL],
        ["cache-control", None, None, _CACHE],
        ["precompressed", None, "off", _PRECOMPRESSED],
        ["spa", None, None, _SPA],
        ["basic-auth", None, None, _AUTH],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["compressTypes"] = []
        self["pages"] = {}
        self["vhosts"] = {}
        self["passwords"] = None

    def opt_compress_type(self, kind: str) -> None:
        """
        A media type that is compressed, such as text/html, or text/* for all of a
        kind. May be repeated; the list then replaces the default one. Goes with
        --compress.
        """
        self["compressTypes"].append(kind)

    def opt_error_page(self, page: str) -> None:
        """
        STATUS=FILE: the file is the page for errors with this status, 400 to 599,
        that the server itself answers; responses of an application are not changed.
        May be repeated.
        """
        status, equals, path = page.partition("=")
        if not equals or not is_number(status):
            raise usage.UsageError(f"--error-page {page}: not of the form STATUS=FILE")
        try:
            code = parse_whole(status, 400, 599, "the status of an error, 400 to 599")
            if code in self["pages"]:
                raise ValueError(f"{status} has a page already")
            ErrorPages({code: path})
        except (OSError, ValueError) as error:
            raise usage.UsageError(f"--error-page {page}: {explain(error)}") from None
        self["pages"][code] = path

    def opt_vhost(self, vhost: str) -> None:
        """
        NAME=DIRECTORY: the directory is served to requests for that host; the options
        that go with --path apply to it, too. Requests for other hosts get what the
        other options serve, or 404. May be repeated.
        """
        name, equals, path = vhost.partition("=")
        problem = None
        if not equals or not name or not path:
            problem = "not of the form NAME=DIRECTORY"
        elif "*" in name:
            problem = "a host has one name, without a wildcard"
        elif _HOST.fullmatch(name) is None or has_control(os.fsencode(path)):
            problem = "not the name of a host, without a port"
        elif name.lower() in self["vhosts"]:
            problem = "the host has a directory already"
        elif not os.path.isdir(path):
            problem = "no such directory"
        elif not os.access(path, os.R_OK | os.X_OK):
            problem = "Permission denied"
        if problem is not None:
            raise usage.UsageError(f"--vhost {vhost}: {problem}")
        self["vhosts"][name.lower()] = PublicFile(os.path.abspath(path))

    def checkAnswers(self) -> None:
        """
        Check the options against each other, and read the files.
        """
        self["compression"] = self._compression()
        self["errorPages"] = ErrorPages(self["pages"]) if self["pages"] else None
        self._settleFiles()
        if self["basic-auth"] is not None:
            try:
                self["passwords"] = PasswordFile(self["basic-auth"])
            except ImportError:
                raise usage.UsageError(
                    "--basic-auth needs bcrypt: pip install 'twisted-h11[passwords]'"
                ) from None
            except (OSError, ValueError) as error:
                raise usage.UsageError(
                    f"--basic-auth {self['basic-auth']}: {explain(error)}"
                ) from None

    def _compression(self) -> Compression | None:
        level = partial(parse_whole, least=1, most=9)
        values = {
            "compress-min-length": read_option(self, "compress-min-length", parse_size),
            "compress-level": read_option(self, "compress-level", level),
        }
        try:
            compression = Compression(
                types=self["compressTypes"] or COMPRESSED_TYPES,
                minimumLength=values["compress-min-length"],
                level=values["compress-level"],
            )
        except ValueError as error:
            raise usage.UsageError(f"--compress: {error}") from None
        if self["compress"]:
            return compression
        given = [name for name in values if self[name] != self.defaults[name]]
        if self["compressTypes"]:
            given.append("compress-type")
        if given:
            raise usage.UsageError(f"--{given[0]} goes with --compress")
        return None

    def _settleFiles(self) -> None:
        files: list[PublicFile] = self["files"]
        cacheControl = None
        if self["cache-control"] is not None:
            cacheControl = os.fsencode(self["cache-control"]).strip(b" \t")
            if not cacheControl or has_control(cacheControl):
                raise usage.UsageError(
                    f"--cache-control {self['cache-control']!r}: must be printable text"
                )
        given = {
            "cache-control": cacheControl is not None,
            "precompressed": read_option(self, "precompressed", parse_switch),
            "spa": self["spa"] is not None,
        }
        for name, isGiven in given.items():
            if isGiven and not files:
                raise usage.UsageError(f"--{name} goes with --path or --vhost")
        for file in files:
            file.policy = replace(
                self["policy"],
                precompressed=given["precompressed"],
                cacheControl=cacheControl,
            )
            if self["spa"] is not None:
                try:
                    file.fallBackTo(self["spa"])
                except ValueError as error:
                    raise usage.UsageError(f"--spa {self['spa']}: {error}") from None

    def wrapRoot(self, root: Any) -> Any:
        """
        Wrap the root in virtual hosts and passwords, as the options say.

        @param root: the root of the other options; C{None} if there is none.
        @return: the root of the site.
        """
        if self["vhosts"]:
            hosts = NameVirtualHost()
            hosts.default = root
            for name, file in self["vhosts"].items():
                hosts.addHost(name.encode("ascii"), file)
            root = hosts
        if self["passwords"] is not None:
            files = isinstance(self["root"], PublicFile) or self["vhosts"]
            plain = [CHALLENGES] if files else []
            root = protect(root, self["passwords"], plain=plain)
        return root
