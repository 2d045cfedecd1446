"""
From a clone to a service behind nginx, as docs/deployment.rst says, word for word.

It runs as root, in mounts and a network of its own, so that nothing is left of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.long.test_deployment_systemd import HANDING_OVER
from tests.support.deployment import unit
from tests.support.long_cases import TOP, LongTestCase
from tests.support.optional import find_program

# What is written to is another folder for this process and its children.
BEFORE = """
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
for folder in /etc /srv /run /var/log; do
    mkdir -p "$WORK/$folder"
    cp -a "$folder/." "$WORK/$folder" 2>/dev/null || true
    mount --bind "$WORK/$folder" "$folder"
done
rm -f /etc/nginx/conf.d/shop.conf /run/nginx.pid
# The user of the service need not be able to enter the work folder.
cp "$WORK/open.py" /run/open.py
cd "$WORK/clone"

# In the place of systemd.
systemctl() {
    case "$*" in
    daemon-reload)
        said=$(systemd-analyze verify /etc/systemd/system/h11web.s* 2>&1) || true
        ! grep h11web <<<"$said" ;;
    "enable --now h11web.socket h11web.service")
        for made in /run/h11web /var/log/h11web; do
            mkdir -p "$made"
            chown shop:shop "$made"
        done
        (cd /srv/shop && exec setpriv --reuid shop --regid shop --clear-groups \
            /srv/shop/venv/bin/python /run/open.py >"$WORK/service.out" 2>&1) &
        ;;
    "reload nginx") nginx ;;
    *) return 1 ;;
    esac
}
"""

# Opens the socket of the unit, and runs the command of the service.
OPEN = """
import os, socket, sys
made = socket.socket()
made.bind(("127.0.0.1", 8080))
made.listen(2048)
high = os.dup(made.fileno())
os.set_inheritable(high, True)
os.execv(sys.executable, [sys.executable, "-c", {handing_over!r},
         str(high), "h11web.socket", *{command!r}.split()])
"""


def section() -> list[tuple[str, str]]:
    """
    The commands of the section, each with what it says.
    """
    text = (TOP / "docs" / "deployment.rst").read_text("utf-8")
    text = text.partition("From a clone to a service\n---")[2]
    text = text.partition("\nsystemd\n---")[0]
    found: list[tuple[str, str]] = []
    for block in re.findall(r"code-block:: console\n\n((?:    .*\n)+)", text):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if line.startswith("    # "):
                found.append((line[6:], ""))
            else:
                command, said = found[-1]
                found[-1] = command, f"{said}{line.strip()}\n"
    return found


class DeployedTests(LongTestCase):
    """
    The section.
    """

    def setUp(self) -> None:
        """
        See what is there, and make a clone.
        """
        super().setUp()
        if os.geteuid():
            raise SkipTest("only root can mount")
        for program in ("nginx", "curl", "openssl", "systemd-analyze", "setpriv", "ip"):
            if find_program(program) is None:
                raise SkipTest(f"{program} is not installed")
        for tried in (["unshare", "-mn", "true"], ["/usr/bin/python3", "-c", _VENV]):
            if subprocess.run(tried, capture_output=True, check=False).returncode:
                raise SkipTest(f"{tried[0]} can not do it here")
        self.work = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.work)
        os.chmod(self.work, 0o755)
        leftovers = (".git", ".venv", "_trial_temp*", "build", "*.egg-info", "_build")
        shutil.copytree(
            TOP, f"{self.work}/clone", ignore=shutil.ignore_patterns(*leftovers)
        )

    def script(self) -> str:
        """
        The commands, in order; what they say is kept in numbered files.  The network
        is left where the service begins: all before may need it, for pip.
        """
        lines = [BEFORE]
        for number, (command, _) in enumerate(section()):
            if command == "systemctl daemon-reload":
                lines.append('if [ -z "${INSIDE:-}" ]; then INSIDE=1 exec unshare -n')
                lines[-1] += ' --pid --fork --kill-child bash "$0"; fi'
                lines.insert(1, 'if [ -z "${INSIDE:-}" ]; then')
                lines.insert(-1, "fi")
                lines.append("ip link set lo up")
            if command.startswith("curl "):
                # The service is still starting.
                command += " --retry 50 --retry-delay 1 --retry-all-errors"
            lines.append(f'{command} >"$WORK/{number}.out" 2>>"$WORK/errors"')
        return "\n".join(lines)

    def test_wordForWord(self) -> None:
        """
        All commands succeed, and say what the page says.
        """
        command = unit("h11web.service")["Service"]["ExecStart"]
        Path(self.work, "open.py").write_text(
            OPEN.format(handing_over=HANDING_OVER, command=command)
        )
        script = Path(self.work, "script")
        script.write_text(self.script())
        done = subprocess.run(
            ["unshare", "-m", "--propagation", "private", "bash", str(script)],
            env={"WORK": self.work, "HOME": self.work},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        more = "".join(
            Path(self.work, name).read_text("utf-8")
            for name in ("errors", "service.out")
            if Path(self.work, name).exists()
        )
        self.assertEqual(0, done.returncode, done.stdout + more)
        for number, (typed, said) in enumerate(section()):
            if said:
                really = Path(self.work, f"{number}.out").read_text("utf-8")
                self.assertEqual(said.strip(), really.strip(), typed)
        self.say(f"{len(section())} commands")


_VENV = "import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 10))"
