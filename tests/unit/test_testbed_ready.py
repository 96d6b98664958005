"""`ready HOST`: which cores and ports the host's own `ready` is asked about."""

from __future__ import annotations

import pytest

from pytest_nfv.errors import CommandError
from pytest_nfv.model.machine import Machine, NicPort
from pytest_nfv.testbeds.ready import ready
from tests.unit.recorded_hosts import RecordedHost, two_sockets

WORDS = ("/opt/nfv/bin/python", "-m", "pytest_nfv", "ready")


def asked(machine: Machine, *more: str) -> tuple[str, ...]:
    host = two_sockets()
    host.obliging = True
    ready(machine, host, more)
    return host.ran[-1]


def test_cores_and_ports_are_those_that_the_file_names() -> None:
    ports = (
        NicPort("p0", interface="ens1f0"),
        NicPort("p1", pci="0000:81:00.1"),
        NicPort("p2", pci="0000:81:00.2"),  # vfio-pci has it: no interface
        NicPort("p3", pci="0000:81:00.0", vf=2),
    )
    machine = Machine("dut1", address="dut1", ports=ports, device_cores=(9, 10, 12), generator_cores=(13,))
    assert asked(machine, "--json") == (
        *WORDS,
        "--device-cores=9-10,12",
        "--generator-cores=13",
        "--interface",
        "ens1f0",
        "--interface",
        "ens1f1",
        "--json",
    )


def test_a_host_of_which_nothing_is_said_chooses_itself() -> None:
    assert asked(Machine("dut1", address="dut1")) == WORDS


def test_a_host_without_the_package() -> None:
    with pytest.raises(CommandError, match="not found"):
        ready(Machine("dut1", address="dut1"), RecordedHost({}))
