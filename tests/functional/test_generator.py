"""The built-in generator over real interfaces: its counts are those of the kernel, whatever happens on the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from pytest_nfv.errors import CapabilityMissing, GeneratorError
from pytest_nfv.generators.builtin import Builtin
from pytest_nfv.generators.templates import ethernet_udp, from_packet
from pytest_nfv.hosts import userns
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.offer import MAGIC, FlowOffer, Offer, PortSpec, Report
from pytest_nfv.model.trial import Direction, FlowCounts
from pytest_nfv.vswitches.linux_bridge import LinuxBridge

MTU = 1500
TRIES = 10
WAYS = (Direction(0, 1), Direction(1, 0))

# Sends each frame that it reads, as hex, out of one interface.
INJECT = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as tx:
    tx.bind((sys.argv[1], 0))
    for line in sys.stdin:
        tx.send(bytes.fromhex(line))
"""

REMOVE = """
from pyroute2 import IPRoute
with IPRoute() as routes:
    routes.link("del", index=routes.link_lookup(ifname="g1")[0])
"""

COUNT = """
import sys
for line in open("/proc/net/dev"):
    name, _, rest = line.partition(":")
    if name.strip() == sys.argv[1]:
        fields = rest.split()
        print(fields[9], fields[11])
"""

ROOT = pytest.param(
    False,
    id="root",
    marks=pytest.mark.skipif(not userns.privileged(), reason="takes CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root"),
)


@pytest.fixture(params=[ROOT, pytest.param(True, id="rootless")])
def switch(
    request: pytest.FixtureRequest, tmp_path: Path, lacks: Callable[[CapabilityMissing], NoReturn]
) -> Iterator[LinuxBridge]:
    run_id = new_run_id()
    try:
        lab = Lab(LocalHost(run_id), run_id, request.param, tmp_path)
        LinuxBridge.probe(lab.host)
    except CapabilityMissing as error:
        lacks(error)
    driver = LinuxBridge(lab, {})
    yield driver
    driver.stop()
    lab.close()


@pytest.fixture
def ports(switch: LinuxBridge) -> tuple[PortSpec, ...]:
    return switch.start(2, MTU, [min(os.sched_getaffinity(0))])


@pytest.fixture
def generator(switch: LinuxBridge, ports: tuple[PortSpec, ...]) -> Iterator[Builtin]:
    driver = Builtin(switch.generator_host, max(os.sched_getaffinity(0)))
    driver.open(ports)
    driver.learn()
    yield driver
    driver.close()


def flows(ports: tuple[PortSpec, ...], ways: tuple[Direction, ...], pps: float, frames: int, size: int) -> Offer:
    return Offer(
        tuple(
            FlowOffer(
                number,
                way,
                pps,
                frames,
                ethernet_udp(size, src=ports[way.tx].address, dst=ports[way.rx].address).hex(),
            )
            for number, way in enumerate(ways)
        )
    )


def sent_and_dropped(host: Host, interface: str) -> tuple[int, int]:
    done = host.run([sys.executable, "-I", "-S", "-c", COUNT, interface])
    sent, dropped = done.stdout.split()
    return int(sent), int(dropped)


def until_offered(run: Callable[[], Report]) -> Report:
    """Repeat a trial that the machine had no time for."""
    for _ in range(TRIES):
        report = run()
        if not any(flow.not_sent for flow in report.flows):
            return report
    pytest.fail(f"none of {TRIES} trials was offered in full: {report.trouble}")


@pytest.mark.parametrize(("pps", "size"), [(3e6, 64), (3e6, 1518), (20_000.0, 64)])
def test_every_frame_offered_is_one_at_the_interface(
    generator: Builtin, switch: LinuxBridge, ports: tuple[PortSpec, ...], pps: float, size: int
) -> None:
    host = switch.generator_host
    before = sent_and_dropped(host, "g0")
    report = generator.offer(flows(ports, WAYS[:1], pps, int(pps / 2), size))
    after = sent_and_dropped(host, "g0")
    (counts,), (refused,) = report.flows, report.refused
    sent, dropped = after[0] - before[0], after[1] - before[1]
    assert (sent, dropped) == (counts.sent - refused, refused)
    assert counts.received <= sent
    assert (counts.duplicated, counts.reordered, counts.corrupted, counts.foreign) == (0, 0, 0, 0)
    ring = report.health.receive_overruns
    assert counts.lost >= refused + ring
    if counts.not_sent:
        assert any("were not sent" in line for line in report.trouble)


@pytest.mark.parametrize("ways", [WAYS[:1], WAYS], ids=["one way", "both ways"])
@pytest.mark.parametrize(("pps", "frames"), [(100_000.0, 200_000), (2_000.0, 2_000)])
def test_offered_load_is_exact_or_the_report_says_so(
    generator: Builtin, ports: tuple[PortSpec, ...], ways: tuple[Direction, ...], pps: float, frames: int
) -> None:
    for _ in range(3):  # a busy machine is no fault of the generator's, as long as it tells
        report = generator.offer(flows(ports, ways, pps, frames, 64))
        for way, counts, refused in zip(ways, report.flows, report.refused, strict=True):
            assert (counts.direction, counts.intended) == (way, frames)
            assert counts.received + counts.lost + counts.not_sent == frames
            assert 0 <= refused <= counts.lost
            assert (counts.duplicated, counts.reordered, counts.corrupted, counts.foreign) == (0, 0, 0, 0)
        for latency in report.latency:
            assert 0 < latency.min_ns <= latency.percentiles_ns[50.0] <= latency.max_ns
        assert report.offered_for_s <= frames / pps * 1.002
        if not any(counts.not_sent for counts in report.flows):
            assert report.offered_for_s == pytest.approx(frames / pps, rel=0.001)
            break
        assert any("were not sent" in line for line in report.trouble)


def test_strangers_and_changed_frames_are_told_apart(
    generator: Builtin, switch: LinuxBridge, ports: tuple[PortSpec, ...]
) -> None:
    offer = flows(ports, WAYS[:1], 2_000.0, 2_000, 128)
    ours = bytes.fromhex(offer.flows[0].template)
    signed = ours[:-16] + (MAGIC << 48).to_bytes(8, "little") + bytes(8)
    changed = bytes([*signed[:50], signed[50] ^ 1, *signed[51:]])
    stranger = (
        bytes.fromhex(ports[1].address.replace(":", "")) + bytes([2, 9, 9, 9, 9, 9]) + b"\x88\xb6" + bytes(60)
    )
    lines = [changed] * 3 + [ours[:70]] * 2 + [stranger] * 5 + [signed] * 4  # the last: of an earlier trial
    injected: list[int] = []

    def inject(elapsed_s: float, sent: int, received: int) -> None:
        if not injected:
            text = "".join(line.hex() + "\n" for line in lines)
            switch.generator_host.run([sys.executable, "-I", "-S", "-c", INJECT, "g0"], stdin=text)
            injected.append(1)

    for _ in range(TRIES):
        injected.clear()
        (counts,) = generator.offer(offer, inject).flows
        if injected and counts.received == 2_000:  # the device had time for all, and hence for those injected
            break
    assert (counts.received, counts.corrupted, counts.foreign) == (2_000, 5, 9)
    assert counts.duplicated == 0


def test_an_interface_removed_in_mid_trial_is_named(
    generator: Builtin, switch: LinuxBridge, ports: tuple[PortSpec, ...]
) -> None:
    removed: list[float] = []

    def remove(elapsed_s: float, sent: int, received: int) -> None:
        if not removed:  # progress told before the removal may still be on its way
            switch.generator_host.run([sys.executable, "-c", REMOVE])
            removed.append(elapsed_s)

    with pytest.raises(GeneratorError, match=r"interface g1: .*: it was taken down or removed"):
        generator.offer(flows(ports, WAYS, 1_000.0, 60_000, 64), remove)


def test_interrupted_it_stops_sending(
    generator: Builtin, switch: LinuxBridge, ports: tuple[PortSpec, ...]
) -> None:
    def interrupt(elapsed_s: float, sent: int, received: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.offer(flows(ports, WAYS[:1], 1_000.0, 60_000, 64), interrupt)
    at_rest = sent_and_dropped(switch.generator_host, "g0")
    report = until_offered(lambda: generator.offer(flows(ports, WAYS[1:], 1_000.0, 500, 64)))
    assert sent_and_dropped(switch.generator_host, "g0") == at_rest
    assert report.flows[0].foreign == 0


def test_frame_sizes_change_between_trials(generator: Builtin, ports: tuple[PortSpec, ...]) -> None:
    for size in (64, 1518, 65, 1280):
        report = until_offered(partial(generator.offer, flows(ports, WAYS, 2_000.0, 1_000, size)))
        assert [flow.corrupted for flow in report.flows] == [0, 0]
        assert all(flow.received + flow.lost == 1_000 for flow in report.flows)
        assert all(flow.received for flow in report.flows)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(IP(src="198.18.0.1", dst="198.19.0.1") / TCP(sport=49184, dport=7), id="TCP"),
        pytest.param(IPv6(src="2001:2::1", dst="2001:2::2") / UDP(sport=49184, dport=7), id="UDP over IPv6"),
    ],
)
def test_frames_whose_checksum_is_over_the_signature_come_back_unchanged(
    generator: Builtin, ports: tuple[PortSpec, ...], packet: Packet
) -> None:
    template = from_packet(packet, 128, src=ports[0].address, dst=ports[1].address)
    offer = Offer((FlowOffer(0, WAYS[0], 2_000.0, 1_000, template.hex()),))
    for _ in range(TRIES):
        (counts,) = generator.offer(offer).flows
        if counts.received == 1_000:  # the device had time for all
            break
    assert counts == FlowCounts(WAYS[0], 1_000, 1_000, 1_000)


def test_an_interface_that_is_not_there_is_named(switch: LinuxBridge, ports: tuple[PortSpec, ...]) -> None:
    driver = Builtin(switch.generator_host, None)
    wrong = PortSpec("af_packet", ports[0].address, MTU, {"interface": "g7"})
    with pytest.raises(GeneratorError, match="interface 'g7' cannot be opened: no interface with this name"):
        driver.open([ports[0], wrong])
    driver.close()
