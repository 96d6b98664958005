"""What `testbed discover` finds on a host, and the text that it makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import CommandError
from pytest_nfv.hosts.nic_ports import FoundPort, read_ports
from pytest_nfv.hosts.processors import Processors, read_processors
from pytest_nfv.model.machine import Machine
from pytest_nfv.model.testbed_file import read
from pytest_nfv.testbeds.draft import draft, host_name, split
from tests.unit.recorded_hosts import NET, RecordedHost, address, answers, link, two_sockets


def drafted(folder: Path, host: RecordedHost) -> tuple[str, Machine]:
    text = draft("dut1", "dut1", read_ports(host), read_processors(host))
    path = folder / "draft.toml"
    path.write_text(text)
    return text, read(path).machines["dut1"]


def test_ports_of_a_server() -> None:
    ports = {port.pci: port for port in read_ports(two_sockets())}
    assert list(ports) == ["0000:01:00.0", "0000:81:00.0", "0000:81:00.1", "0000:81:00.2", "0000:81:02.0"]
    assert ports["0000:01:00.0"].used_by == ("192.0.2.10/24", "default route")
    x710 = ports["0000:81:00.0"]
    assert (x710.interface, x710.driver, x710.speed_mbps, x710.node) == ("ens1f0", "i40e", 10000, 1)
    assert (x710.carrier, x710.used_by, x710.vfs, x710.vfs_most) == (True, (), 1, 64)
    assert (ports["0000:81:00.1"].up, ports["0000:81:00.1"].carrier) == (False, None)
    assert ports["0000:81:00.2"] == FoundPort("", pci="0000:81:00.2", driver="vfio-pci", node=1)
    assert ports["0000:81:02.0"].function_of == "0000:81:00.0"
    assert ports["0000:81:02.0"].carrier is False


def test_a_port_under_another_interface_is_not_free() -> None:
    files = {f"{NET}/{name}/device/uevent": "DRIVER=virtio_net\n" for name in ("eth1", "eth2", "eth3")}
    bridge = link("br0", kind="bridge", addr_info=[address("192.0.2.1", 24)])
    links = [
        bridge,
        link("eth1", master="br0"),
        link("eth2"),
        link("eth2.7", kind="vlan", link="eth2"),
        link("eth3"),
    ]
    found = read_ports(RecordedHost(files, answers(links, [], [])))
    assert {port.interface: port.used_by for port in found} == {
        "eth1": ("part of br0",),
        "eth2": ("eth2.7 is on it",),
        "eth3": (),
    }


def test_ends_of_veth_pairs_are_ports() -> None:
    links = [link("data0", kind="veth", link="data1"), link("data1", kind="veth", link="data0")]
    found = read_ports(RecordedHost({}, answers(links, [], [])))
    assert [(port.interface, port.driver, port.used_by) for port in found] == [
        ("data0", "veth", ()),
        ("data1", "veth", ()),
    ]


def test_a_host_without_iproute2() -> None:
    with pytest.raises(CommandError, match="ip -j -d addr"):
        read_ports(RecordedHost({}))


def test_cores_of_a_server() -> None:
    cores = read_processors(two_sockets())
    assert cores.nodes[1] == (*range(8, 16), *range(24, 32))
    assert cores.siblings[17] == (1, 17)
    assert (cores.threads, cores.boost, cores.node_of(24), cores.node_of(99)) == (2, True, 1, None)
    assert cores.first_threads(1) == tuple(range(8, 16))
    assert cores.huge_pages == {(0, 2048): 0, (1, 2048): 1024, (0, 1048576): 0, (1, 1048576): 2}


def test_a_machine_that_tells_nothing_but_its_cores() -> None:
    cores = read_processors(RecordedHost({"/sys/devices/system/cpu/online": "0-1\n"}))
    assert cores == Processors({0: (0, 1)}, {0: (0,), 1: (1,)}, (), {}, {}, None)


def test_a_draft_of_a_server_can_be_read(tmp_path: Path) -> None:
    text, machine = drafted(tmp_path, two_sockets())
    assert machine.address == "dut1"
    assert [str(port) for port in machine.ports] == [
        "p0 (0000:81:00.0)",
        "p1 (0000:81:00.1)",
        "p2 (0000:81:02.0)",
    ]
    assert machine.generator_cores == (14, 15)
    assert machine.device_cores == (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13)
    assert {machine.core_nodes[core] for core in (14, 15)} == {1}
    assert machine.tags == ("i40e", "iavf")
    for said in (
        'ports.p0 = { pci = "0000:81:00.0" }  # ens1f0, 0000:81:00.0, i40e, link up, 10GbE, NUMA node 1, 1 of 64 ',
        "# management: eno1 (192.0.2.10/24, default route); eno1, 0000:01:00.0, igb, link up, 1GbE, NUMA node 0",
        '# ports.p? = { pci = "0000:81:00.2" }  # no interface is seen: driver vfio-pci has it',
        "ens1f1, 0000:81:00.1, i40e, not set up, NUMA node 1",
        "# NUMA node 1: cores 8-15,24-31, 2 threads a physical core; 1024 huge pages of 2 MiB, 2 huge",
        "# NUMA node 0: cores 0-7,16-23, 2 threads a physical core; no huge pages",
        "scaling_driver intel_pstate",
        '# speed = "10GbE"',
    ):
        assert said in text, text


def test_the_comments_are_right_once_they_are_filled_in(tmp_path: Path) -> None:
    text, _ = drafted(tmp_path, two_sockets())
    other = text.split("\n\n")[0].replace("dut1", "gen1")
    rest = text[text.index("# [[link]]") :].replace("# ", "").replace("GENERATOR", "gen1")
    (tmp_path / "lab.toml").write_text(f"{text}\n{other}\n{rest}")
    rig = read(tmp_path / "lab.toml").testbeds["dut1"].rig
    assert rig is not None
    assert [str(cable) for cable in rig.cables] == [
        "gen1.p0 - dut1.p0 (10GbE)",
        "gen1.p1 - dut1.p1 (10GbE)",
    ]


def test_facts_take_few_round_trips() -> None:
    host = two_sockets()
    read_ports(host)
    read_processors(host)
    assert host.calls <= 7


def test_odd_names_do_not_spoil_the_file(tmp_path: Path) -> None:
    files = {f'{NET}/e"th1/device/uevent': "DRIVER=virtio_net\n"}
    files |= {f"{NET}/eth2/device/uevent": "DRIVER=nvme_net\nPCI_SLOT_NAME=what\n"}
    host = RecordedHost(
        files | {"/sys/devices/system/cpu/online": "0\n"}, answers([link('e"th1'), link("eth2")], [], [])
    )
    _, machine = drafted(tmp_path, host)
    assert [str(port) for port in machine.ports] == ["p0 (eth2)"]
    assert (machine.device_cores, machine.generator_cores) == ((0,), ())


@pytest.mark.parametrize(
    ("cores", "device", "generator"),
    [(1, (0,), ()), (2, (0,), (1,)), (3, (0,), (1, 2)), (4, (1,), (2, 3)), (8, (1, 2, 3, 4, 5), (6, 7))],
)
def test_cores_of_small_machines(cores: int, device: tuple[int, ...], generator: tuple[int, ...]) -> None:
    all_of = tuple(range(cores))
    assert split([], Processors({0: all_of}, {core: (core,) for core in all_of})) == (device, generator)


def test_isolated_cores_are_taken_where_there_are() -> None:
    cores = Processors({0: tuple(range(8))}, {core: (core,) for core in range(8)}, isolated=(3, 4, 5, 6))
    assert split([], cores) == ((3, 4), (5, 6))


@given(st.text() | st.text("a-.@:", min_size=60))
def test_every_address_gives_a_name_that_a_file_takes(text: str) -> None:
    Machine(host_name(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nfv@gen1.lab.example:22", "gen1"),
        ("dut1", "dut1"),
        ("[fd00::1]", "fd00"),
        ("192.0.2.7", "192-0-2-7"),
        ("", "host"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert host_name(text) == name
