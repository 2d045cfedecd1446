"""
The options of C{twistd h11web} that say what to serve.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar

from twisted.python import usage
from twisted.web import static
from twisted.web.resource import IResource
from twisted.web.script import ResourceScriptWrapper

from twisted_h11._command.distrib import UserDirectory
from twisted_h11._command.endpoints import explain
from twisted_h11._command.named import find_object
from twisted_h11._command.values import parse_switch, read_option
from twisted_h11._http.abnf import TOKEN
from twisted_h11.resources import SCRIPTS, FilePolicy, PublicFile
from twisted_h11.wsgi import WSGIResource

__all__ = ["ROOTS", "RootOptions"]

ROOTS = frozenset(("class", "path", "resource-script", "user", "wsgi"))
"""
The options that exclude each other.
"""

_MEDIA_TYPE = re.compile(
    rb"%(token)s/%(token)s(; ?%(token)s=(%(token)s|\"[ !#-\[\]-~]*\"))*"
    % {b"token": TOKEN}
)
"""
RFC 9110 section 8.3.1.
"""

_FILE_SWITCHES = ("list-directories", "dot-files", "outside-links", "scripts")
"""
The options for C{--path} that are on or off.
"""


_LISTING = "List directories that have no index: on or off. Goes with --path."
_DOT_FILES = (
    "Serve files and directories whose names begin with a dot: on or off; "
    ".well-known in the root is always served. Goes with --path."
)
_OUTSIDE_LINKS = (
    "Follow symbolic links that lead out of the directory: on or off. Goes with --path."
)
_SCRIPTS = (
    "Run .cgi, .epy and .rpy files, which otherwise are neither run nor shown: on or "
    "off. WARNING: anyone who can write there can run code. Goes with --path."
)


class RootOptions(usage.Options):
    """
    Options for what to serve.

    After L{parseOptions}, C{self["root"]} is a resource, or C{None} if no option for it
    was given, and C{self["files"]} are the directories that are served.

    @since: 0.1
    """

    heading = "What to serve"

    optParameters: ClassVar[list[list[Any]]] = [
        ["list-directories", None, "off", _LISTING],
        ["dot-files", None, "off", _DOT_FILES],
        ["outside-links", None, "off", _OUTSIDE_LINKS],
        ["scripts", None, "off", _SCRIPTS],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["indexes"] = []
        self["root"] = None
        self._rootOption: str | None = None

    def _takeRoot(self, option: str) -> None:
        """
        Check that this is the only option that says what to serve.
        """
        if self._rootOption == option:
            raise usage.UsageError(f"--{option} is given more than once")
        if self._rootOption is not None:
            raise usage.UsageError(
                f"--{self._rootOption} and --{option} exclude each other"
            )
        self._rootOption = option

    def opt_user(self) -> None:
        """
        Serve the ~/public_html and the servers (~/.twistd-web-pb) of all users.
        """
        self._takeRoot("user")
        self["root"] = UserDirectory()

    opt_u = opt_user

    def opt_path(self, path: str) -> None:
        """
        File or directory to serve.
        """
        self._takeRoot("path")
        if not os.path.exists(path):
            raise usage.UsageError(f"--path {path}: No such file or directory")
        if not os.access(path, os.R_OK):
            raise usage.UsageError(f"--path {path}: Permission denied")
        if not os.path.isfile(path) and not os.path.isdir(path):
            raise usage.UsageError(f"--path {path}: neither a file nor a directory")
        self["root"] = PublicFile(os.path.abspath(path))

    def opt_index(self, name: str) -> None:
        """
        Name of a file that is the index of its directory. May be repeated; the
        first that exists is taken. Goes with --path.
        [default: index, index.html, index.htm, index.rpy]
        """
        if not name or "/" in name or os.sep in name or name in (".", ".."):
            raise usage.UsageError(f"--index {name}: not the name of a file")
        self["indexes"].append(name)

    opt_i = opt_index

    def opt_processor(self, processor: str) -> None:
        """
        `ext=class' where `class' is added as a processor for files ending
        with `ext'. May be repeated. Goes after --path.
        """
        self._file("processor")
        if "=" not in processor:
            raise usage.UsageError(
                f"--processor {processor}: not of the form ext=class"
            )
        extension, _, name = processor.partition("=")
        if not extension.startswith(".") or len(extension) < 2:
            raise usage.UsageError(
                f"--processor {processor}: an extension begins with a dot"
            )
        self["root"].processors[extension] = self._load("processor", processor, name)

    def opt_mime_type(self, defaultType: str) -> None:
        """
        MIME type of files whose extension says nothing. Goes after --path.
        [default: application/octet-stream]
        """
        if not _MEDIA_TYPE.fullmatch(os.fsencode(defaultType)):
            raise usage.UsageError(
                f"--mime-type {defaultType!r}: not of the form type/subtype"
            )
        self._file("mime-type").defaultType = defaultType

    opt_m = opt_mime_type

    def opt_allow_ignore_ext(self) -> None:
        """
        Let a request for `foo' return `foo.ext'. Goes after --path.
        """
        self._file("allow-ignore-ext").ignoreExt("*")

    def opt_ignore_ext(self, ext: str) -> None:
        """
        An extension that a request may leave out. May be repeated; the first
        that exists is taken. Goes after --path.
        """
        self._file("ignore-ext").ignoreExt(ext)

    def _file(self, option: str) -> static.File:
        """
        The root, for an option that applies to a file or directory only.
        """
        root = self["root"]
        if isinstance(root, static.File):
            return root
        raise usage.UsageError(f"--{option} goes after --path")

    def opt_class(self, className: str) -> None:
        """
        Name of a Resource class with a constructor that takes no arguments, such
        as module:Class or package.module.Class: an instance of it is the root. The
        current directory is searched first.
        """
        self._takeRoot("class")
        made = self._load("class", className, className, lambda found: found())
        if not IResource.providedBy(made):
            raise usage.UsageError(
                f"--class {className}: not a resource (does not provide IResource)"
            )
        self["root"] = made

    def opt_resource_script(self, name: str) -> None:
        """
        An .rpy file whose resource is the root.
        """
        self._takeRoot("resource-script")
        if not os.path.exists(name):
            raise usage.UsageError(f"--resource-script {name}: No such file")
        if not os.path.isfile(name):
            raise usage.UsageError(f"--resource-script {name}: not a file")
        self["root"] = ResourceScriptWrapper(name)

    def opt_wsgi(self, name: str) -> None:
        """
        Name of a WSGI application object, such as module:application or
        package.module.application, which is the root. The current directory is
        searched first.
        """
        self._takeRoot("wsgi")
        self["root"] = self._load("wsgi", name, name, _wsgi_root)

    def _load(
        self,
        option: str,
        value: str,
        name: str,
        make: Callable[[Any], Any] = lambda found: found,
    ) -> Any:
        """
        Import an object that the user named; the import may raise any exception.

        @param value: the value of the option, for messages.
        @param name: the name in it.
        @param make: converts the object to a resource.
        """
        try:
            return make(find_object(name))
        except Exception as error:
            raise usage.UsageError(f"--{option} {value}: {explain(error)}") from None
        except SystemExit as error:
            raise usage.UsageError(
                f"--{option} {value}: it ends the process (SystemExit: {error.code})"
            ) from None

    def checkRoot(self) -> None:
        """
        Apply the options that go with C{--path}, given in any order.
        """
        allowed = {
            name: read_option(self, name, parse_switch) for name in _FILE_SWITCHES
        }
        self["policy"] = policy = FilePolicy(
            dotFiles=allowed["dot-files"],
            outsideLinks=allowed["outside-links"],
            listDirectories=allowed["list-directories"],
        )
        self["files"] = files = self._publicFiles()
        for file in files:
            file.policy = policy
            if self["indexes"]:
                file.indexNames = self["indexes"]
            if allowed["scripts"]:
                file.processors = {**SCRIPTS, **file.processors}
        given = {"index": bool(self["indexes"]), **allowed}
        for name, isGiven in given.items():
            if isGiven and not files:
                raise usage.UsageError(f"--{name} goes with --path or --vhost")

    def _publicFiles(self) -> list[PublicFile]:
        """
        The directories that are served: that of C{--path}, and those of C{--vhost}, to
        which the same options apply.
        """
        root, hosts = self["root"], list(self.get("vhosts", {}).values())
        if not isinstance(root, PublicFile):
            return hosts
        for file in hosts:
            file.processors = root.processors
            file.defaultType = root.defaultType
            file.ignoredExts = root.ignoredExts
            file.registry = root.registry
        return [root, *hosts]


def _wsgi_root(application: Any) -> WSGIResource:
    """
    The resource of a WSGI application, with a thread pool of its own.
    """
    if isinstance(application, ModuleType):
        raise ValueError(
            "that is a module; name the application in it, too, as in "
            f"{application.__name__}:application"
        )
    if not callable(application):
        raise ValueError(f"a WSGI application is callable, {application!r} is not")
    from twisted.internet import reactor

    return WSGIResource(reactor, None, application)
