"""Testbed files of labs: hosts, ports, links and roles; what is accepted, and what is said of the rest."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.machine import Rig
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.testbed_file import load, read

EXAMPLES = Path(__file__).parents[2] / "fixtures" / "testbeds"
LAB = """\
# a lab, its keys in an odd order
[testbed.t]
generator = "gen1"
device = "dut1"  # there
kind = "lab"

[[link]]
ends = ["gen1.p0", "dut1.p0"]
speed = "10GbE"
[[link]]
speed = "25GbE"
ends = [
    "gen1.p1",
    "dut1.p1",
]

[host.dut1]
ssh = "dut1"
python = "~/venv/bin/python"
ports.p0 = { interface = "eth1" }
ports.p1 = { pci = "0000:3b:00.1", vf = 2 }
device_cores = { 0 = [2, 3], 1 = [18] }
may_change = ["governor"]
tags = ["x710"]

[host.gen1]
generator_cores = [2]
[host.gen1.ports]
p0.interface = "eth1"
p1.interface = "eth2"
"""


def loaded(folder: Path, text: str) -> dict[str, Testbed]:
    path = folder / "lab.toml"
    path.write_text(text)
    return load(path)


def rig_of(testbed: Testbed) -> Rig:
    assert testbed.kind == "lab"
    assert testbed.rig is not None
    return testbed.rig


def test_a_lab_is_read_whole(tmp_path: Path) -> None:
    testbed = loaded(tmp_path, LAB)["t"]
    rig = rig_of(testbed)
    device, generator = rig.device, rig.generator_machine
    assert (device.address, device.python, generator.address) == ("dut1", "~/venv/bin/python", "")
    assert [str(port) for port in device.ports] == ["p0 (eth1)", "p1 (0000:3b:00.1 vf 2)"]
    assert device.device_cores == (2, 3, 18)
    assert device.core_nodes == {2: 0, 3: 0, 18: 1}
    assert (generator.generator_cores, generator.core_nodes) == ((2,), {})
    assert device.may_change == {"governor"}
    assert testbed.tags == {"x710"}
    assert [(str(near), str(far)) for near, far in rig.between("gen1", "dut1")] == [
        ("p0 (eth1)", "p0 (eth1)"),
        ("p1 (eth2)", "p1 (0000:3b:00.1 vf 2)"),
    ]


def test_the_line_rate_of_a_lab_is_that_of_its_slowest_cable_unless_said(tmp_path: Path) -> None:
    assert str(loaded(tmp_path, LAB)["t"].link) == "10GbE"
    assert str(loaded(tmp_path, LAB.replace('kind = "lab"', 'kind = "lab"\nlink = "1GbE"'))["t"].link) == "1GbE"
    assert str(loaded(tmp_path, LAB)["t"].search_link) == "10GbE"


def test_a_lab_is_a_key_and_goes_into_the_record(tmp_path: Path) -> None:
    testbed = loaded(tmp_path, LAB)["t"]
    assert {testbed: 1}[loaded(tmp_path, LAB)["t"]] == 1
    kept = json.loads(json.dumps(testbed.to_json()))["rig"]
    assert kept["cables"] == ["gen1.p0 - dut1.p0 (10GbE)", "gen1.p1 - dut1.p1 (25GbE)"]
    assert (kept["devices"], kept["generator"]) == (["dut1"], "gen1")
    assert kept["hosts"]["dut1"]["core_nodes"] == {"2": 0, "3": 0, "18": 1}


def test_hosts_may_come_before_their_links_and_testbeds(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(LAB[LAB.index("[host.dut1]") :])
    assert list(read(path).machines) == ["dut1", "gen1"]
    with pytest.raises(ConfigurationError, match=r"at least one table \[testbed.NAME\]"):
        load(path)


@pytest.mark.parametrize(
    ("name", "testbed", "hosts", "cables"),
    [
        ("two-servers", "back-to-back", ["dut1", "gen1"], 2),
        ("one-server", "loop", ["server"], 2),
        ("three-nodes", "across", ["dut1", "dut2", "gen1"], 4),
        ("three-nodes", "alone", ["dut1", "gen1"], 2),
    ],
)
def test_examples(name: str, testbed: str, hosts: list[str], cables: int) -> None:
    rig = rig_of(load(EXAMPLES / f"{name}.toml")[testbed])
    assert list(rig.machines) == hosts
    assert len(rig.cables) == cables


def test_on_one_server_the_generators_ends_come_first() -> None:
    rig = rig_of(load(EXAMPLES / "one-server.toml")["loop"])
    assert [(near.name, far.name) for near, far in rig.between("server", "server")] == [
        ("out0", "in0"),
        ("out1", "in1"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('ssh = "dut1"', 'shs = "dut1"', 18, "unknown key 'shs'; accepted: device_cores"),
        ('ssh = "dut1"', 'ssh = "-oProxyCommand=x"', 18, "ssh = '-oProxyCommand=x': accepted: [user@]host[:port]"),
        ('ssh = "dut1"', 'ssh = "a b"', 18, "ssh = 'a b'"),
        ('ssh = "dut1"', 'ssh = "dut1:65536"', 18, "ssh = 'dut1:65536'"),
        ('ssh = "dut1"', "ssh = 7", 18, "7 is not a text"),
        ('"~/venv/bin/python"', '"python; true"', 19, "python = 'python; true': accepted"),
        (
            'interface = "eth1" }',
            'inteface = "eth1" }',
            20,
            "unknown key 'inteface'; accepted: interface, pci, vf",
        ),
        ('interface = "eth1" }', 'interface = "-eth1" }', 20, "interface = '-eth1': accepted: 1 to 15"),
        ('interface = "eth1" }', "}", 20, "port p0: accepted: one of interface"),
        ('{ interface = "eth1" }', '"eth1"', 20, "'eth1': accepted: p0 = {"),
        ("0000:3b:00.1", "3b:00.1", 21, "pci = '3b:00.1': accepted: domain:bus:device.function"),
        ("vf = 2", "vf = 256", 21, "vf = 256: accepted: 0 to 255"),
        ("vf = 2", 'vf = "2"', 21, "'2' is not a whole number"),
        ('pci = "0000:3b:00.1", vf = 2', 'interface = "eth1"', 20, "ports p0 and p1 are both eth1"),
        ("{ 0 = [2, 3], 1 = [18] }", "{ 0 = [2, 3], 1 = [3] }", 22, "device_cores: 3 is there twice"),
        ("{ 0 = [2, 3], 1 = [18] }", "{ a = [2, 3] }", 22, "NUMA node 'a'"),
        ("{ 0 = [2, 3], 1 = [18] }", "{}", 22, "a table of one key or more"),
        ("{ 0 = [2, 3], 1 = [18] }", "[2, -1]", 22, "core -1: accepted: 0 or more"),
        ("{ 0 = [2, 3], 1 = [18] }", "[]", 22, "[] is empty"),
        ("tags", "generator_cores = { 1 = [2] }\ntags", 24, "core 2 on NUMA node 1, above on 0"),
        ('["governor"]', '["governer"]', 23, "may_change names governer; accepted: cpu-frequency, governor"),
        ('["x710"]', '["x 710"]', 24, "tag 'x 710': accepted"),
        ("[host.gen1]", '[host.gen1]\npython = "/opt/python"', 27, "python goes with ssh; on this machine"),
        ("[host.gen1]", "[host.-gen1]", 26, "host name '-gen1': accepted: letters"),
        ('p0.interface = "eth1"', "p0 = 1", 29, "1: accepted: p0 = {"),
        ('"gen1.p0"', '"gen2.p0"', 8, "unknown host 'gen2'; known: dut1, gen1"),
        ('"gen1.p0"', '"gen1.p7"', 8, "host gen1 has no port 'p7'; it has: p0, p1"),
        ('"gen1.p0"', '"gen1"', 8, "'gen1': accepted: HOST.PORT"),
        ('["gen1.p0", "dut1.p0"]', '["gen1.p0"]', 8, "accepted: two ports"),
        ('["gen1.p0", "dut1.p0"]', '["gen1.p0", "gen1.p0"]', 8, "link from gen1.p0 to itself"),
        ('"dut1.p1",', '"dut1.p0",', 14, "port dut1.p0 has a link already (testbed file"),
        ('"10GbE"', '"10 GB"', 9, "link '10 GB': accepted: a speed such as"),
        ('speed = "25GbE"', "", 10, 'speed is missing; accepted: "10GbE"'),
        ('speed = "25GbE"', 'speed = "25GbE"\ncolour = 1', 12, "unknown key 'colour'; accepted: ends, speed"),
        ('device = "dut1"', 'device = "dut2"', 4, "unknown host 'dut2'; known: dut1, gen1"),
        ('device = "dut1"', 'device = ["dut1", "dut1"]', 4, "'dut1' is there twice"),
        ('device = "dut1"', "device = []", 4, "[] is empty"),
        ('device = "dut1"', "", 2, 'device is missing; accepted: "dut1"'),
        ('generator = "gen1"', 'generator = "gen"', 3, "unknown host 'gen'; known: dut1, gen1"),
        ('generator = "gen1"', 'generator = "dut1"', 2, "links between dut1 and dut1: 0; accepted: 2 or more"),
        ('generator = "gen1"', "", 2, 'generator is missing; accepted: "gen1"'),
        ('kind = "lab"', 'kind = "local"', 4, "device goes with kind 'lab', not 'local'"),
        ('kind = "lab"', 'kind = "lab"\ndevice_cores = [1]', 6, "device_cores goes with kind 'local' or 'sim'"),
        ('kind = "lab"', 'kind = "lab"\nmtu = 1', 6, "mtu = 1: accepted"),
        ("[testbed.t]", "[testbed.sim]", 2, "other than the built-in"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in LAB
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, LAB.replace(old, new, 1))
    message = str(raised.value)
    assert message.startswith(f"testbed file {tmp_path / 'lab.toml'}, line {line}: "), message
    assert says in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("host = 1", ", line 1: accepted: tables [host.NAME]"),
        ("\nhost.a = 1", ", line 2: accepted: tables [host.NAME]"),
        ("[link]\nends = []", ", line 1: accepted: tables [[link]]"),
        ("\n[testbed]\na = 1", ", line 3: accepted: tables [testbed.NAME]"),
    ],
)
def test_tables_of_another_shape(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, text)
    assert says in str(raised.value)


ODD = [
    "7",
    "-1",
    '""',
    "'x'",
    "[]",
    "[[]]",
    "{}",
    "{ a = 1 }",
    "true",
    "1.5",
    "1979-05-27",
    '"\\u0000"',
    "[1, 'a']",
    '"a.b"',
]


@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_read(data: st.DataObject) -> None:
    lines = LAB.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["drop", "twice", "value", "moved", "cut"]))
        line = lines.pop(at)
        if how == "value":
            lines.insert(at, f"{line.partition('=')[0]}= {data.draw(st.sampled_from(ODD))}")
        elif how == "twice":
            lines[at:at] = [line, line]
        elif how == "moved":
            lines.insert(data.draw(st.integers(0, len(lines))), line)
        elif how == "cut":
            lines.insert(at, line[: data.draw(st.integers(0, len(line)))])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lab.toml"
        path.write_text("\n".join(lines))
        with suppress(ConfigurationError):
            assert all(testbed.kind for testbed in load(path).values())


def test_a_device_with_one_cable(tmp_path: Path) -> None:
    text = LAB.replace('[[link]]\nspeed = "25GbE"\nends = [\n    "gen1.p1",\n    "dut1.p1",\n]\n', "")
    with pytest.raises(
        ConfigurationError, match="links between dut1 and gen1: 1; accepted: 2 or more, as frames go"
    ):
        loaded(tmp_path, text)


def test_cores_are_shared_only_on_one_host(tmp_path: Path) -> None:
    two = LAB.replace("generator_cores = [2]", "generator_cores = [2, 3]")
    assert rig_of(loaded(tmp_path, two)["t"]).generator_machine.generator_cores == (2, 3)
    one = (EXAMPLES / "one-server.toml").read_text().replace("[4, 5]", "[3, 4]")
    with pytest.raises(ConfigurationError, match="host server: generator_cores = \\[3, 4\\]: shares core 3"):
        loaded(tmp_path, one)
