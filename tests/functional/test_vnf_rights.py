"""Where VNFs run, for a user without rights: what needs none runs, and the rest says how to get it."""

from __future__ import annotations

import json
import subprocess

import pytest

from pytest_nfv.hosts import remains
from pytest_nfv.hosts.run_id import new_run_id
from tests.functional.test_lab_rights import DEADLINE_S, nobodys_python

AS_NOBODY = """
import json, sys
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.vnfs.lxc import LxcVnf
from pytest_nfv.vnfs.namespace import NamespaceVnf
run_id = sys.argv[1]
told = {}
try:
    lab = Lab(LocalHost(run_id), run_id)
except CapabilityMissing as error:
    print(json.dumps({"no lab": str(error)}))
    sys.exit()
space = lab.namespace("vnf")
asked = {
    "enclosed": lambda: NamespaceVnf(lab, space).run(["sh", "-c", "ls /sys/class/net; echo $$"]).stdout.split(),
    "limited": lambda: NamespaceVnf(lab, space, memory_mib=64).name,
    "lxc": lambda: LxcVnf(lab, space).start_container(),
}
for name, ask in asked.items():
    try:
        told[name] = ask()
    except CapabilityMissing as error:
        told[name] = str(error)
lab.close()
print(json.dumps(told))
"""


def test_as_a_user_without_any_right() -> None:
    command = nobodys_python()
    run_id = new_run_id()
    argv = [*command[:-1], "XDG_RUNTIME_DIR=", command[-1], "-c", AS_NOBODY, run_id]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/", timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if "no lab" in told:
        pytest.skip(told["no lab"])
    if isinstance(told["enclosed"], list):
        assert told["enclosed"] == ["lo", "2"]
    else:
        assert told["enclosed"].startswith("namespace: "), told
        assert "run as root" in told["enclosed"]
    assert told["limited"].startswith(("memory-limit: ", "namespace: ")), told
    assert told["lxc"].startswith("lxc: "), told
    assert remains.processes_of(run_id) == []
