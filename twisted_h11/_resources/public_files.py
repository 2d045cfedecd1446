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

Each file has a strong entity tag, of its time and its length.  Where there is a file
of the same name and C{.br} or C{.gz}, which is no older, it may be sent in the place of
the one that was asked for.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from twisted.logger import Logger
from twisted.python.filepath import InsecurePath
from twisted.web import script, static, twcgi
from twisted.web.http import CACHED, OK
from twisted.web.resource import IResource
from twisted.web.util import redirectTo

from twisted_h11._http.lists import with_member
from twisted_h11._http.negotiation import choose_coding
from twisted_h11._resources.file_policy import FilePolicy
from twisted_h11._resources.not_found import Fallback, Refusal

__all__ = ["SCRIPTS", "PublicFile"]

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

# The best first.
_SIBLINGS = {b"br": ".br", b"gzip": ".gz"}


class PublicFile(static.File):
    """
    A file or directory that anybody may ask for.

    @ivar policy: what may be served of it.
    @ivar rootPath: the root that nothing may leave.

    @since: 0.1
    """

    _log = Logger()

    childNotFound: Any = Refusal(static.File.childNotFound)
    forbidden: Any = Refusal(static.File.forbidden)

    # Goes with the tag of what is encoded.
    _tagSuffix = b""

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
        file.childNotFound = self.childNotFound
        return file

    def fallBackTo(self, path: str) -> None:
        """
        Answer requests for pages that are not there with one file, so that an
        application in a browser can have paths of its own.

        @param path: the file, in this directory.
        @raise ValueError: if it is no file there.
        """
        file = self.createSimilarFile(os.path.join(self.path, path))
        if not os.path.isfile(file.path) or not file._mayOpen(file.path):
            raise ValueError(f"no such file in {self.path}")
        self.childNotFound = Fallback(file, self.childNotFound)

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
            if not os.path.isfile(self.path):
                return super().render_GET(request)
            sibling = self._sibling(request)
            return self._send(request) if sibling is None else sibling._send(request)
        except FileNotFoundError:
            # It has gone in between.
            return self.childNotFound.render(request)

    render_HEAD = render_GET

    def entityTag(self) -> bytes:
        """
        A strong validator for the file (RFC 9110 section 8.8.3).

        @raise OSError: if there is none.
        """
        status = os.stat(self.path)
        tag = b"%x-%x%b" % (status.st_mtime_ns, status.st_size, self._tagSuffix)
        return b'"' + tag + b'"'

    def _send(self, request: Any) -> Any:
        cacheControl = self.policy.cacheControl
        if cacheControl is not None:
            if not request.responseHeaders.hasHeader(b"Cache-Control"):
                request.setHeader(b"Cache-Control", cacheControl)
        if request.setETag(self.entityTag()) is CACHED:
            # Only what could be read can be the same.
            try:
                self.openForReading().close()
            except PermissionError:
                request.etag = None
                request.setResponseCode(OK)
                return self.forbidden.render(request)
            return b""
        return super().render_GET(request)

    def _sibling(self, request: Any) -> PublicFile | None:
        """
        The encoded file to send in the place of this one.
        """
        kind, encoding = static.getTypeAndEncoding(
            self.basename(), self.contentTypes, self.contentEncodings, self.defaultType
        )
        if not self.policy.precompressed or encoding is not None:
            return None
        offered = [c for c, suffix in _SIBLINGS.items() if self._isFresh(suffix)]
        headers = request.requestHeaders
        if not offered:
            return None
        varies = request.responseHeaders.getRawHeaders(b"Vary", [])
        varies = with_member(varies, b"Accept-Encoding")
        request.responseHeaders.setRawHeaders(b"Vary", varies)
        accepted = headers.getRawHeaders(b"Accept-Encoding", ())
        coding = choose_coding(accepted, offered)
        if coding is None or headers.hasHeader(b"Range"):
            return None
        sibling = self.createSimilarFile(self.path + _SIBLINGS[coding])
        sibling.type, sibling.encoding = kind, coding.decode("ascii")
        sibling._tagSuffix = b"-" + coding
        return sibling

    def _isFresh(self, suffix: str) -> bool:
        path = self.path + suffix
        try:
            changed = os.stat(path).st_mtime_ns
            return changed >= os.stat(self.path).st_mtime_ns and self._mayOpen(path)
        except OSError:
            return False

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
