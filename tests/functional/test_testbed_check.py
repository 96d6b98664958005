"""`testbed discover` and `check` on this machine: its facts, and frames over real cables between namespaces."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.testbed_file import read
from pytest_nfv.testbeds.check import check
from pytest_nfv.testbeds.rows import Row

FILE = """
[host.dut]
ports.p0 = { interface = "data0" }
ports.p1 = { interface = "data1" }
device_cores = [0]
[host.gen]
ports.p0 = { interface = "data0" }
ports.p1 = { interface = "data1" }
generator_cores = [0]
[[link]]
ends = ["gen.p0", "dut.p0"]
speed = "10GbE"
[[link]]
ends = ["dut.p1", "gen.p1"]
speed = "10GbE"
[testbed.lab]
kind = "lab"
device = "dut"
generator = "gen"
"""
Hosts = dict[str, NamespaceHost]
Wire = Callable[[str, str], None]


@pytest.fixture
def lab(needs: Callable[[str], None]) -> Iterator[tuple[Hosts, Wire]]:
    """Two namespaces as hosts, and what puts a cable between an interface of `dut` and one of `gen`."""
    needs("netns")
    run = new_run_id()
    made = Lab(LocalHost(run), run)
    hosts = {name: made.namespace(name) for name in ("dut", "gen")}

    def wire(dut: str, gen: str) -> None:
        one = VethEnd(hosts["dut"], dut, f"02:00:00:00:00:0{dut[-1]}")
        other = VethEnd(hosts["gen"], gen, f"02:00:00:00:01:0{gen[-1]}")
        made.veth(one, other, 1500)

    try:
        yield hosts, wire
    finally:
        made.close()


def checked(folder: Path, hosts: Hosts) -> dict[tuple[str, str], Row]:
    (folder / "lab.toml").write_text(FILE)
    rows = check(read(folder / "lab.toml"), "", lambda machine: hosts[machine.name])
    return {(row.subject, row.what): row for row in rows}


def test_cables_as_the_file_says(tmp_path: Path, lab: tuple[Hosts, Wire]) -> None:
    hosts, wire = lab
    wire("data0", "data0")
    wire("data1", "data1")
    rows = checked(tmp_path, hosts)
    for cable in ("gen.p0 - dut.p0", "dut.p1 - gen.p1"):
        assert rows[cable, "cable"].said == "frames from one end come out at the other"
    assert rows["dut.p0", "port"].said == "data0, veth, link up"
    assert rows["lab on dut", "linux-bridge"].state == "ok"
    assert [row for row in rows.values() if row.state == "missing" and row.what != "rights"] == []


def test_cables_that_are_crossed(tmp_path: Path, lab: tuple[Hosts, Wire]) -> None:
    hosts, wire = lab
    wire("data0", "data1")
    wire("data1", "data0")
    rows = checked(tmp_path, hosts)
    assert rows["gen.p0 - dut.p0", "cable"].said == "frames come out at dut.p1"
    assert rows["dut.p1 - gen.p1", "cable"].said == "frames come out at gen.p0"
    assert rows["dut.p1 - gen.p1", "cable"].state == "missing"


def test_a_port_that_is_not_there_and_one_in_use(tmp_path: Path, lab: tuple[Hosts, Wire]) -> None:
    hosts, wire = lab
    wire("data0", "data0")
    hosts["dut"].run(["ip", "address", "add", "192.0.2.1/24", "dev", "data0"])
    rows = checked(tmp_path, hosts)
    assert rows["dut.p0", "port"].said == "data0 is in use: 192.0.2.1/24"
    assert rows["dut.p1", "port"].said == "no port data1 there"
    assert rows["gen.p0 - dut.p0", "cable"].state == "note"


def test_a_far_end_that_is_switched_off(tmp_path: Path, lab: tuple[Hosts, Wire]) -> None:
    hosts, wire = lab
    wire("data0", "data0")
    hosts["gen"].run(["ip", "link", "set", "data0", "down"])
    rows = checked(tmp_path, hosts)
    assert rows["dut.p0", "port"].said == "data0, veth: no link"
    assert rows["gen.p0", "port"].state == "note"


def command(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest_nfv", "testbed", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)


def test_what_is_found_here_is_what_is_checked(tmp_path: Path) -> None:
    done = command("discover", "local", "--name", "here")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "here.toml"
    path.write_text(done.stdout)
    machine = read(path).machines["here"]
    assert machine.address == ""
    assert set(machine.device_cores) <= set(range(os.cpu_count() or 1))
    done = command("check", str(path))
    assert "here  device_cores     ok" in done.stdout
    assert "root" in done.stdout if os.geteuid() == 0 else done.returncode == 1


def test_the_exit_status_tells_whether_something_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text('[testbed.a]\nkind = "local"\ndevice_cores = [4095]\n')
    done = command("check", str(path))
    assert done.returncode == 1
    assert "MISSING  core 4095 is not online" in done.stdout
    assert "1 things that a run needs are missing" in done.stderr
    done = command("check", str(path), "b")
    assert (done.returncode, "unknown testbed 'b'; known: a" in done.stderr) == (1, True)


def test_a_host_that_cannot_be_one() -> None:
    done = command("discover", "-oProxyCommand=x")
    assert done.returncode == 2
    done = command("discover", "a b")
    assert done.returncode == 1
    assert "host 'a b': ssh = 'a b': accepted: [user@]host[:port]" in done.stderr
