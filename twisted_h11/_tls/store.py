"""
The certificates of a server: those that are shown now, and those that their files say.

Files are read anew when they have changed.  What can not be read, or does not fit
together, changes nothing: it is told once, and what was loaded before goes on being
shown.  Everything else that is new is shown all the same, from one moment to the next.
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
    A certificate, a key or a folder of these can not be used.

    @ivar argument: which argument named it: C{"certificate"}, C{"certificates"} or
        C{"clientCA"}.

    @since: 0.1
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(problem)
        self.argument = argument


@dataclass(frozen=True)
class Sources:
    """
    Where certificates are.

    @ivar pair: files of the default certificate and its key, if one is named.
    @ivar folder: the folder of others, if there is one.
    @ivar authorities: the file of those that clients' certificates are from.
    """

    pair: Paths | None = None
    folder: str | None = None
    authorities: str | None = None


@dataclass(frozen=True)
class Shown:
    """
    A certificate that was loaded.
    """

    identity: Identity
    context: SSL.Context


class Table:
    """
    Which certificate goes with which server name.
    """

    def __init__(self, shown: Iterable[Shown]) -> None:
        """
        @param shown: at least one; the first is the default.
        """
        ordered = list(shown)
        self.default = ordered[0].context
        self.byName: dict[str, SSL.Context] = {}
        self._valid: set[str] = set()
        # Of equals the first wins.
        ordered.sort(key=lambda one: one.identity.rank(), reverse=True)
        for one in ordered:
            if one.identity.isValid:
                self._valid.update(one.identity.names)
            for name in one.identity.names:
                self.byName.setdefault(name, one.context)

    def find(self, name: bytes | None) -> SSL.Context:
        """
        The context for a server name, in any case; that of the default for none, and
        for an unknown one.
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
    Loads certificates, and does so again.

    @ivar table: what is shown.

    @param sources: where they are.
    @param maker: what makes their contexts.
    @param chooseName: for L{ContextMaker.make}.
    @raise BadTLSFile: if one can not be loaded.
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
        # What was seen of files when they were last read, however that ended.
        self._seen: dict[tuple[str, ...], Signature] = {}
        self._start()

    def _start(self) -> None:
        """
        Load everything; all of it must be right.
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
        Read the files that have changed, and show what they say.

        @param everything: read all files, and forget certificates that are no longer
            in the folder.
        @return: what could not be loaded, a line for each.
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
                self._log.info("TLS: {path} is gone, and not shown", path=paths[0])
        return problems

    def warnings(self) -> list[str]:
        """
        What clients will not accept today of what is shown, a line for each.
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
            self._report(problems, error, "the old authorities hold")
            return self._maker

    def _wanted(self, everything: bool, problems: list[str]) -> dict[Paths, bool]:
        """
        The certificates that there should be, the default first, and whether their
        files can be looked at.

        A file that is gone may be about to be replaced: then its certificate is shown
        until somebody asks for everything to be read.
        """
        pair, folder = self._sources.pair, self._sources.folder
        wanted = {} if pair is None else {pair: True}
        if folder is None:
            return wanted
        try:
            found = find_pairs(folder)
        except (OSError, ValueError) as error:
            # Told once, for as long as nothing changes there.
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
        What is to be shown of a certificate whose files have changed: what they say, or
        what was shown before, C{None} if nothing was.
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
        # Before they are read: what changes meanwhile is read again.
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
