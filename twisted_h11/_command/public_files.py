"""
Files for everybody: what C{twistd h11web --path} serves.

L{static.File} was made for people who trust each other with one directory: it runs
scripts, lists directories, follows every link, and takes what it does not know for
HTML.  A server that is told only C{--path} knows nothing of the kind.  So here:

  - A file of unknown type is C{application/octet-stream}, and browsers are told not to
    guess (C{X-Content-Type-Options: nosniff}): an upload can not become a page with
    scripts in it.
  - Names that begin with a dot are not there: C{.git}, C{.htpasswd}.  C{.well-known}
    in the root is (RFC 8615).
  - What is served lies in the root, wherever links lead.
  - Directories are not listed.
  - Scripts are neither run nor shown.
  - Only regular files are opened: a pipe would hold the whole server.

L{FilePolicy} allows what is not as it should be for somebody.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger
from twisted.python.filepath import InsecurePath
from twisted.web import script, static, twcgi
from twisted.web.resource import IResource
from twisted.web.util import redirectTo

__all__ = ["SCRIPTS", "FilePolicy", "PublicFile"]

SCRIPTS: dict[str, Any] = {
    ".cgi": twcgi.CGIScript,
    ".epy": script.PythonScript,
    ".rpy": script.ResourceScript,
}
"""
What runs the files with these extensions.
"""

# What is the same on every machine, whatever its tables of types say.
_TYPES = {**static.File.contentTypes, ".txt": "text/plain"}

_NO_SNIFF = (b"X-Content-Type-Options", b"nosniff")


@dataclass(frozen=True, kw_only=True)
class FilePolicy:
    """
    What may be served.

    @ivar dotFiles: whether names that begin with a dot are.
    @ivar outsideLinks: whether symbolic links may leave the root.
    @ivar listDirectories: whether a directory without an index is listed.
    """

    dotFiles: bool = False
    outsideLinks: bool = False
    listDirectories: bool = False

    def allows(self, name: str, inRoot: bool) -> bool:
        """
        Whether a name may be asked for.

        @param inRoot: whether it is one of the root directory.
        """
        if not name.startswith("."):
            return "\0" not in name
        if name in (".", "..") or "\0" in name:
            return False
        return self.dotFiles or (inRoot and name == ".well-known")


class PublicFile(static.File):
    """
    A file or directory that anybody may ask for.

    @ivar policy: what may be served of it.
    @ivar rootPath: the root that nothing may leave.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        defaultType: str = "application/octet-stream",
        ignoredExts: Any = (),
        registry: Any = None,
        allowExt: Any = 0,
    ) -> None:
        """
        See L{static.File}; only the default type is another one.
        """
        super().__init__(path, defaultType, ignoredExts, registry, allowExt)
        self.contentTypes = _TYPES
        self.policy = FilePolicy()
        self.processors = {}
        self.rootPath = self.path

    def createSimilarFile(self, path: str) -> PublicFile:
        """
        See L{static.File.createSimilarFile}.
        """
        file: PublicFile = super().createSimilarFile(path)
        file.policy = self.policy
        file.rootPath = self.rootPath
        return file

    # -- finding --------------------------------------------------------------

    def getChild(self, path: bytes, request: Any) -> Any:
        """
        See L{static.File.getChild}.
        """
        try:
            name = path.decode("utf-8")
        except UnicodeDecodeError:
            return self.childNotFound
        self.restat(reraise=False)
        if not self.isdir():
            # A single file as the root is there at its own URL only.
            return self if not name and self._isRoot() else self.childNotFound
        if not name:
            return self._index()
        if not self.policy.allows(name, self._isRoot()):
            return self.childNotFound
        try:
            found = self.child(name)
        except InsecurePath:
            return self.childNotFound
        if found.exists():
            return self._serve(found)
        sibling = found.siblingExtensionSearch(*self.ignoredExts)
        return self.childNotFound if sibling is None else self._serve(sibling)

    def _isRoot(self) -> bool:
        return bool(self.path == self.rootPath)

    def _index(self) -> Any:
        names = [name for name in self.indexNames if not self._isIdleScript(name)]
        found = self.childSearchPreauth(*names)
        return self.directoryListing() if found is None else self._serve(found)

    def _isIdleScript(self, name: str) -> bool:
        """
        Whether it is a script that is not to be run.
        """
        extension = os.path.splitext(name)[1]
        return extension not in self.processors and extension.lower() in SCRIPTS

    def _serve(self, found: Any) -> Any:
        """
        The resource of a path that is there.
        """
        if self._isIdleScript(found.basename()) and not found.isdir():
            self._log.info(
                "{path} is a script: it is neither run nor shown without --scripts on",
                path=found.path,
            )
            return self.childNotFound
        processor = self.processors.get(found.splitext()[1])
        if processor is None:
            return self.createSimilarFile(found.path)
        if not self._mayOpen(found.path):
            return self.childNotFound
        return IResource(processor(found.path, self.registry))

    def _mayOpen(self, path: str) -> bool:
        """
        Whether a path is a regular file or a directory, within the root.
        """
        if not (os.path.isfile(path) or os.path.isdir(path)):
            return False
        return self.policy.outsideLinks or self._realPath(path) is not None

    def _realPath(self, path: str) -> str | None:
        """
        Where a path leads, if that is within the root.
        """
        # The root itself may be a link, and lead elsewhere with the next release.
        root = os.path.realpath(self.rootPath)
        real = os.path.realpath(path)
        inside = os.path.join(root, "")
        return real if real == root or real.startswith(inside) else None

    # -- serving --------------------------------------------------------------

    def render_GET(self, request: Any) -> Any:
        """
        See L{static.File.render_GET}.
        """
        request.setHeader(*_NO_SNIFF)
        if not self._mayOpen(self.path):
            return self.childNotFound.render(request)
        try:
            return super().render_GET(request)
        except FileNotFoundError:
            # It has gone in between.
            return self.childNotFound.render(request)

    render_HEAD = render_GET

    def openForReading(self) -> Any:
        """
        Open the file; what was looked at may be another one by now.

        @raise PermissionError: if it is not regular, or lies outside of the root.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | _NO_WAIT)
        file = os.fdopen(descriptor, "rb")
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode) or not self._isWithin(opened):
            file.close()
            raise PermissionError(13, "not a file of this site", self.path)
        return file

    def _isWithin(self, opened: os.stat_result) -> bool:
        if self.policy.outsideLinks:
            return True
        real = self._realPath(self.path)
        if real is None:
            return False
        try:
            return os.path.samestat(opened, os.lstat(real))
        except FileNotFoundError:
            return False

    def redirect(self, request: Any) -> Any:
        """
        To the URL of a directory, which ends with a slash: on this site, even if
        the path begins with two, which would be the name of another host.
        """
        query = request.uri.partition(b"?")[1:]
        path = b"/" + request.path.strip(b"/") + b"/"
        return redirectTo(path + b"".join(query), request)

    def directoryListing(self) -> Any:
        """
        See L{static.File.directoryListing}; C{forbidden} if it may not be seen.
        """
        if not self._mayOpen(self.path):
            # Nor does anybody learn what there is outside.
            return self.childNotFound
        if not self.policy.listDirectories:
            return self.forbidden
        try:
            names = [name for name in self.listNames() if self._mayBeListed(name)]
        except PermissionError:
            return self.forbidden
        return _Listing(
            self.path,
            names,
            self.contentTypes,
            self.contentEncodings,
            self.defaultType,
        )

    def _mayBeListed(self, name: str) -> bool:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            # Nobody could ask for it.
            return False
        path = os.path.join(self.path, name)
        return (
            self.policy.allows(name, self._isRoot())
            and (os.path.isdir(path) or not self._isIdleScript(name))
            and self._mayOpen(path)
        )


_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


class _Listing(static.DirectoryLister):
    """
    The names in a directory.
    """

    def render(self, request: Any) -> Any:
        """
        See L{static.DirectoryLister.render}.
        """
        request.setHeader(*_NO_SNIFF)
        return super().render(request)
