"""What `testbed check` says of hosts that have, or have not, what a testbed file says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_nfv import __version__
from pytest_nfv.errors import ConfigurationError, DeploymentError
from pytest_nfv.hosts.nic_ports import read_ports
from pytest_nfv.hosts.protocol import Completed
from pytest_nfv.model.testbed_file import read
from pytest_nfv.testbeds.check import CAPABILITIES, check
from pytest_nfv.testbeds.host_checks import VERSION
from pytest_nfv.testbeds.port_checks import Reached, crossing
from pytest_nfv.testbeds.rows import Row, failed, missing, note, ok, table
from tests.unit.recorded_hosts import CPU, NET, PCI, RecordedHost, RecordedProcess, link, two_sockets

LAB = """
[host.dut1]
ssh = "dut1"
ports.p0 = { interface = "ens1f0" }
ports.p1 = { pci = "0000:81:00.1" }
device_cores = { 0 = [1, 2], 1 = [9] }
may_change = ["cpu-frequency", "turbo", "smt", "huge-pages", "offloads"]
[host.gen1]
ports.p0 = { interface = "ens1f0" }
ports.p1 = { pci = "0000:81:00.1" }
generator_cores = { 1 = [10] }
[[link]]
ends = ["gen1.p0", "dut1.p0"]
speed = "10GbE"
[[link]]
ends = ["gen1.p1", "dut1.p1"]
speed = "10GbE"
[testbed.lab]
kind = "lab"
device = "dut1"
generator = "gen1"
vswitches = ["linux-bridge", "ovs"]
[testbed.model]
kind = "sim"
simulation = "capacity=1Mpps"
"""
SWITCHES = {
    "linux-bridge": {"found": "6.8.0", "missing": "", "remedy": ""},
    "ovs": {"found": "", "missing": "no ovs-vswitchd", "remedy": "apt-get install openvswitch-switch"},
}


def server(**more: str) -> RecordedHost:
    """Return a server that has it all; its second port is set up, with a link of 10GbE."""
    host = two_sockets()
    links = json.loads(host.answers["ip", "-j", "-d", "addr"])
    links = [link("ens1f1") if one["ifname"] == "ens1f1" else one for one in links]
    host.files[f"{NET}/ens1f1/speed"] = "10000\n"
    host.files["/proc/sys/vm/nr_hugepages"] = "1024\n"
    host.files[f"{CPU}/cpu0/cpufreq/scaling_max_freq"] = "2600000\n"
    host.answers |= {
        ("ip", "-j", "-d", "addr"): json.dumps(links),
        ("uname", "-nr"): "dut1 6.8.0-45\n",
        ("id", "-u"): "0\n",
        (host.python, *VERSION): f"{__version__}\n",
        (host.python, *CAPABILITIES, "linux-bridge", "ovs"): json.dumps(SWITCHES),
    }
    host.files |= more
    return host


def rows_of(
    folder: Path, text: str = LAB, name: str = "", hosts: Mapping[str, RecordedHost] | None = None
) -> dict[tuple[str, str], Row]:
    path = folder / "lab.toml"
    path.write_text(text)
    given = hosts or {"dut1": server(), "gen1": server()}
    found = list(check(read(path), name, lambda machine: given[machine.name]))
    rows = {(row.subject, row.what): row for row in found}
    assert len(rows) == len(found)
    return rows


def crossed(monkeypatch: pytest.MonkeyPatch, comes_out: str) -> None:
    monkeypatch.setattr(
        "pytest_nfv.testbeds.port_checks.crossing", lambda one, interface, other: comes_out or interface
    )


def test_a_lab_that_is_as_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossed(monkeypatch, "")
    rows = rows_of(tmp_path)
    assert rows["dut1", "reached"] == ok("dut1", "reached", "dut1 6.8.0-45, by `ssh dut1`; its key is known")
    assert rows["gen1", "reached"].said == "dut1 6.8.0-45, this machine"
    assert rows["dut1", "package"].said == f"pytest-nfv {__version__} on Python 3.12.3, /opt/nfv/bin/python"
    assert rows["dut1", "device_cores"].said == "1, 2, 9"
    assert rows["dut1.p1", "port"] == ok("dut1.p1", "port", "ens1f1, i40e, link up, 10GbE")
    assert rows["dut1", "huge pages"].said == "1024 of 2 MiB, 2 of 1024 MiB"
    assert rows["dut1", "turbo"].state == rows["dut1", "cpu-frequency"].state == "ok"
    assert rows["dut1", "smt"].state == "note"
    assert rows["gen1.p0 - dut1.p0", "cable"].state == "ok"
    assert rows["lab on dut1", "linux-bridge"] == ok("lab on dut1", "linux-bridge", "6.8.0")
    assert rows["model", "testbed"].state == "ok"
    assert [row for row in rows.values() if row.state == "missing"] == [
        missing("lab on dut1", "ovs", "no ovs-vswitchd", "apt-get install openvswitch-switch")
    ]


def test_one_testbed_asks_its_hosts_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossed(monkeypatch, "")
    assert list(rows_of(tmp_path, name="model")) == [("model", "testbed")]
    text = LAB + '[host.other]\nssh = "other"\n'
    assert ("gen1", "reached") in rows_of(tmp_path, text, name="lab")
    with pytest.raises(ConfigurationError, match="unknown testbed 'x'; known: lab, model"):
        rows_of(tmp_path, name="x")


class Unreachable(RecordedHost):
    def run(self, *argv: object, **more: object) -> Completed:
        raise DeploymentError("on dut1: the host key is not known\nssh-keyscan dut1 >> ~/.ssh/known_hosts")


def test_a_host_that_is_not_reached_stops_nothing_else(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, hosts={"dut1": Unreachable({}), "gen1": server()})
    assert rows["dut1", "reached"].state == "missing"
    assert "ssh-keyscan dut1" in rows["dut1", "reached"].said
    assert rows["gen1", "rights"].state == "ok"
    assert rows["gen1.p0 - dut1.p0", "cable"].state == "note"
    assert "dut1 is not reached" in rows["lab", "vswitches"].said
    assert not [subject for subject, what in rows if subject.startswith("dut1") and what != "reached"]


def test_a_host_without_package_and_root(tmp_path: Path) -> None:
    dut = server()
    del dut.answers[dut.python, *VERSION]
    dut.answers["id", "-u"] = "1000\n"
    rows = rows_of(tmp_path, hosts={"dut1": dut, "gen1": server()})
    assert rows["dut1", "package"].remedy == "python -m pytest_nfv provision dut1"
    assert rows["dut1", "rights"].remedy == 'ssh = "root@dut1"'
    assert rows["gen1.p0 - dut1.p0", "cable"].said.endswith("dut1 lacks root or the package")
    assert rows["lab", "vswitches"].state == "note"


def test_another_version_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossed(monkeypatch, "")
    dut = server()
    dut.answers[dut.python, *VERSION] = "0.0.1\n"
    row = rows_of(tmp_path, hosts={"dut1": dut, "gen1": server()})["dut1", "package"]
    assert (row.state, row.said.endswith(f"where this is {__version__}")) == ("missing", True)


@pytest.mark.parametrize(
    ("change", "subject", "said"),
    [
        (("[9]", "[99]"), ("dut1", "device_cores"), "core 99 is not online"),
        (("1 = [9]", "1 = [3]"), ("dut1", "device_cores"), "core 3 is on NUMA node 0, not 1"),
        (('"ens1f0"', '"ens9"'), ("dut1.p0", "port"), "no port ens9 there"),
        (('"ens1f0"', '"eno1"'), ("dut1.p0", "port"), "eno1 is in use: 192.0.2.10/24, default route"),
        (('"ens1f0"', '"ens1f0v0"'), ("gen1.p0 - dut1.p0", "cable"), "no link, although both ends are set up"),
        (
            ('speed = "10GbE"', 'speed = "25GbE"'),
            ("dut1.p0", "port"),
            "ens1f0 has 10GbE, where its link says 25GbE",
        ),
        (('"ens1f0" }', '"ens1f0", vf = 3 }'), ("dut1.p0", "port"), "ens1f0 has no virtual function 3 with an"),
    ],
)
def test_what_is_not_as_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], subject: tuple[str, str], said: str
) -> None:
    crossed(monkeypatch, "")
    assert change[0] in LAB
    row = rows_of(tmp_path, LAB.replace(*change, 1))[subject]
    assert row.state == "missing"
    assert row.said.startswith(said)
    assert row.remedy


@pytest.mark.parametrize(
    ("change", "subject", "said"),
    [
        (("81:00.1", "81:00.2"), ("dut1.p1", "port"), "0000:81:00.2 is DPDK's (vfio-pci)"),
        (("[1, 2]", "[1, 17]"), ("dut1", "SMT"), "cores 1 and 17 are threads of one physical core"),
        (("{ 1 = [10] }", "{ 0 = [3] }"), ("gen1", "NUMA"), "generator cores on node 0, ports on 1"),
        (("{ 1 = [10] }", "[3, 10]"), ("gen1", "NUMA"), "generator cores on node 0, ports on 1"),
        (("{ 1 = [10] }", "[3]"), ("gen1", "device_cores"), "none named: chosen among all"),
    ],
)
def test_what_a_run_can_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], subject: tuple[str, str], said: str
) -> None:
    crossed(monkeypatch, "")
    row = rows_of(tmp_path, LAB.replace(*change, 1))[subject]
    assert (row.state, row.said.startswith(said)) == ("note", True)


def test_a_port_that_is_in_another_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossed(monkeypatch, "")
    dut = server(**{f"{PCI}/0000:81:00.2/uevent": "DRIVER=i40e\n"})
    rows = rows_of(tmp_path, LAB.replace("81:00.1", "81:00.2", 1), hosts={"dut1": dut, "gen1": server()})
    assert rows["dut1.p1", "port"].said == "0000:81:00.2 (i40e) has no interface that is seen"
    assert rows["dut1.p1", "port"].state == "missing"


def test_a_port_that_is_not_set_up_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gen = server()
    gen.answers["ip", "-j", "-d", "addr"] = two_sockets().answers["ip", "-j", "-d", "addr"]
    crossed(monkeypatch, "")
    rows = rows_of(tmp_path, name="lab", hosts={"dut1": server(), "gen1": gen})
    assert rows["gen1.p1", "port"].state == "note"
    assert rows["gen1.p1 - dut1.p1", "cable"].state == "note"


def test_a_host_that_is_lost_meanwhile(tmp_path: Path) -> None:
    dut = server()
    del dut.answers["id", "-u"]
    rows = rows_of(tmp_path, hosts={"dut1": dut, "gen1": server()})
    assert rows["dut1", "looked at"].state == "missing"
    assert rows["gen1", "rights"].state == "ok"


def test_a_virtual_function_is_the_port_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossed(monkeypatch, "")
    dut = server(**{f"{PCI}/0000:81:00.0/virtfn0/uevent": "PCI_SLOT_NAME=0000:81:02.0\n"})
    text = LAB.replace('"ens1f0" }', '"ens1f0", vf = 0 }', 1)
    row = rows_of(tmp_path, text, hosts={"dut1": dut, "gen1": server()})["dut1.p0", "port"]
    assert (row.state, row.said) == ("note", "ens1f0v0, iavf: no link")


def test_a_cable_in_the_wrong_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossed(monkeypatch, "ens1f1")
    rows = rows_of(tmp_path)
    assert rows["gen1.p0 - dut1.p0", "cable"].said == "frames come out at dut1.p1"
    assert rows["gen1.p1 - dut1.p1", "cable"].state == "ok"


def reached(folder: Path, name: str, host: RecordedHost) -> Reached:
    (folder / "lab.toml").write_text(LAB)
    return Reached(read(folder / "lab.toml").machines[name], host, read_ports(host), package=True, root=True)


def test_frames_are_sent_once_the_other_end_listens(tmp_path: Path) -> None:
    gen, dut = server(), server()
    gen.obliging, dut.process = True, RecordedProcess("listening\nens1f0\n", 0, "")
    assert crossing(reached(tmp_path, "gen1", gen), "ens1f0", reached(tmp_path, "dut1", dut)) == "ens1f0"
    listened, program = dut.ran[-1], (dut.python, "-m", "pytest_nfv.hosts.cable")
    assert listened[:5] == (*program, "listen", "3.0")
    assert listened[6:] == ("ens1f0", "ens1f1")
    assert gen.ran[-1] == (*program, "send", listened[5], "ens1f0")
    assert dut.process.stopped


def test_an_end_that_cannot_listen(tmp_path: Path) -> None:
    dut = server()
    dut.process = RecordedProcess("", 1, "Operation not permitted")
    with pytest.raises(DeploymentError, match="Operation not permitted"):
        crossing(reached(tmp_path, "gen1", server()), "ens1f0", reached(tmp_path, "dut1", dut))
    assert dut.process.stopped


def test_the_table() -> None:
    rows = [ok("a", "port", "up"), note("bb", "x", "odd"), missing("bb", "y", "gone", "get it")]
    assert table(rows).splitlines() == [
        "a   port  ok       up",
        "bb  x     note     odd",
        "bb  y     MISSING  gone; get it",
        "1 ok, 1 notes, 1 missing",
    ]
    assert failed(rows) == 1
