"""AF_XDP ports against the kernel: what is steered where, what is left behind, and who may."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, GeneratorError
from pytest_nfv.hosts import kernel, userns
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.af_xdp import AfXdpPort

MTU = 1500
OURS, OTHER = "02:00:00:00:00:02", "02:00:00:00:00:03"
DEADLINE_S = 5.0
pytestmark = pytest.mark.skipif(
    not userns.privileged(), reason="XDP takes CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN: run as root"
)

HOLD = """
import sys, time
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.af_xdp import AfXdpPort
ports = AfXdpPort.open_all([PortSpec("af_xdp", "02:00:00:00:00:02", parameters={"interface": "b"})])
print("open", flush=True)
sys.stdin.read()
"""

ROOTLESS = """
from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts import userns
userns.enter()  # before numpy starts its threads
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.af_xdp import AfXdpPort
try:
    AfXdpPort.open_all([PortSpec("af_xdp", "02:00:00:00:00:02", parameters={"interface": "lo"})])
except CapabilityMissing as error:
    print(error)
"""


@pytest.fixture
def veth(request: pytest.FixtureRequest) -> Iterator[None]:
    """Be in a new network namespace with the joined interfaces `a` and `b`, of two queues each unless said."""
    count = getattr(request, "param", 2)
    from pyroute2 import IPRoute  # type: ignore[import-untyped]  # pyroute2 ships no types

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    kernel.unshare(kernel.CLONE_NEWNET)
    try:
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")  # no frames but ours
        queues = {"num_tx_queues": count, "num_rx_queues": count}
        with IPRoute() as routes:
            routes.link("add", ifname="a", kind="veth", peer={"ifname": "b", **queues}, mtu=MTU, **queues)
            for name in ("a", "b"):
                routes.link("set", index=routes.link_lookup(ifname=name)[0], state="up")
        yield
    finally:
        kernel.setns(home, kernel.CLONE_NEWNET)
        os.close(home)


def open_port(name: str, **parameters: str) -> AfXdpPort:
    small = {"interface": name, "rx_slots": "256", "tx_slots": "256"}
    (port,) = AfXdpPort.open_all([PortSpec("af_xdp", OURS, MTU, small | parameters)])
    return port


def program_on(name: str) -> bool:
    """Whether an XDP program is attached."""
    from pyroute2 import IPRoute

    with IPRoute() as routes:
        (link,) = routes.link("get", index=socket.if_nametoindex(name))
        xdp = link.get_attr("IFLA_XDP")
        return bool(xdp is not None and xdp.get_attr("IFLA_XDP_ATTACHED"))


def frame(address: str, number: int) -> bytes:
    return bytes.fromhex(address.replace(":", "")) + bytes([2, 0, 0, 0, 0, 1, 0x88, 0xB5]) + bytes([number]) * 46


def arrived(port: AfXdpPort, count: int, wait_s: float = DEADLINE_S) -> list[int]:
    """Return the numbers of the frames that arrive."""
    found: list[int] = []
    deadline = time.monotonic() + wait_s
    while len(found) < count and time.monotonic() < deadline:
        if (batch := port.receive(64)) is not None:
            found += batch.frames[:, 20].tolist()
            port.release()
    return found


def raw(name: str) -> socket.socket:
    """Return a socket on the kernel's own way in and out."""
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    one.bind((name, 0x88B5))
    one.settimeout(DEADLINE_S)
    return one


@pytest.mark.usefixtures("veth")
@pytest.mark.parametrize("veth", [1], indirect=True)  # of two, a hash with a key of each boot's own picks one
def test_frames_to_other_addresses_go_on_to_the_kernel() -> None:
    port = open_port("b", steer="mac")
    with raw("a") as out, raw("b") as others:
        for number, address in enumerate([OURS, OTHER, OURS, OTHER]):
            out.send(frame(address, number))
        assert [others.recv(100)[20] for _ in range(2)] == [1, 3]
        assert arrived(port, 2) == [0, 2]
        others.settimeout(0)
        with pytest.raises(BlockingIOError):
            others.recv(100)
    port.close()


@pytest.mark.usefixtures("veth")
def test_by_queue_no_frame_goes_on_to_the_kernel() -> None:
    port = open_port("b", queues="2")
    with raw("a") as out, raw("b") as others:
        for number in range(4):
            out.send(frame(OTHER, number))
        assert sorted(arrived(port, 4)) == [0, 1, 2, 3]
        others.settimeout(0)
        with pytest.raises(BlockingIOError):
            others.recv(100)
    port.close()


@pytest.mark.usefixtures("veth")
def test_two_queues_share_their_memory_and_keep_flows_apart() -> None:
    here, there = open_port("a", queues="2"), open_port("b", queues="2")
    rows = np.stack([np.frombuffer(frame(OURS, number), np.uint8) for number in range(4)])
    here.prepare(rows)
    for _ in range(50):
        assert here.commit(len(here.reserve(8))) == (8, 0)
        assert sorted(arrived(there, 8)) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert there.overruns() == 0
    here.close()
    there.close()


@pytest.mark.usefixtures("veth")
def test_close_gives_everything_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    port = open_port("b")
    assert program_on("b")
    port.close()
    port.close()
    assert not program_on("b")
    assert len(os.listdir("/proc/self/fd")) == before
    for use in (lambda: port.reserve(1), lambda: port.receive(1), port.overruns):
        with pytest.raises(GeneratorError, match="interface b: the port is closed"):
            use()


@pytest.mark.usefixtures("veth")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None])
def test_the_kernel_detaches_the_program_however_the_process_ends(how: signal.Signals | None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        assert program_on("b")
        if how is None:
            process.communicate()
        else:
            process.send_signal(how)
    deadline = time.monotonic() + DEADLINE_S
    while program_on("b"):
        assert time.monotonic() < deadline, "the program is still attached"


@pytest.mark.usefixtures("veth")
def test_an_interface_takes_one_port() -> None:
    port = open_port("b")
    with pytest.raises(GeneratorError, match=r"interface 'b' cannot be opened: .*another AF_XDP socket"):
        open_port("b")
    port.close()


@pytest.mark.usefixtures("veth")
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"interface": "none"}, "interface 'none' cannot be opened: no interface with this name"),
        ({"queues": "3"}, "interface 'b' cannot be opened: .*has it 3 queues, both ways"),
        ({"mode": "zero_copy"}, "interface 'b' cannot be opened: .*its driver has no zero copy"),
    ],
)
def test_what_cannot_be_opened_is_named(parameters: dict[str, str], message: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(GeneratorError, match=message):
        open_port("b", **parameters)
    assert not program_on("b")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("veth")
def test_a_frame_above_the_mtu_is_refused_by_name() -> None:
    port = open_port("a")
    with pytest.raises(ConfigurationError, match="frame size 1519: accepted on interface a: up to 1518 octets"):
        port.prepare(np.zeros((1, 1515), np.uint8))
    port.close()


@pytest.mark.usefixtures("veth")
def test_an_interface_that_is_removed_is_named() -> None:
    from pyroute2 import IPRoute

    here, there = open_port("a"), open_port("b")
    here.prepare(np.zeros((1, 60), np.uint8))
    with IPRoute() as routes:
        routes.link("del", index=routes.link_lookup(ifname="a")[0])
    here.reserve(1)
    with pytest.raises(GeneratorError, match=r"interface a: .* while sending: it was taken down or removed"):
        here.commit(1)
    with pytest.raises(GeneratorError, match=r"interface b: .* while receiving: it was taken down or removed"):
        there.overruns()
    here.close()
    there.close()


def test_the_root_of_a_user_namespace_is_told_what_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", ROOTLESS], capture_output=True, text=True, check=False)
    if "CapabilityMissing" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.stdout.startswith("af_xdp: bpf(2) is refused (Operation not permitted); run as root"), done
    assert CapabilityMissing.__name__ not in done.stderr
