"""
The certificates of a server, loaded from files.

Files that have changed are read again.  A file that can not be read, or a key that does
not belong to its certificate, is reported once, and the certificate that was loaded
before stays in use.  All other new certificates are used at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.logger import Logger

from twisted_h11._tls.contexts import ContextMaker
from twisted_h11._tls.folder import find_pairs, in_order
from twisted_h11._tls.identity import Identity, Signature, load_identity, signature
from twisted_h11._tls.pem import describe_problem, read_certificates

__all__ = ["BadTLSFile", "Sources", "Store"]

Paths = tuple[str, str]


class BadTLSFile(ValueError):
    """
    A file or a folder of certificates and keys can not be used.

    @ivar argument: the argument that named it: C{"certificate"}, C{"certificates"} or
        C{"clientCA"}.

    @since: 0.1
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(problem)
        self.argument = argument


@dataclass(frozen=True)
class Sources:
    """
    The paths of certificates.

    @ivar pair: the files of the default certificate and its key, or C{None}.
    @ivar folder: the folder of further certificates, or C{None}.
    @ivar authorities: the file with the authorities of clients' certificates, or
        C{None}.
    """

    pair: Paths | None = None
    folder: str | None = None
    authorities: str | None = None


@dataclass(frozen=True)
class Shown:
    """
    A loaded certificate and its context.
    """

    identity: Identity
    context: SSL.Context


class Table:
    """
    Finds the certificate for a server name.
    """

    def __init__(self, shown: Iterable[Shown]) -> None:
        """
        @param shown: the certificates, at least one; the first is the default.
        """
        ordered = list(shown)
        self.default = ordered[0].context
        self.byName: dict[str, SSL.Context] = {}
        self._valid: set[str] = set()
        # The sort is stable: of equal ranks the first one is used.
        ordered.sort(key=lambda one: one.identity.rank(), reverse=True)
        for one in ordered:
            if one.identity.isValid:
                self._valid.update(one.identity.names)
            for name in one.identity.names:
                self.byName.setdefault(name, one.context)

    def find(self, name: bytes | None) -> SSL.Context:
        """
        The context for a server name, compared without regard to case; the default for
        C{None} and for unknown names.
        """
        if not name:
            return self.default
        text = name.decode("latin-1").lower().rstrip(".")
        found = self.byName.get(text)
        if text not in self._valid:
            # RFC 6125 section 6.4.3: a wildcard is for one label.
            first, _, rest = text.partition(".")
            wildcard = f"*.{rest}" if first else ""
            if found is None or wildcard in self._valid:
                found = self.byName.get(wildcard, found)
        return self.default if found is None else found


class Store:
    """
    Loads certificates, and loads them again when their files change.

    @ivar table: the certificates in use.

    @param sources: the paths of the certificates.
    @param maker: makes their contexts.
    @param chooseName: for L{ContextMaker.make}.
    @raise BadTLSFile: if a file can not be loaded.
    """

    _log = Logger()

    def __init__(
        self,
        sources: Sources,
        maker: ContextMaker,
        chooseName: Callable[[SSL.Connection], None],
    ) -> None:
        self._sources = sources
        self._maker = maker
        self._chooseName = chooseName
        self._shown: dict[Paths, Shown] = {}
        # The signatures of files when they were last read, with or without success.
        self._seen: dict[tuple[str, ...], Signature] = {}
        self._start()

    def _start(self) -> None:
        """
        Load all files, and raise for the first error.
        """
        sources = self._sources
        argument = "clientCA"
        try:
            if sources.authorities is not None:
                self._maker = self._readAuthorities(sources.authorities)
            argument = "certificate"
            if sources.pair is not None:
                self._shown[sources.pair] = self._load(sources.pair)
            argument = "certificates"
            if sources.folder is not None:
                for paths in find_pairs(sources.folder):
                    self._shown[paths] = self._load(paths)
        except (OSError, ValueError) as error:
            raise BadTLSFile(argument, describe_problem(error)) from error
        self.table = Table(self._shown.values())
        for one in self._shown.values():
            self._warn(one.identity)

    def refresh(self, everything: bool) -> list[str]:
        """
        Read the files that have changed, and use the new certificates.

        @param everything: read all files, and drop certificates that are no longer in
            the folder.
        @return: the errors, one line each.
        """
        problems: list[str] = []
        maker = self._refreshAuthorities(everything, problems)
        shown: dict[Paths, Shown] = {}
        for paths, isRead in self._wanted(everything, problems).items():
            one = self._shown.get(paths)
            if one is not None and maker is not self._maker:
                one = self._again(one, maker)
            if isRead and (everything or self._changed(*paths)):
                one = self._reread(paths, one, maker, problems)
            if one is not None:
                shown[paths] = one
        gone = [paths for paths in self._shown if paths not in shown]
        if shown:
            self._maker, self._shown = maker, shown
            self.table = Table(shown.values())
            for paths in gone:
                self._seen.pop(paths, None)
                self._log.info("TLS: {path} is gone, and not used", path=paths[0])
        return problems

    def warnings(self) -> list[str]:
        """
        Warnings of certificates that clients will not accept now, one line each.
        """
        found = [one.identity.warning() for one in self._shown.values()]
        return [warning for warning in found if warning is not None]

    # -- the parts of that --------------------------------------------------------

    def _refreshAuthorities(
        self, everything: bool, problems: list[str]
    ) -> ContextMaker:
        path = self._sources.authorities
        if path is None or not (everything or self._changed(path)):
            return self._maker
        try:
            return self._readAuthorities(path)
        except (OSError, ValueError) as error:
            self._report(problems, error, "the old authorities are kept")
            return self._maker

    def _wanted(self, everything: bool, problems: list[str]) -> dict[Paths, bool]:
        """
        The certificates to use, the default first, and whether their files exist.

        A file that is gone may be about to be replaced: its certificate stays in use
        until all files are read with C{everything}.
        """
        pair, folder = self._sources.pair, self._sources.folder
        wanted = {} if pair is None else {pair: True}
        if folder is None:
            return wanted
        try:
            found = find_pairs(folder)
        except (OSError, ValueError) as error:
            # Reported once, until the folder changes again.
            if everything or self._changed(folder):
                self._seen[(folder,)] = signature(folder)
                self._report(problems, error, "the old certificates are kept")
            return {**dict.fromkeys(self._shown, False), **wanted}
        self._seen.pop((folder,), None)
        if not everything:
            found = in_order({*found, *self._shown} - {*wanted})
        return {**wanted, **dict.fromkeys(found, True)}

    def _reread(
        self,
        paths: Paths,
        old: Shown | None,
        maker: ContextMaker,
        problems: list[str],
    ) -> Shown | None:
        """
        Read a certificate whose files have changed.

        @return: the new certificate; the old one, or C{None}, if it can not be loaded.
        """
        try:
            new = self._load(paths, maker)
        except (OSError, ValueError) as error:
            kept = "left out" if old is None else "the old certificate is kept"
            self._report(problems, error, kept)
            return old
        if old is None or new.identity.certificate != old.identity.certificate:
            self._log.info(
                "TLS: loaded {certificate}", certificate=new.identity.describe()
            )
            self._warn(new.identity)
        return new

    def _changed(self, *paths: str) -> bool:
        return self._seen.get(paths) != signature(*paths)

    def _readAuthorities(self, path: str) -> ContextMaker:
        self._seen[(path,)] = signature(path)
        found: list[x509.Certificate] = read_certificates(path)
        if tuple(found) == self._maker.authorities:
            return self._maker
        return replace(self._maker, authorities=tuple(found))

    def _load(self, paths: Paths, maker: ContextMaker | None = None) -> Shown:
        # Taken before the files are read: a later change has another signature.
        self._seen[paths] = signature(*paths)
        identity = load_identity(*paths)
        try:
            context = (maker or self._maker).make(identity, self._chooseName)
        except (SSL.Error, crypto.Error) as error:
            raise ValueError(f"{paths[0]}: {describe_problem(error)}") from error
        return Shown(identity, context)

    def _again(self, old: Shown, maker: ContextMaker) -> Shown:
        return Shown(old.identity, maker.make(old.identity, self._chooseName))

    def _warn(self, identity: Identity) -> None:
        problem = identity.warning()
        if problem is not None:
            self._log.warn("TLS: {problem}", problem=problem)

    def _report(self, problems: list[str], error: Exception, kept: str) -> None:
        problem = describe_problem(error)
        problems.append(problem)
        self._log.error("TLS: {problem}; {kept}", problem=problem, kept=kept)
