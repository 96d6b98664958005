"""A real guest: its kernel's functions between real ports, its end, and what it leaves. A boot costs seconds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from pytest_nfv.errors import CapabilityMissing, CommandError, ConfigurationError, DeploymentError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.hosts.run_id import RUN_VARIABLE, new_run_id
from pytest_nfv.model.nf import Drop, Firewall, Function, L2Fwd, L3Fwd
from pytest_nfv.model.nf_oracle import process
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.routes import Route, RouteTable
from pytest_nfv.model.rules import Rule, RuleSet
from pytest_nfv.rings.vhost_user import VhostUserPort
from pytest_nfv.rings.vhost_user_backend import VhostUserBackendPort
from pytest_nfv.vnfs import vm_image, vm_kvm, vm_modules, vm_qmp
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vnfs.vm import VirtualMachine
from pytest_nfv.vnfs.vm_kernel import Kernel
from pytest_nfv.vnfs.vm_needs import guest_kernel
from pytest_nfv.vnfs.vm_settings import Machine, Tap, VhostUser
from pytest_nfv.vswitches.linux_bridge import LinuxBridge
from pytest_nfv.vswitches.ovs_dpdk import OvsDpdk
from pytest_nfv.vswitches.protocol import Vnic, Wiring
from tests.functional.conftest import wait_for

pytestmark = pytest.mark.usefixtures("nothing_left")

NICS = ("02:6e:66:00:00:00", "02:6e:66:00:00:01")
STATIONS = ("02:6e:66:00:01:00", "02:6e:66:00:01:01")
DEADLINE_S = 10.0

# Sends frames into interfaces; prints what came out of them, until as many did as are asked for.
EXCHANGE = """
import json, select, socket, sys, time
asked = json.load(sys.stdin)
PACKET_IGNORE_OUTGOING = 23
taps = []
for name in asked["taps"]:
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    one.setsockopt(263, PACKET_IGNORE_OUTGOING, 1)
    one.bind((name, 3))
    taps.append(one)
for nic, frame in asked["frames"]:
    taps[nic].send(bytes.fromhex(frame))
came, until = [], time.monotonic() + asked["within_s"]
while len(came) < asked["wanted"] and time.monotonic() < until:
    for one in select.select(taps, [], [], 0.1)[0]:
        came.append((taps.index(one), one.recv(65536).hex()))
json.dump(came, sys.stdout)
"""

HOLDER = """
import sys
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.vnfs.vm import VirtualMachine
from pytest_nfv.vnfs.vm_needs import guest_kernel
from pytest_nfv.vnfs.vm_settings import Machine, Tap
run = sys.argv[1]
lab = Lab(LocalHost(run), run)
machine = Machine((Tap("t0", "02:6e:66:00:00:00"),), accelerator="tcg")
guest = VirtualMachine(lab, machine, host=lab.namespace("dut"))
guest.start([0])
print(guest._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def kernel(needs: Callable[[str], None], lacks: Callable[[CapabilityMissing], None]) -> Kernel:
    needs("netns")
    try:
        VirtualMachine.probe(LocalHost())
        return guest_kernel(LocalHost())
    except CapabilityMissing as missing:
        lacks(missing)
        raise


@pytest.fixture
def lab() -> Iterator[Lab]:
    run_id = new_run_id()
    made = Lab(LocalHost(run_id), run_id)
    yield made
    made.close()


Made = Callable[..., VirtualMachine]


@pytest.fixture
def made(lab: Lab) -> Iterator[Made]:
    """Return a function that makes a virtual machine; each is stopped behind the test."""
    machines: list[VirtualMachine] = []

    def make(machine: Machine, **words: Any) -> VirtualMachine:
        machines.append(VirtualMachine(lab, machine, **words))
        return machines[-1]

    yield make
    for one in machines:
        one.stop()


def core() -> int:
    return min(os.sched_getaffinity(0))


def exchanged(
    host: Host, frames: Sequence[tuple[int, bytes]], wanted: int, interfaces: Sequence[str] = ("t0", "t1")
) -> list[tuple[int, bytes]]:
    asked = {
        "taps": list(interfaces),
        "frames": [(nic, frame.hex()) for nic, frame in frames],
        "wanted": wanted,
        "within_s": DEADLINE_S,
    }
    done = host.run([sys.executable, "-c", EXCHANGE], stdin=json.dumps(asked), timeout_s=2 * DEADLINE_S)
    return [(nic, bytes.fromhex(frame)) for nic, frame in json.loads(done.stdout)]


def agree(guest: VirtualMachine, host: NamespaceHost, function: Function, frames: Sequence[bytes]) -> int:
    """Let a guest do a function for frames both ways, the last of which pass; return how many it dropped."""
    guest.forward(function)
    both = [(nic, frame) for frame in frames for nic in (0, 1)]
    judged = [process(function, nic, frame) for nic, frame in both]
    assert not isinstance(judged[-1], Drop)
    assert not isinstance(judged[-2], Drop)
    out = [(one.nic, one.frame) for one in judged if not isinstance(one, Drop)]
    came = exchanged(host, both, len(out))
    for nic in (0, 1):
        assert sorted(frame for at, frame in came if at == nic) == sorted(frame for at, frame in out if at == nic)
    return len(both) - len(out)


def udp(
    number: int,
    source: str = "198.18.0.1",
    destination: str = "198.19.0.1",
    ttl: int = 64,
    chksum: int | None = None,
) -> bytes:
    packet = Ether(dst="02:00:00:00:00:aa", src="02:00:00:00:00:bb") / IP(
        src=source, dst=destination, ttl=ttl, chksum=chksum
    )
    return bytes(packet / UDP(sport=1000 + number, dport=7) / (b"%08d" % number * 4))


def test_a_guests_kernel_does_what_the_oracle_says(lab: Lab, made: Made, kernel: Kernel) -> None:
    host = lab.namespace("dut")
    machine = Machine((Tap("t0", NICS[0]), Tap("t1", NICS[1])), accelerator="tcg")
    guest = made(machine, host=host)
    guest.start([core()], kernel)
    assert guest.accelerator == "tcg"
    assert guest.release == kernel.release
    assert "TCG" in guest.notes[0]
    (processor,) = guest.processors()
    assert guest.threads()[processor] == "CPU 0/TCG"
    assert os.sched_getaffinity(processor) == {core()}

    frames = [udp(number) for number in range(50)]
    others = [bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:bb") / ARP()).ljust(60, b"\0")]
    others += [b"\x33\x33\0\0\0\1\2\0\0\0\0\1\x86\xdd" + bytes(46), frames[0][:14] + bytes(1486)]
    before = guest.cpu_times()
    assert agree(guest, host, L2Fwd(), [*others, *frames]) == 0
    assert 0 < guest.cpu_times().since(before, "vm0").busy <= 1
    none = {"guest drops": 0}
    assert list(guest.counters()) == [VnicCounters(53, 53, none, none)] * 2

    guest.run(["ip", "link", "delete", "br0"])
    rules = (
        Rule("drop", protocol=17, destination_ports=(1, 6)),
        Rule("drop", source_ports=(1005, 1010)),
        Rule("drop", destination=Route.of("198.19.7.0/24", 0).prefix),
        Rule("allow", protocol=17),
    )
    tcp = [
        bytes(Ether(dst=STATIONS[1], src=STATIONS[0]) / IP(src="198.18.0.1", dst="198.19.0.1") / TCP(sport=port))
        for port in (9, 1006)
    ]
    offered = [*tcp, *others[:2], udp(0, destination="198.19.7.9"), *frames]
    lost = agree(guest, host, Firewall(RuleSet(rules)), offered)
    assert lost == 2 * (2 + 2 + 1 + 6)
    assert guest.drops() == {"policy": lost, "malformed": 0}

    guest.run(["ip", "link", "delete", "br0"])
    guest.run(["nft", "flush", "ruleset"])
    for nic in ("nic0", "nic1"):
        guest.run(["ip", "link", "set", nic, "down"])
    table = RouteTable(
        (
            Route.of("198.18.0.0/16", 0),
            Route.of("198.19.0.0/16", 1),
            Route.of("198.19.9.0/24", 1, "02:00:00:00:00:09"),
            Route.of("198.19.9.64/26", 0, "02:00:00:00:00:08"),
        )
    )
    offered = [
        udp(0, ttl=1),
        udp(1, ttl=2),
        udp(2, destination="198.20.0.1"),
        udp(3, destination="198.19.9.1"),
        udp(4, destination="198.19.9.65"),
        udp(5, chksum=7),
        others[0],
        *frames,
        *(udp(number, "198.19.0.1", "198.18.0.1") for number in range(50)),
        udp(6, destination="198.19.9.65"),
        udp(7),
    ]
    assert agree(guest, host, L3Fwd(table, addresses=NICS, neighbours=STATIONS), offered) == 8
    assert guest.drops() == {"malformed or ttl": 4, "no_route": 2, "other": 0}
    with pytest.raises(CommandError, match="on vm0: ip link set nic9 up: exit status 1"):
        guest.run(["ip", "link", "set", "nic9", "up"])
    guest.check()
    guest.stop()
    guest.stop()
    with pytest.raises(DeploymentError, match="vm0 is not started"):
        guest.run(["true"])


Port = VhostUserBackendPort | VhostUserPort


def passes(into: Port, out: Port, frame: bytes) -> None:
    """Send eight numbered frames into a port; they come out of the other, in order."""
    into.prepare(np.frombuffer(frame, np.uint8)[np.newaxis])
    out.expect(len(frame))
    words = into.reserve(8)
    words[:, 0] = range(8)
    assert into.commit(8) == (8, 0)
    came: list[bytes] = []

    def look() -> bool:
        if arrived := out.receive(64):
            came.extend(arrived.frames[n, : arrived.octets[n]].tobytes() for n in range(len(arrived.octets)))
            out.release()
        return len(came) >= 8

    wait_for(look, "eight frames through the guest")
    assert [one[:-16] for one in came] == [frame[:-16]] * 8
    assert [int.from_bytes(one[-16:-8], "little") for one in came] == list(range(8))


def test_a_guest_forwards_between_vhost_user_ports(lab: Lab, made: Made, kernel: Kernel) -> None:
    sockets = [str(lab.directory / f"v{port}") for port in (0, 1)]
    ports = VhostUserBackendPort.open_all(
        [
            PortSpec("vhost_user_backend", station, 1500, {"socket": path, "role": "server"})
            for station, path in zip(STATIONS, sockets, strict=True)
        ]
    )
    nics = tuple(VhostUser(path, address) for path, address in zip(sockets, NICS, strict=True))
    guest = made(Machine(nics, accelerator="tcg"))
    try:
        guest.start([core()], kernel)
        guest.forward(L2Fwd())
        passes(ports[0], ports[1], udp(0))
        passes(ports[1], ports[0], udp(1))
        assert [nic.rx_frames for nic in guest.counters()] == [8, 8]
    finally:
        guest.stop()
        for port in ports:
            port.close()


def test_a_guest_forwards_behind_ovs_with_dpdk(
    lab: Lab, made: Made, kernel: Kernel, needs: Callable[[str], None]
) -> None:
    needs("ovs-dpdk")
    node = lab.namespace("vnf")
    vnics = tuple(Vnic("vm0", number, node, address) for number, address in enumerate(NICS))
    switch = OvsDpdk(lab, {})
    ports: tuple[VhostUserPort, ...] = ()
    try:
        specs = switch.start(2, 1500, [core()], Wiring(vnics, ((0, 2), (1, 3))))
        nics = tuple(VhostUser(spec.parameters["socket"], spec.address, "server", slots=256) for spec in specs[2:])
        guest = made(Machine(nics, accelerator="tcg"))
        guest.start([core()], kernel)
        guest.forward(L2Fwd())
        ports = VhostUserPort.open_all(specs[:2])
        wait_for(lambda: len(switch.threads()) > 0 and connected(switch), "all ports of OVS connected")
        passes(ports[0], ports[1], udp(0))
        passes(ports[1], ports[0], udp(1))
        assert [(nic.rx_frames, nic.tx_frames) for nic in guest.counters()] == [(8, 8), (8, 8)]
    finally:
        for port in ports:
            port.close()
        switch.stop()


def connected(switch: OvsDpdk) -> bool:
    try:
        return len(switch.counters()) > 0
    except DeploymentError:
        return False


def test_a_guest_forwards_behind_a_bridge(lab: Lab, made: Made, kernel: Kernel) -> None:
    vnics = tuple(
        Vnic("vm0", number, lab.namespace("vnf"), address, tap=True) for number, address in enumerate(NICS)
    )
    switch = LinuxBridge(lab, {})
    try:
        specs = switch.start(2, 1500, [core()], Wiring(vnics, ((0, 2), (1, 3))))
        taps = tuple(Tap(spec.parameters["interface"], spec.address) for spec in specs[2:])
        host = switch.device_host
        assert isinstance(host, NamespaceHost)
        guest = made(Machine(taps, accelerator="tcg"), host=host)
        guest.start([core()], kernel)
        guest.forward(L2Fwd())
        frames = [
            (nic, udp(number, at)) for number in range(20) for nic, at in ((0, "198.18.0.1"), (1, "198.19.0.1"))
        ]
        frames = [
            (nic, b"\x02\0\0\0\0" + bytes([nic]) + frame[6:11] + bytes([0x10 + nic]) + frame[12:])
            for nic, frame in frames
        ]
        interfaces = [spec.parameters["interface"] for spec in specs[:2]]
        came = exchanged(switch.generator_host, frames, len(frames), interfaces)
        assert sorted(came) == sorted((1 - nic, frame) for nic, frame in frames)
    finally:
        switch.stop()


def test_dpdk_in_a_guest_does_what_the_oracle_says(
    lab: Lab, made: Made, kernel: Kernel, needs: Callable[[str], None]
) -> None:
    needs("testpmd")
    host = lab.namespace("dut")
    machine = Machine((Tap("t0", NICS[0]), Tap("t1", NICS[1])), accelerator="tcg", engine="testpmd")
    guest = made(machine, host=host)
    guest.start([core()], kernel)
    frames = [bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:bb") / ARP()).ljust(60, b"\0")]
    frames += [b"\x33\x33\0\0\0\1\2\0\0\0\0\1\x86\xdd" + bytes(46), udp(0)[:14] + bytes(1486)]
    frames += [udp(number) for number in range(50)]
    assert agree(guest, host, L2Fwd(), frames) == 0
    none = {"guest drops": 0}
    assert list(guest.counters()) == [VnicCounters(53, 53, none, none)] * 2
    guest.run(["sh", "-c", "kill -9 $(cat /tmp/testpmd.pid)"])
    with pytest.raises(DeploymentError, match="vm0: testpmd has ended"):
        guest.counters()


def test_a_guest_has_several_vnics_queues_and_processors(lab: Lab, made: Made, kernel: Kernel) -> None:
    taps = tuple(Tap(f"t{number}", f"02:6e:66:00:00:{number:02x}", queues=2) for number in range(4))
    guest = made(Machine(taps, vcpus=2, memory_mib=512, accelerator="tcg"), host=lab.namespace("dut"))
    guest.start([core()], kernel)
    names = ["rx-0", "rx-1", "tx-0", "tx-1"]
    for number in range(4):
        assert sorted(guest.run(["ls", f"/sys/class/net/nic{number}/queues"]).stdout.split()) == names
    with pytest.raises(ConfigurationError, match="between 4 vNICs: accepted: one function for each pair"):
        guest.forward(L2Fwd())


def test_a_guest_has_a_function_and_a_processor_for_each_pair_of_vnics(
    lab: Lab, made: Made, kernel: Kernel
) -> None:
    addresses = tuple(f"02:6e:66:00:00:{number:02x}" for number in range(4))
    taps = tuple(Tap(f"t{number}", address) for number, address in enumerate(addresses))
    host = lab.namespace("dut")
    guest = made(Machine(taps, vcpus=2, accelerator="tcg"), host=host)
    guest.start([core()], kernel)
    table = RouteTable((Route.of("198.18.0.0/16", 0), Route.of("198.19.0.0/16", 1)))
    functions: tuple[Function, ...] = (
        L3Fwd(table, addresses=NICS, neighbours=STATIONS),
        Firewall(RuleSet((Rule("drop", source_ports=(1005, 1010)), Rule("allow")))),
    )
    guest.forward(*functions)
    for pair, function in enumerate(functions):
        both = [(nic, udp(number)) for number in range(20) for nic in (0, 1)]
        both.append((1 - pair, udp(0, ttl=1)))
        judged = [process(function, nic, frame) for nic, frame in both]
        out = [(one.nic, one.frame) for one in judged if not isinstance(one, Drop)]
        came = exchanged(host, both, len(out), [f"t{2 * pair + nic}" for nic in (0, 1)])
        assert sorted(came) == sorted(out)
        assert [nic.rx_frames for nic in guest.counters(pair)] == [20 + pair, 21 - pair]
    assert guest.drops(0) == {"malformed or ttl": 1, "no_route": 0, "other": 0}
    assert guest.drops(1) == {"policy": 2 * 6, "malformed": 0}
    masks = {name.partition("-")[0]: mask for name, mask in threads(guest) if name.startswith("napi/nic")}
    assert masks == {"napi/nic0": "1", "napi/nic1": "1", "napi/nic2": "2", "napi/nic3": "2"}


def test_frames_come_by_every_queue_of_a_vnic(lab: Lab, made: Made, kernel: Kernel) -> None:
    """What came by each queue is asked of QEMU, as a guest's kernel tells no counter of a queue."""
    host = lab.namespace("dut")
    taps = tuple(Tap(f"t{number}", address, queues=2) for number, address in enumerate(NICS))
    guest = made(Machine(taps, vcpus=2, accelerator="tcg"), host=host)
    guest.start([core()], kernel)
    guest.forward(L2Fwd())
    frames = [(nic, udp(number)) for number in range(64) for nic in (0, 1)]
    before = came_by_queue(lab)
    came = exchanged(host, frames, len(frames))
    assert sorted(came) == sorted((1 - nic, frame) for nic, frame in frames)
    moved = [now - then for then, now in zip(before, came_by_queue(lab), strict=True)]
    assert sum(moved) == len(frames)
    assert all(moved), moved
    masks = {mask for name, mask in threads(guest) if name.startswith("napi/nic0-")}
    assert masks == {"1", "2"}


def came_by_queue(lab: Lab) -> list[int]:
    """Return how many frames QEMU put into each receive queue of both vNICs, modulo 65,536."""
    (monitor,) = lab.directory.glob("vm-*/qmp.sock")
    devices = [one["path"] for one in vm_qmp.ask(monitor, "x-query-virtio") if one["name"] == "virtio-net"]
    assert len(devices) == 2
    return [
        int(vm_qmp.ask(monitor, "x-query-virtio-queue-status", {"path": path, "queue": 2 * queue})["used-idx"])
        for path in devices
        for queue in (0, 1)
    ]


def threads(guest: VirtualMachine) -> list[tuple[str, str]]:
    """Return the name of each of a guest's threads, and its mask of processors."""
    script = 'for one in /proc/[0-9]*; do echo "$(cat $one/comm) $(taskset -p ${one#/proc/})"; done'
    lines = [line.split() for line in guest.run(["sh"], stdin=script).stdout.splitlines()]
    return [(words[0], words[-1]) for words in lines if words]


def test_qemu_that_dies_is_told_and_leaves_nothing(lab: Lab, made: Made, kernel: Kernel) -> None:
    guest = made(Machine((Tap("t0", NICS[0]), Tap("t1", NICS[1])), accelerator="tcg"), host=lab.namespace("dut"))
    guest.start([core()], kernel)
    guest.forward(L2Fwd())
    os.kill(guest.processors()[0], signal.SIGKILL)
    with pytest.raises(DeploymentError, match="vm0: QEMU was ended by signal 9"):
        guest.counters()
    with pytest.raises(DeploymentError, match="vm0: QEMU was ended by signal 9"):
        guest.check()


def test_kvm_is_asked_for_where_it_runs_no_guests(lab: Lab, made: Made, kernel: Kernel) -> None:
    why = vm_kvm.kvm(lab.host, lab.directory)
    if not why:
        pytest.skip("KVM runs guests here")
    with pytest.raises(CapabilityMissing, match="kvm: "):
        made(Machine((), accelerator="kvm")).start([core()], kernel)
    guest = made(Machine((), memory_mib=128))
    guest.start([core()], kernel)
    assert guest.accelerator == "tcg"
    assert guest.notes[0] == f"vm0 runs under TCG: QEMU translates its instructions, as {why}"


def test_a_panic_is_told_with_the_consoles_last_lines(made: Made, kernel: Kernel) -> None:
    guest = made(Machine((), vcpus=2, memory_mib=256, accelerator="tcg"), name="vm7")
    guest.start([core()], kernel)
    assert len(guest.processors()) == 2
    done = guest.run(["sh", "-c", "cat; echo $1 >&2; exit 3", "", "a 'b'"], stdin="in\n", check=False)
    assert (done.status, done.stdout, done.stderr) == (3, "in\n", "a 'b'\n")
    with pytest.raises(DeploymentError) as caught:
        guest.run(["sh"], stdin="echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger")
    first, _, console = str(caught.value).partition("\n")
    assert first == "vm7: its guest is gone: Kernel panic - not syncing: sysrq triggered crash"
    assert "Call Trace" in console
    with pytest.raises(DeploymentError, match="Kernel panic"):
        guest.check()
    guest.stop()


def test_a_guest_that_is_not_set_up_says_why(
    lab: Lab, made: Made, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vm_image, "MODULES", ("virtio_pci",))
    guest = made(Machine((), memory_mib=256, accelerator="tcg"))
    with pytest.raises(DeploymentError, match="nfv: the guest is not set up: no control channel"):
        guest.start([core()], kernel)
    assert not list(lab.directory.glob("vm-*"))


def test_a_guest_boots_by_a_kernel_packed_as_ubuntus(made: Made, kernel: Kernel, tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("no zstd to pack modules with: apt-get install zstd")
    folder = tmp_path / kernel.release
    for name in ("modules.order", "modules.builtin"):
        folder.mkdir(exist_ok=True)
        shutil.copy(kernel.modules / name, folder)
    wanted = vm_modules.in_order(kernel.modules, vm_image.MODULES)
    for line in (folder / "modules.order").read_text().splitlines():
        name = Path(line).stem.replace("-", "_")
        if name in wanted:
            (folder / line).parent.mkdir(parents=True, exist_ok=True)
            (folder / line).write_bytes(wanted[name])
            subprocess.run(["zstd", "-q", "--rm", str(folder / line)], check=True)
    assert len(list(folder.rglob("*.ko.zst"))) == len(wanted)
    guest = made(Machine((), memory_mib=256, accelerator="tcg"))
    guest.start([core()], Kernel(kernel.release, kernel.image, folder))
    loaded = {line.split()[0] for line in guest.run(["cat", "/proc/modules"]).stdout.splitlines()}
    assert loaded == set(wanted)


def test_what_qemu_refuses_is_told_in_its_words(lab: Lab, kernel: Kernel, tmp_path: Path) -> None:
    nobody = VhostUser(str(tmp_path / "nobody"), NICS[0])
    with pytest.raises(DeploymentError, match=r"(?s)vm0: QEMU ended with exit status 1.*nobody"):
        VirtualMachine(lab, Machine((nobody,), accelerator="tcg")).start([core()], kernel)
    gone = Kernel(kernel.release, tmp_path / "vmlinuz", kernel.modules)
    with pytest.raises(DeploymentError, match=r"(?s)vm0: QEMU ended with exit status 1.*vmlinuz"):
        VirtualMachine(lab, Machine((), accelerator="tcg")).start([core()], gone)
    gone = Kernel(kernel.release, kernel.image, tmp_path)
    with pytest.raises(CapabilityMissing, match=r"has no modules\.builtin"):
        VirtualMachine(lab, Machine((), accelerator="tcg")).start([core()], gone)
    with pytest.raises(ConfigurationError, match="tap t0: accepted: with a network namespace"):
        VirtualMachine(lab, Machine((Tap("t0", NICS[0]),)))


def test_the_probe_of_kvm_runs_a_guest(kernel: Kernel, tmp_path: Path) -> None:
    assert vm_kvm.runs_guests(LocalHost(), "tcg", tmp_path) == ""


def test_kill_9_leaves_nothing(kernel: Kernel) -> None:
    run = new_run_id()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    qemu = holder.stdout.readline().strip()
    assert qemu, "the guest did not start"
    assert f"PPid:\t{holder.pid}\n" in Path("/proc", qemu, "status").read_text()

    def machines() -> list[str]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if f"{RUN_VARIABLE}={run}".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "comm").read_text().strip())
            except OSError:
                continue
        return found

    assert any(name.startswith("qemu-system") for name in machines())
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    wait_for(lambda: not machines(), "processes of the run gone")
