"""
Try a release in a copy of the last commit, and publish nothing:

    python .ci/release.py VERSION

Needs C{build}, C{towncrier} and C{twine} (the extra C{dev}).  The clone stays as it
is, and the copy, which has no remote, is gone when this ends.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
NOBODY = ["-c", "user.name=A dry run", "-c", "user.email=nobody@example.invalid"]


def run(where: Path, *command: str) -> str:
    """
    Run a command in a folder; end with what it says if it fails.
    """
    print("$", " ".join(command), flush=True)
    done = subprocess.run(
        command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{command[0]}: status {done.returncode}")
    return done.stdout


def write_version(copy: Path, new: str) -> None:
    """
    Put the version where the package has it.
    """
    path = copy / "twisted_h11" / "__init__.py"
    text, count = re.subn(
        r'(?m)^__version__ = ".*"$', f'__version__ = "{new}"', path.read_text("utf-8")
    )
    if count != 1:
        raise SystemExit(f"{path} has no one place for the version")
    path.write_text(text, encoding="utf-8")


def changelog(copy: Path, new: str) -> str:
    """
    Make the changelog of the fragments, which are gone then.

    @return: its first lines.
    """
    run(copy, sys.executable, "-m", "towncrier", "build", "--version", new, "--yes")
    left = [path.name for path in (copy / "newsfragments").iterdir()]
    if left != ["README.rst"]:
        raise SystemExit(f"fragments are left: {left}")
    text = (copy / "CHANGELOG.rst").read_text("utf-8")
    if f"twisted-h11 {new} (" not in text:
        raise SystemExit("CHANGELOG.rst has no such version")
    return "\n".join(text.splitlines()[:24])


def built(copy: Path, folder: Path) -> list[Path]:
    """
    Build, and look at what was built.
    """
    run(copy, sys.executable, "-m", "build", "-q", "--outdir", str(folder), ".")
    files = sorted(folder.iterdir())
    wheels = [str(path) for path in files if path.suffix == ".whl"]
    run(copy, sys.executable, "-m", "twine", "check", "--strict", *map(str, files))
    run(copy, sys.executable, ".ci/wheel_contents.py", *wheels)
    return files


def installed(wheel: Path, folder: Path) -> str:
    """
    Install the wheel where nothing else is.

    @return: what it says its version is.
    """
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    run(folder, python, "-m", "pip", "install", "-q", str(wheel))
    ask = "from importlib.metadata import version; print(version('twisted-h11'))"
    return run(folder, python, "-c", ask).strip()


def main(arguments: list[str]) -> int:
    """
    Go through the steps of docs/releasing.rst.
    """
    if len(arguments) != 1 or VERSION.fullmatch(arguments[0]) is None:
        raise SystemExit("usage: python .ci/release.py VERSION, such as 0.1.0")
    new = arguments[0]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        copy = work / "copy"
        run(work, "git", "clone", "-q", "--no-hardlinks", str(TOP), str(copy))
        run(copy, "git", "remote", "remove", "origin")
        if run(copy, "git", "tag", "--list", new).strip():
            raise SystemExit(f"there is a tag {new} already")
        # Sums that are the same each time.
        os.environ["SOURCE_DATE_EPOCH"] = run(
            copy, "git", "log", "-1", "--format=%ct"
        ).strip()
        write_version(copy, new)
        news = changelog(copy, new)
        run(copy, "git", "add", "--all")
        run(copy, "git", *NOBODY, "commit", "-q", "-m", f"Release {new}")
        run(copy, "git", *NOBODY, "tag", "-a", new, "-m", f"twisted-h11 {new}")
        files = built(copy, work / "dist")
        [wheel] = [path for path in files if path.suffix == ".whl"]
        if installed(wheel, work / "empty") != new:
            raise SystemExit("the wheel has another version")
        print(news, "...", sep="\n")
        for path in files:
            print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
        print(run(copy, "git", "show", "--no-patch", "--format=%s", new))
    print(f"{new} could be released; nothing was published")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
