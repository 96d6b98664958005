"""vhost-user ports against Open vSwitch with DPDK, private to each test: both roles, all sizes, restarts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.errors import GeneratorError
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.rings.port import Port
from pytest_nfv.rings.table import open_ports
from pytest_nfv.vswitches import ovs_programs
from pytest_nfv.vswitches.ovs_daemons import Daemons
from pytest_nfv.vswitches.ovs_dpdk import PACKAGE, OvsDpdk
from pytest_nfv.vswitches.ovs_rules import flow_rules
from pytest_nfv.vswitches.protocol import ALONE
from tests.contract.crossing import SEEN_S, check_path, send, wait_for_forwarding, watch

ROLES = pytest.mark.parametrize("vhost", ["client", "server"])  # which OVS is; the ports are the other
Started = Callable[..., tuple[OvsDpdk, tuple[Port, ...]]]


@pytest.fixture
def started(needs: Callable[[str], None]) -> Iterator[Started]:
    """Start a switch of two ports, and open them; all ends with the test."""
    for name in ("netns", "ovs-dpdk"):
        needs(name)
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id)
    opened: list[Port] = []
    switches: list[OvsDpdk] = []

    def start(**settings: str) -> tuple[OvsDpdk, tuple[Port, ...]]:
        switch = OvsDpdk(lab, settings)
        switches.append(switch)
        ports = open_ports(switch.start(2, 1500, [min(os.sched_getaffinity(0))]))
        opened.extend(ports)
        return switch, ports

    try:
        yield start
    finally:
        for thing in opened:
            thing.close()
        for switch in switches:
            switch.stop()
        lab.close()


@ROLES
def test_frames_cross_ovs_whole_and_in_order(started: Started, vhost: str) -> None:
    _, (here, there) = started(vhost=vhost)
    for one, other in ((here, there), (there, here)):
        wait_for_forwarding(one, other)
        for octets in (60, 61, 124, 508, 1020, 1514):
            check_path(one, other, octets, 3000)


@pytest.mark.parametrize("slots", ["64", "4096"])
def test_rings_of_other_sizes_go_round(started: Started, slots: str) -> None:
    _, (here, there) = started(slots=slots)
    assert there.receive_slots == int(slots)
    wait_for_forwarding(here, there)
    check_path(here, there, 60, 20_000, window=min(64, int(slots) // 4))


def test_flows_keep_their_order_over_several_queue_pairs(started: Started) -> None:
    _, (here, there) = started(queues="2")
    wait_for_forwarding(here, there)
    check_path(here, there, 60, 4000, flows=4)


@ROLES
def test_an_ovs_that_is_killed_is_named_and_its_successor_found(started: Started, vhost: str) -> None:
    switch, (here, there) = started(vhost=vhost)
    wait_for_forwarding(here, there)
    daemons = switch._started()
    os.kill(daemons.pid("ovs-vswitchd"), signal.SIGKILL)
    killed = time.monotonic()
    with pytest.raises(GeneratorError, match=r"vhost_user port \S+/v0: the peer is gone"):
        watch(here, killed + SEEN_S)
    restart(switch, daemons, vhost)
    wait_for_forwarding(here, there)
    check_path(here, there, 60, 1000)
    check_path(there, here, 1514, 1000)


def test_an_ovs_that_is_stopped_is_named_and_goes_on(started: Started) -> None:
    switch, (here, there) = started()
    wait_for_forwarding(here, there)
    pid = switch._started().pid("ovs-vswitchd")
    os.kill(pid, signal.SIGSTOP)
    send(here, 0, 10)
    stopped = time.monotonic()
    with pytest.raises(GeneratorError, match="queue 1: the peer stopped: it holds 10 frames and returned none"):
        watch(here, stopped + SEEN_S)
    os.kill(pid, signal.SIGCONT)
    wait_for_forwarding(here, there)
    check_path(here, there, 60, 1000)


def restart(switch: OvsDpdk, daemons: Daemons, vhost: str) -> None:
    """Start ovs-vswitchd anew; DPDK serves no socket whose file is there still."""
    if vhost == "server":
        for port in (0, 1):
            Path(switch._socket(port)).unlink()
    program, _ = ovs_programs.find(LocalHost(), "ovs-dpdk", ovs_programs.WITH_DPDK, dpdk=True, package=PACKAGE)
    daemons.run_switch(program, flow_rules("port", ALONE, ["", ""]))
