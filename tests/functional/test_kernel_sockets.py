"""Applications on kernel sockets at the Linux bridge: real sockets, two namespaces, two processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.plan import place
from pytest_nfv.errors import CapabilityMissing, ConfigurationError, DeploymentError, GeneratorError
from pytest_nfv.generators.pair import Pair
from pytest_nfv.generators.templates import DESTINATION_PORT, ethernet_udp
from pytest_nfv.hosts import userns
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.offer import FlowOffer, Offer, Report
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.topology import CALLS, PROTOCOLS, SocketPair, VSwitch
from pytest_nfv.model.trial import Direction
from pytest_nfv.vswitches.linux_bridge import LinuxBridge

TRIES = 10
WAY = Direction(0, 1)

# Sends garbage to the receiver: datagrams of strangers, by the kernel's own stack or as raw frames.
GARBAGE_UDP = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tx:
    for size in (0, 1, 18, 60, 900):
        tx.sendto(b"x" * size, (sys.argv[1], int(sys.argv[2])))
"""
GARBAGE_RAW = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as tx:
    tx.bind(("g0", 0))
    head = bytes.fromhex(sys.argv[1].replace(":", "")) + bytes.fromhex("020909090909")
    for size in (46, 46, 46, 900, 1000):
        tx.send(head + b"\\x88\\xb6" + b"x" * size)
"""
NAMES = """
import pathlib
print(pathlib.Path("/proc/net/arp").read_text())
print(pathlib.Path("/proc/net/dev").read_text())
"""

ROOT = pytest.param(
    False,
    id="root",
    marks=pytest.mark.skipif(not userns.privileged(), reason="takes CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root"),
)
BRIDGE = VSwitch("linux-bridge")
PAIRS = [SocketPair(BRIDGE, protocol, call) for protocol in PROTOCOLS for call in CALLS]
BOTH = pytest.mark.parametrize("topology", PAIRS, indirect=True, ids=str)


@pytest.fixture(params=[ROOT, pytest.param(True, id="rootless")])
def lab(
    request: pytest.FixtureRequest, tmp_path: Path, lacks: Callable[[CapabilityMissing], NoReturn]
) -> Iterator[Lab]:
    run_id = new_run_id()
    try:
        the_lab = Lab(LocalHost(run_id), run_id, request.param, tmp_path)
        LinuxBridge.probe(the_lab.host)
    except CapabilityMissing as error:
        lacks(error)
    yield the_lab
    the_lab.close()


@pytest.fixture
def topology(request: pytest.FixtureRequest) -> SocketPair:
    chosen: SocketPair = request.param
    return chosen


@pytest.fixture
def deployment(
    lab: Lab, topology: SocketPair, lacks: Callable[[CapabilityMissing], NoReturn]
) -> Iterator[Deployment]:
    try:
        placement = place(topology, built_in()["local"], sorted(os.sched_getaffinity(0)))
    except CapabilityMissing as error:
        lacks(error)
    made = Deployment(placement, lab)
    yield made
    made.close()


def load(deployment: Deployment, pps: float, frames: int, size: int = 64, burst: int = 0) -> Offer:
    ends = (deployment.ports[0].address, deployment.ports[1].address)
    frame = ethernet_udp(size, src=ends[0], dst=ends[1])[deployment.placement.topology.kernel_octets :]
    return Offer((FlowOffer(0, WAY, pps, frames, frame.hex()),), burst=burst, receiver_measured=True)


def until_nothing_lost(run: Callable[[], Report]) -> Report:
    """Repeat a trial in which the machine had no time for the receiver; the sender may have had too little."""
    for _ in range(TRIES):
        report = run()
        if not any(flow.lost for flow in report.flows):
            assert all(flow.sent for flow in report.flows)
            return report
    pytest.fail(f"none of {TRIES} trials was received in full: {report}")


@BOTH
def test_every_frame_is_counted_once_and_at_the_interfaces_too(deployment: Deployment) -> None:
    before = deployment.device.switch.counters()
    pps, frames = 20_000.0, 10_000
    report = deployment.generator.offer(load(deployment, pps, frames))
    after = deployment.device.switch.counters()
    (counts,) = report.flows
    assert (counts.direction, counts.intended) == (WAY, frames)
    assert counts.received == counts.sent - report.health.receive_overruns
    assert (counts.duplicated, counts.reordered, counts.corrupted, counts.foreign) == (0, 0, 0, 0)
    assert after[0].rx_frames - before[0].rx_frames == counts.sent
    assert after[1].tx_frames - before[1].tx_frames == counts.sent
    (latency,) = report.latency
    assert latency.direction == WAY
    assert 0 < latency.min_ns <= latency.percentiles_ns[50.0] <= latency.max_ns


@BOTH
def test_as_much_as_can_be_is_no_trouble_where_that_is_wanted(deployment: Deployment) -> None:
    intended = 5_000_000
    offer = load(deployment, 10e6, intended, burst=64)
    before = deployment.device.switch.counters()
    report = deployment.generator.offer(replace(offer, maximum=True))
    after = deployment.device.switch.counters()
    (counts,) = report.flows
    assert 0 < counts.received <= counts.sent < intended
    assert counts.lost == report.health.receive_overruns
    assert (counts.duplicated, counts.reordered, counts.corrupted) == (0, 0, 0)
    assert not any("were not sent" in line for line in report.trouble)
    entered = after[0].rx_frames - before[0].rx_frames + sum(after[0].rx_drops.values())
    assert entered - sum(before[0].rx_drops.values()) == counts.sent
    report = deployment.generator.offer(offer)
    assert any("were not sent" in line for line in report.trouble)


@BOTH
def test_what_strangers_send_is_foreign(deployment: Deployment, topology: SocketPair) -> None:
    generator = deployment.generator
    parameters, address = deployment.ports[1].parameters, deployment.ports[1].address
    injected: list[int] = []

    def inject(elapsed_s: float, sent: int, received: int) -> None:
        if not injected:
            injected.append(1)
            udp = [GARBAGE_UDP, parameters.get("ip", ""), str(DESTINATION_PORT)]
            script = udp if topology.protocol == "udp" else [GARBAGE_RAW, address]
            deployment.device.switch.generator_host.run([sys.executable, "-I", "-S", "-c", *script])

    def run() -> Report:
        injected.clear()
        return generator.offer(load(deployment, 5_000.0, 5_000), inject)

    (counts,) = until_nothing_lost(run).flows
    assert (counts.received, counts.foreign, counts.corrupted) == (counts.sent, 5, 0)


@BOTH
def test_a_receiver_that_stands_still_loses_what_its_buffer_cannot_hold(deployment: Deployment) -> None:
    generator = deployment.generator
    assert isinstance(generator, Pair)
    _, receiver = generator.pids()
    seen: list[float] = []

    def stop_and_go(elapsed_s: float, sent: int, received: int) -> None:
        if not seen:
            os.kill(receiver, signal.SIGSTOP)
        elif len(seen) == 2:
            os.kill(receiver, signal.SIGCONT)
        seen.append(elapsed_s)

    try:
        report = generator.offer(replace(load(deployment, 10e6, 12_000_000, burst=64), maximum=True), stop_and_go)
    finally:
        os.kill(receiver, signal.SIGCONT)
    (counts,) = report.flows
    assert len(seen) > 2
    assert counts.lost == report.health.receive_overruns > 0
    assert report.health.longest_stall_s > report.health.stall_limit_s > 0
    assert not any("receive ring" in line for line in report.trouble)


@BOTH
def test_frame_sizes_change_between_trials(deployment: Deployment) -> None:
    for size in (64, 1518, 65, 1280):
        offer = load(deployment, 2_000.0, 500, size)
        report = until_nothing_lost(partial(deployment.generator.offer, offer))
        assert report.flows[0].received == report.flows[0].sent
        assert report.flows[0].corrupted == 0


@pytest.mark.parametrize("topology", [SocketPair(BRIDGE, "udp", "many")], indirect=True, ids=str)
def test_interrupted_both_stop_and_go_on_later(deployment: Deployment) -> None:
    def interrupt(elapsed_s: float, sent: int, received: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deployment.generator.offer(load(deployment, 1_000.0, 60_000), interrupt)
    report = until_nothing_lost(lambda: deployment.generator.offer(load(deployment, 1_000.0, 300)))
    assert (report.flows[0].corrupted, report.flows[0].foreign) == (0, 0)


@pytest.mark.parametrize("topology", [SocketPair(BRIDGE, "raw", "many")], indirect=True, ids=str)
def test_a_receiver_that_dies_ends_the_trial(deployment: Deployment) -> None:
    generator = deployment.generator
    assert isinstance(generator, Pair)
    _, receiver = generator.pids()

    def kill(elapsed_s: float, sent: int, received: int) -> None:
        os.kill(receiver, signal.SIGKILL)

    with pytest.raises(GeneratorError, match=r"traffic generator on local/app1: it ended; exit status -9"):
        generator.offer(load(deployment, 1_000.0, 60_000), kill)


@pytest.mark.parametrize("topology", [SocketPair(BRIDGE, "udp", "many")], indirect=True, ids=str)
def test_neighbours_are_known_and_nothing_is_asked(deployment: Deployment) -> None:
    said = deployment.device.switch.generator_host.run([sys.executable, "-I", "-S", "-c", NAMES]).stdout
    assert "198.18.0.2" in said
    assert deployment.ports[1].address in said
    report = until_nothing_lost(lambda: deployment.generator.offer(load(deployment, 1_000.0, 100)))
    assert report.flows[0].foreign == 0


def test_it_is_started_once_and_leaves_nothing(lab: Lab) -> None:
    driver = LinuxBridge(lab, {})
    places = driver.start_applications(2, 1500, addressed=True)
    assert [place.host.name for place in places] == ["local/app0", "local/app1"]
    assert [place.ip for place in places] == ["198.18.0.1", "198.18.0.2"]
    with pytest.raises(DeploymentError, match="linux-bridge is started already"):
        driver.start_applications(2, 1500, addressed=False)
    driver.stop()
    driver.stop()
    assert [place.ip for place in driver.start_applications(2, 1500, addressed=False)] == ["", ""]
    driver.stop()


def test_a_switch_without_applications_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(LinuxBridge, "start_applications")
    topology = SocketPair(BRIDGE)
    placement = place(topology, built_in()["local"], [0, 1])
    with pytest.raises(ConfigurationError, match=r"1vs1\(linux-bridge, .*: linux-bridge joins no applications"):
        Deployment(placement, lab)
