"""testpmd in a guest: what it is told, what it counts, and what is said where it does not run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest

from pytest_nfv.errors import ConfigurationError, DeploymentError
from pytest_nfv.hosts.protocol import Completed
from pytest_nfv.model.nf import Function, L2Fwd, L3Fwd
from pytest_nfv.vnfs.protocol import VnicCounters
from pytest_nfv.vnfs.vm_argv import Places, argv
from pytest_nfv.vnfs.vm_settings import Machine, Tap
from pytest_nfv.vnfs.vm_testpmd import Testpmd
from tests.unit.test_vm_settings import PLACES, values

TAPS = (Tap("t0", "02:6e:66:00:00:00"), Tap("t1", "02:6e:66:00:00:01"))
GREETING = "EAL: Selected IOVA mode 'PA'\ntestpmd> "


def told(port: int, received: int, missed: int, sent: int, dropped: int) -> str:
    return (
        f"  ######################## NIC statistics for port {port}  ########################\n"
        f"  RX-packets: {received}  RX-missed: {missed}  RX-bytes:  600\n  RX-errors: 1\n  RX-nombuf:  2\n"
        f"  TX-packets: {sent}  TX-errors: 0  TX-bytes:  1\n"
        f"  ############################################################################\n"
        f"  ---------------------- Forward statistics for port {port}  ----------------------\n"
        f"  RX-packets: {received}  RX-dropped: 0  RX-total: 1\n"
        f"  TX-packets: {sent}  TX-dropped: {dropped}  TX-total: 1\n"
        f"  ----------------------------------------------------------------------------\n"
    )


class Guest:
    """Answers what is run in it, one after the other; keeps what each command read."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.read: list[str] = []

    def __call__(self, argv: Sequence[str], *, stdin: str = "", timeout_s: float = 1.0) -> Completed:
        if argv[0] == "sh":
            assert subprocess.run(["sh", "-n"], input=stdin, text=True, check=False).returncode == 0, stdin
        self.read.append(stdin)
        return Completed(tuple(argv), 0, self._answers.pop(0), "")


def test_it_forwards_between_the_vnics_wherever_they_are_on_the_bus() -> None:
    said = "testpmd> ".join(("show\n" + told(0, 30, 4, 10, 5), "show\n" + told(1, 11, 0, 29, 0), ""))
    guest = Guest("0000:00:04.0\n0000:00:03.0\n", GREETING, "start\ntestpmd> ", said)
    engine = Testpmd("vm0", Machine(TAPS, engine="testpmd", mtu=2000, vcpus=2), guest)
    engine.forward([L2Fwd()])
    take, start, forward = guest.read
    assert "echo uio_pci_generic >$device/driver_override" in take
    assert "dpdk-testpmd --lcores=0@0,1@1 --in-memory --iova-mode=pa" in start
    assert "-a 0000:00:04.0 -a 0000:00:03.0 -- -i --nb-cores=1 --forward-mode=io" in start
    assert "--mbuf-size=2176 --max-pkt-len=2018 " in start
    assert "printf 'start\\n' 1<>/tmp/testpmd.in" in forward
    assert engine.counters(0) == (  # vNIC 0 is DPDK's port 1, behind the other on the bus
        VnicCounters(11, 29, {"guest drops": 0 + 1 + 2}, {"guest drops": 0}),
        VnicCounters(30, 10, {"guest drops": 4 + 1 + 2}, {"guest drops": 5}),
    )
    assert engine.drops(0) == {}


def test_one_that_ends_is_told_in_its_own_words() -> None:
    engine = Testpmd("vm0", Machine(TAPS, engine="testpmd"), Guest("a\nb\n", "EAL: no free hugepages\n"))
    with pytest.raises(DeploymentError, match=r"vm0: testpmd does not come up\nEAL: no free hugepages"):
        engine.forward([L2Fwd()])
    engine = Testpmd("vm0", Machine(TAPS, engine="testpmd"), Guest("a\nb\n", GREETING, "testpmd> ", "", "PANIC\n"))
    engine.forward([L2Fwd()])
    with pytest.raises(DeploymentError, match=r"vm0: testpmd has ended\nPANIC"):
        engine.counters(0)


@pytest.mark.parametrize(
    ("nics", "functions"), [(TAPS, [L3Fwd(10)]), (TAPS, [L2Fwd(), L2Fwd()]), (TAPS[:1], [L2Fwd()])]
)
def test_what_it_cannot_is_refused(nics: tuple[Tap, ...], functions: list[Function]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"vm0: .* by testpmd between \d vNICs: accepted: L2Fwd between 2"
    ):
        Testpmd("vm0", Machine(nics, engine="testpmd"), Guest()).forward(functions)


def test_its_guest_has_a_processor_that_dpdk_is_built_for() -> None:
    places: Places = PLACES
    assert values(argv(Machine(TAPS, engine="testpmd"), "tcg", places), "-cpu") == ["Nehalem"]
    assert values(argv(Machine(TAPS), "tcg", places), "-cpu") == []
    assert values(argv(Machine(TAPS, engine="testpmd"), "kvm", places), "-cpu") == ["host"]
