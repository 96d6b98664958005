"""A lab for a user without rights, and where the kernel forbids it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_nfv.hosts import remains, userns
from pytest_nfv.hosts.run_id import new_run_id

DEADLINE_S = 30.0
PACKAGE_PARENT = Path(__file__).parents[2]
NOBODY = "65534"

AS_NOBODY = """
import json, sys
from pathlib import Path
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.reap import reap
from pytest_nfv.vswitches.linux_bridge import LinuxBridge
run_id = sys.argv[1]
try:
    reap()
    lab = Lab(LocalHost(run_id), run_id)
    switch = LinuxBridge(lab, {})
    ports = switch.start(2, 1500, [0])
    seen = switch.generator_host.run(["cat", "/proc/net/dev"]).stdout
    switch.check()
    print(json.dumps({"rootless": lab.rootless, "ports": len(ports), "notes": switch.notes, "seen": seen}))
    switch.stop()
    lab.close()
except CapabilityMissing as error:
    print(json.dumps({"missing": str(error)}))
"""


def nobodys_python() -> list[str]:
    """Return the command of an interpreter that user `nobody` can start and that has what the package needs."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("becoming another user takes root and setpriv (package util-linux)")
    become = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
    places = ":".join([str(PACKAGE_PARENT), *(path for path in sys.path if path.endswith("site-packages"))])
    for interpreter in (sys.executable, "/usr/bin/python3"):
        command = [*become, "env", f"PYTHONPATH={places}", "PYTHONDONTWRITEBYTECODE=1", interpreter]
        tried = subprocess.run([*command, "-c", "import pytest_nfv, pyroute2"], capture_output=True, cwd="/")
        if tried.returncode == 0:
            return command
    pytest.skip("user nobody may not read this interpreter or checkout: put both outside of /root")


def test_as_a_user_without_any_right(tmp_path_factory: pytest.TempPathFactory) -> None:
    command = nobodys_python()
    run_id = new_run_id()
    argv = [*command[:-1], "XDG_RUNTIME_DIR=", command[-1], "-c", AS_NOBODY, run_id]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/", timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if "missing" in told:
        assert "sysctl" in told["missing"] or "run as root" in told["missing"]
        pytest.skip(told["missing"])
    assert told["rootless"] is True
    assert told["ports"] == 2
    assert "g0:" in told["seen"]
    assert any("not pinned" in note for note in told["notes"])
    assert remains.processes_of(run_id) == []


def test_where_user_namespaces_are_forbidden_it_says_how_to_get_them(tmp_path: Path) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None or not userns.privileged():
        pytest.skip("forbidding user namespaces takes root and setpriv (package util-linux)")
    # A user namespace whose own limit is zero: the same refusal as on a machine with the setting at 0.
    code = f"""
import ctypes, os
from pathlib import Path
from pytest_nfv.hosts import kernel, userns
userns.enter()
Path("/proc/sys/user/max_user_namespaces").write_text("0")
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
try:
    Lab(LocalHost(), {new_run_id()!r}, True, Path({str(tmp_path)!r}))
except CapabilityMissing as error:
    print(error.capability, "|", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("netns | ")
    assert "user.max_user_namespaces is 0" in done.stdout
    assert "sudo sysctl -w user.max_user_namespaces=" in done.stdout
    assert list(tmp_path.iterdir()) == []
