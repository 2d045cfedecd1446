"""
Files for the public: what C{twistd h11web --path} serves.

L{static.File} is for a trusted directory: it runs scripts, lists directories, follows
all links, and serves files of unknown type as HTML.  Here:

  - A file of unknown type is C{application/octet-stream}, and browsers must not guess
    its type (C{X-Content-Type-Options: nosniff}): an upload can not become a page with
    scripts in it.
  - Names that begin with a dot are not found: C{.git}, C{.htpasswd}.  C{.well-known}
    in the root is (RFC 8615).
  - Links that lead out of the root are not found.
  - Directories are not listed.
  - Scripts are neither run nor shown.
  - Only regular files are opened: a pipe would block the whole server.

L{FilePolicy} changes these rules.

Each file has a strong entity tag, of its time and its length.  A file with the same
name and C{.br} or C{.gz}, if it is no older, may be sent instead of the requested one.
"""

from __future__ import annotations

import os
from stat import S_ISDIR, S_ISREG
from typing import Any

from twisted.logger import Logger
from twisted.python.filepath import InsecurePath
from twisted.web import script, static, twcgi
from twisted.web.http import CACHED, NOT_FOUND
from twisted.web.resource import IResource
from twisted.web.util import redirectTo

from twisted_h11._boundary.opening import NotAFile, open_file
from twisted_h11._boundary.twisted_private import set_known
from twisted_h11._http.lists import with_member
from twisted_h11._http.negotiation import choose_coding
from twisted_h11._resources.file_policy import FilePolicy
from twisted_h11._resources.inner_status import inner_status
from twisted_h11._resources.not_found import Fallback, Refusal
from twisted_h11._resources.opened_file import OpenedFile

__all__ = ["SCRIPTS", "PublicFile"]

SCRIPTS: dict[str, Any] = {
    ".cgi": twcgi.CGIScript,
    ".epy": script.PythonScript,
    ".rpy": script.ResourceScript,
}
"""
The processors of scripts, by the extension of the file.
"""

# The same on every machine: static.File also reads the system's tables of types.
_TYPES = {**static.File.contentTypes, ".txt": "text/plain"}

_NO_SNIFF = (b"X-Content-Type-Options", b"nosniff")

# The preferred coding first.
_SIBLINGS = {b"br": ".br", b"gzip": ".gz"}


class PublicFile(OpenedFile):
    """
    A file or directory of a public site.

    @ivar policy: which files are served, and how.
    @ivar rootPath: the root directory; links out of it are not found.

    @since: 0.1
    """

    _log = Logger()

    childNotFound: Any = Refusal(static.File.childNotFound)
    forbidden: Any = Refusal(static.File.forbidden)

    def __init__(
        self,
        path: str,
        defaultType: str = "application/octet-stream",
        ignoredExts: Any = (),
        registry: Any = None,
        allowExt: Any = 0,
    ) -> None:
        """
        See L{static.File}; only the default type differs.
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
        Serve one file for all page requests without a file, so that a single-page
        application can route paths in the browser.

        @param path: the file, in this directory.
        @raise ValueError: if there is no such file.
        """
        file = self.createSimilarFile(os.path.join(self.path, path))
        status = file._status(file.path)
        if status is None or not S_ISREG(status.st_mode):
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
            # If the root is a single file, only its own URL has it.
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
        Whether a file is a script, and scripts are not run.
        """
        extension = os.path.splitext(name)[1]
        return extension not in self.processors and extension.lower() in SCRIPTS

    def _serve(self, found: Any) -> Any:
        """
        The resource of a path that exists.
        """
        extension = found.splitext()[1]
        processor = self.processors.get(extension)
        if processor is None:
            if extension.lower() not in SCRIPTS or found.isdir():
                return self.createSimilarFile(found.path)
            self._log.info(
                "{path} is a script: it is neither run nor shown without --scripts on",
                path=found.path,
            )
            return self.childNotFound
        if self._status(found.path) is None:
            return self.childNotFound
        return IResource(processor(found.path, self.registry))

    def _status(self, path: str) -> os.stat_result | None:
        """
        The status of the regular file or directory to which a path leads; C{None} if
        there is none, or if it is outside the root.
        """
        try:
            if self.policy.outsideLinks:
                status = os.stat(path)
            else:
                status = inner_status(self.rootPath, path)
        except (OSError, ValueError):
            return None
        mode = status.st_mode
        return status if S_ISREG(mode) or S_ISDIR(mode) else None

    # -- serving --------------------------------------------------------------

    def render_GET(self, request: Any) -> Any:
        """
        See L{static.File.render_GET}.
        """
        set_known(request.responseHeaders, *_NO_SNIFF)
        status = self._status(self.path)
        if status is None:
            return self.childNotFound.render(request)
        try:
            if S_ISDIR(status.st_mode):
                return super().render_GET(request)
            sibling = self._sibling(request)
            if sibling is not None and sibling._canHold():
                return sibling._send(request)
            self.hold()
            return self._send(request)
        except FileNotFoundError:
            # The file was deleted meanwhile.
            self._unsay(request)
            return self.childNotFound.render(request)
        except PermissionError:
            return self.forbidden.render(request)

    render_HEAD = render_GET

    def _canHold(self) -> bool:
        """
        Open the file, if that is possible.
        """
        try:
            self.hold()
        except OSError:
            return False
        return True

    def _send(self, request: Any) -> Any:
        """
        Send the file that is held.
        """
        cacheControl = self.policy.cacheControl
        try:
            if cacheControl is not None:
                if not request.responseHeaders.hasHeader(b"Cache-Control"):
                    request.setHeader(b"Cache-Control", cacheControl)
            if request.setETag(self.entityTag()) is CACHED:
                return b""
            page = super().render_GET(request)
            if request.code == NOT_FOUND:
                self._unsay(request)
            return page
        finally:
            self.letGo()

    def _unsay(self, request: Any) -> None:
        """
        Remove the fields that describe the file from the response: the file changed
        while the request was served, and an error page is sent instead.
        """
        request.etag = None
        headers = request.responseHeaders
        if headers.getRawHeaders(b"Cache-Control") == [self.policy.cacheControl]:
            headers.removeHeader(b"Cache-Control")

    def _sibling(self, request: Any) -> PublicFile | None:
        """
        The encoded file to send instead of this one, or C{None}.
        """
        if not self.policy.precompressed:
            return None
        kind, encoding = static.getTypeAndEncoding(
            self.basename(), self.contentTypes, self.contentEncodings, self.defaultType
        )
        if encoding is not None:
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
        status = self._status(self.path + suffix)
        if status is None or not S_ISREG(status.st_mode):
            return False
        try:
            return status.st_mtime_ns >= os.stat(self.path).st_mtime_ns
        except OSError:
            return False

    def openForReading(self) -> Any:
        """
        Open the file, and check the opened file: the path may have changed.

        @raise PermissionError: if it is not regular, or is outside the root.
        """
        file = self.takeHeld()
        if file is not None:
            return file
        try:
            file = open_file(self.path)
        except NotAFile:
            raise self._notOurs() from None
        opened = os.fstat(file.fileno())
        status = self._status(self.path)
        if status is None or not os.path.samestat(opened, status):
            file.close()
            raise self._notOurs()
        self.noteOpened(opened)
        return file

    def _notOurs(self) -> PermissionError:
        return PermissionError(13, "not a file of this site", self.path)

    def redirect(self, request: Any) -> Any:
        """
        Redirect to the URL of a directory, which ends with a slash.  Leading slashes
        are joined: after two of them the next segment would be another host.
        """
        query = request.uri.partition(b"?")[1:]
        path = b"/" + request.path.strip(b"/") + b"/"
        return redirectTo(path + b"".join(query), request)

    def directoryListing(self) -> Any:
        """
        See L{static.File.directoryListing}; C{forbidden} if the policy lists none.
        """
        if self._status(self.path) is None:
            # Do not tell whether a directory outside the root exists.
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
            # No URL leads to such a name.
            return False
        path = os.path.join(self.path, name)
        return (
            self.policy.allows(name, self._isRoot())
            and (os.path.isdir(path) or not self._isIdleScript(name))
            and self._status(path) is not None
        )


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
