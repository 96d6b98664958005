"""`ready` of another host, by SSH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pytest_nfv.hosts.survey import survey
from tests.functional.ssh_lab import ssh_lab


def test_a_far_host_says_what_spoils_a_measurement_there(needs: Callable[[str], None], tmp_path: Path) -> None:
    needs("sshd")
    core = min(os.sched_getaffinity(0))
    with ssh_lab(tmp_path) as lab:
        file = tmp_path / "lab.toml"
        file.write_text(
            f'[host.dut1]\nssh = "dut"\npython = "{sys.executable}"\ndevice_cores = [{core}]\n'
            f'ports.p0 = {{ interface = "{lab.hosts["dut"].ports[0]}" }}\n'
        )
        argv = [sys.executable, "-m", "pytest_nfv", "ready", "dut1", "--testbed", str(file), "--json"]
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=60, check=False, env=os.environ | lab.environment
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        told = [one["text"] for one in found]
        isolated = survey([core]).cores[0].isolated  # both hosts are this machine
        assert (f"the scheduler may give device cores {core} other work" in told) is not isolated
        assert all(one["remedy"] for one in found)
        done = subprocess.run(
            [word for word in argv if word != "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | lab.environment,
        )
        assert done.stdout.startswith("read")
