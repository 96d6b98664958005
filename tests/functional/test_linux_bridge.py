"""The Linux bridge with real frames: they pass, they are learned, and the counters add up."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts import userns
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.vswitches.linux_bridge import LinuxBridge
from pytest_nfv.vswitches.protocol import PortCounters, VSwitchDriver

MTU = 1500

# Sends frames out of one interface and waits for all of them at another; prints how many came, unchanged.
EXCHANGE = """
import socket, sys
out, back, source, target, count, octets = sys.argv[1:7]
tx, rx = (socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for _ in range(2))
tx.bind((out, 0))
rx.bind((back, 0))
rx.settimeout(20)
head = bytes.fromhex((target + source).replace(":", "")) + b"\\x08\\x00"
came = 0
for number in range(int(count)):
    # IPv4 with a bad header checksum: nothing on the way has any business with it.
    frame = (head + b"\\x45\\x00" + number.to_bytes(4, "big")).ljust(int(octets) - 4, b"n")
    tx.send(frame)
    while rx.recv(2048) != frame:
        pass
    came += 1
print(came)
"""

# Sends from the device's own core with real-time priority, so that the switch's thread cannot run meanwhile.
FLOOD = """
import errno, os, socket, sys
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as tx:
    tx.bind(("g0", 0))
    frame = bytes.fromhex(sys.argv[1].replace(":", "")).ljust(60, b"n")
    refused = 0
    for _ in range(2000):
        try:
            tx.send(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            refused += 1
print(refused)
"""


ROOT = pytest.param(
    False,
    id="root",
    marks=pytest.mark.skipif(not userns.privileged(), reason="takes CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root"),
)


@pytest.fixture(params=[ROOT, pytest.param(True, id="rootless")])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    run_id = new_run_id()
    try:
        the_lab = Lab(LocalHost(run_id), run_id, request.param, tmp_path)
        LinuxBridge.probe(the_lab.host)
    except CapabilityMissing as error:
        pytest.skip(str(error))
    yield the_lab
    the_lab.close()


@pytest.fixture
def switch(lab: Lab) -> Iterator[LinuxBridge]:
    driver = LinuxBridge(lab, {})
    yield driver
    driver.stop()
    driver.stop()


def device_core() -> int:
    return min(os.sched_getaffinity(0))


def exchange(switch: VSwitchDriver, specs: tuple[PortSpec, ...], tx: int, rx: int, count: int, octets: int) -> int:
    interfaces = [specs[tx].parameters["interface"], specs[rx].parameters["interface"]]
    argv = [*interfaces, specs[tx].address, specs[rx].address, str(count), str(octets)]
    done = switch.generator_host.run([sys.executable, "-I", "-S", "-c", EXCHANGE, *argv])
    return int(done.stdout)


def moved(before: PortCounters, after: PortCounters) -> tuple[int, int]:
    """Return frames in and out; that nothing was dropped is checked."""
    assert (before.rx_drops, before.tx_drops) == (after.rx_drops, after.tx_drops)
    return after.rx_frames - before.rx_frames, after.tx_frames - before.tx_frames


def test_probe_names_the_kernel() -> None:
    try:
        assert LinuxBridge.probe(LocalHost()) == os.uname().release
    except CapabilityMissing as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("octets", [64, MTU + 18])
def test_frames_pass_and_counters_add_up(switch: LinuxBridge, octets: int) -> None:
    specs = switch.start(2, MTU, [device_core()])
    before = switch.counters()
    assert exchange(switch, specs, 0, 1, 100, octets) == 100
    between = switch.counters()
    assert [moved(*pair) for pair in zip(before, between, strict=True)] == [(100, 0), (0, 100)]
    assert exchange(switch, specs, 1, 0, 40, octets) == 40
    after = switch.counters()
    assert [moved(*pair) for pair in zip(between, after, strict=True)] == [(0, 40), (40, 0)]


def test_addresses_are_learned_where_they_are(switch: LinuxBridge) -> None:
    specs = switch.start(3, MTU, [device_core()])
    assert not any(switch.learned(spec.address, port) for port, spec in enumerate(specs))
    exchange(switch, specs, 0, 1, 1, 64)
    assert switch.learned(specs[0].address, 0)
    assert not switch.learned(specs[0].address, 1)
    assert not switch.learned(specs[1].address, 1)
    exchange(switch, specs, 1, 0, 1, 64)
    assert switch.learned(specs[1].address.upper(), 1)
    before = switch.counters()
    exchange(switch, specs, 0, 1, 10, 64)
    assert switch.counters()[2].tx_frames == before[2].tx_frames, "a known address was flooded"


@pytest.mark.parametrize("lab", [ROOT], indirect=True)  # real-time priority takes root
def test_frames_for_a_full_ring_are_the_ports_drops(switch: LinuxBridge) -> None:
    specs = switch.start(2, MTU, [device_core()])
    exchange(switch, specs, 0, 1, 1, 64)
    exchange(switch, specs, 1, 0, 1, 64)
    before = switch.counters()[0]
    argv = [sys.executable, "-I", "-S", "-c", FLOOD, specs[1].address + specs[0].address]
    refused = int(switch.generator_host.run(argv, cores=[device_core()]).stdout)
    exchange(switch, specs, 0, 1, 1, 64)  # comes last through the same queue: all before it has been taken in
    after = switch.counters()[0]
    dropped = after.rx_drops["veth ring full"] - before.rx_drops["veth ring full"]
    assert dropped == refused > 0
    assert after.rx_frames - before.rx_frames + dropped == 2000 + 1


def test_forwarding_is_done_by_its_own_threads_on_the_device_core(switch: LinuxBridge, lab: Lab) -> None:
    specs = switch.start(2, MTU, [device_core()])
    threads = switch.threads()
    assert len(threads) == 2
    assert all(lab.run_id in name for name in threads.values())
    unpinned = [note for note in switch.notes if "not pinned" in note]
    pinned = [tid for tid in threads if os.sched_getaffinity(tid) == {device_core()}]
    assert len(pinned) + len(unpinned) == 2
    accounts = {tid: Path(f"/proc/{tid}/schedstat") for tid in threads}
    first = min(threads)
    before = accounts[first].read_text()
    exchange(switch, specs, 0, 1, 100, 64)
    assert accounts[first].read_text() != before


def test_check_tells_what_was_taken_away(switch: LinuxBridge) -> None:
    switch.start(2, MTU, [device_core()])
    switch.check()
    remove = """
from pyroute2 import IPRoute
with IPRoute() as routes:
    routes.link("set", index=routes.link_lookup(ifname="g1")[0], state="down")
    routes.link("del", index=routes.link_lookup(ifname="g0")[0])
"""
    switch.generator_host.run([sys.executable, "-c", remove])
    with pytest.raises(DeploymentError) as caught:
        switch.check()
    assert "interface g0 is gone" in str(caught.value)
    assert "interface g1 is down" in str(caught.value)
    with pytest.raises(DeploymentError, match="g0 is gone"):
        switch.counters()


def test_two_deployments_of_one_run_do_not_mix(switch: LinuxBridge, lab: Lab) -> None:
    switch.start(2, MTU, [device_core()])
    other = LinuxBridge(lab, {})
    specs = other.start(2, MTU, [device_core()])
    assert not set(switch.threads()) & set(other.threads())
    before = switch.counters()
    assert exchange(other, specs, 0, 1, 5, 64) == 5
    assert switch.counters() == before
    other.stop()
    switch.check()


def test_stopped_it_can_start_again(switch: LinuxBridge) -> None:
    switch.start(2, MTU, [device_core()])
    with pytest.raises(DeploymentError, match="started already"):
        switch.start(2, MTU, [device_core()])
    switch.stop()
    with pytest.raises(DeploymentError, match="not started"):
        switch.check()
    specs = switch.start(2, MTU, [device_core()])
    assert exchange(switch, specs, 0, 1, 3, 64) == 3
