"""
One mutant: C{python -m tests.mutation.one FOLDER MODULE NUMBER TEST...} runs the
tests with one mutant of the module in its place, until the first fails.  The number
C{-1} is the module as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from tests.mutation.mutants import mutants
from tests.mutation.rooms import module_path

__all__ = ["Instead"]


class Instead(MetaPathFinder, Loader):
    """
    Has a module be imported from code that is in no file.
    """

    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self._module = module
        self._path = path
        self._code = code

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """
        Be asked for a module.
        """
        if fullname != self._module:
            return None
        return spec_from_file_location(fullname, self._path, loader=self)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """
        The usual one.
        """
        return None

    def exec_module(self, module: ModuleType) -> None:
        """
        Run the code.
        """
        exec(self._code, vars(module))


def _no_shrinking() -> None:
    """
    That an example fails is enough: do not look for the smallest.
    """
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutation", settings.default, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutation")


def main(folder: str, module: str, number: int, tests: list[str]) -> None:
    """
    Run, and exit with 0 if all tests pass.
    """
    path = module_path(module)
    if number >= 0:
        source = path.read_text(encoding="utf-8")
        code = mutants(source)[number].code(str(path))
        sys.meta_path.insert(0, Instead(module, path, code))
    _no_shrinking()
    from twisted.scripts import trial

    sys.argv = ["trial", "-x", "--temp-directory", folder, *tests]
    trial.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
