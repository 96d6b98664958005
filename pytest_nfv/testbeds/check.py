"""`testbed check`: all that a testbed file says, tried on its hosts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from pytest_nfv.errors import CommandError, ConfigurationError, DeploymentError
from pytest_nfv.hosts.nic_ports import read_ports
from pytest_nfv.hosts.processors import read_processors
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.model.machine import Cable, Machine
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.model.testbed_file import TestbedFile
from pytest_nfv.testbeds import host_checks, port_checks
from pytest_nfv.testbeds.port_checks import Reached
from pytest_nfv.testbeds.rows import Row, missing, note, ok

PROBE_DEADLINE_S = 120.0
CAPABILITIES = ("-m", "pytest_nfv", "capabilities", "--json")


def check(file: TestbedFile, name: str, host_of: Callable[[Machine], MachineHost]) -> Iterator[Row]:
    """Yield what works and what is missing, a row a finding, each as soon as it is known.

    Args:
        file: what is checked.
        name: of one testbed; empty: all, and hosts that are in none.
        host_of: connects to a host.

    Raises:
        ConfigurationError: there is no testbed of that name.
    """
    if name and name not in file.testbeds:
        raise ConfigurationError(f"unknown testbed {name!r}; known: {', '.join(file.testbeds) or 'none'}")
    testbeds = [file.testbeds[name]] if name else list(file.testbeds.values())
    used = {one: machine for testbed in testbeds if testbed.rig for one, machine in testbed.rig.machines.items()}
    machines = used if name else dict(file.machines)
    reached: dict[str, Reached] = {}
    for machine in machines.values():
        try:
            yield from _host(machine, host_of(machine), file.cables, reached)
        except DeploymentError as error:  # such as a connection that is lost meanwhile
            yield missing(machine.name, "looked at", str(error).splitlines()[-1], "check again")
    for cable in file.cables:
        if cable.one[0] in machines and cable.other[0] in machines:
            yield port_checks.cable(cable, reached)
    for testbed in testbeds:
        yield from _testbed(testbed, reached, host_of)


def _host(
    machine: Machine, host: MachineHost, cables: tuple[Cable, ...], reached: dict[str, Reached]
) -> Iterator[Row]:
    """Yield a host's rows; a host that answers is put into `reached`."""
    first = host_checks.reached(machine, host)
    yield first
    if first.state == "missing":
        return
    package, root = host_checks.package(machine, host), host_checks.rights(machine, host)
    yield from (package, root)
    cores = read_processors(host)
    yield from host_checks.cores(machine, cores)
    yield host_checks.huge_pages(machine, cores)
    yield from host_checks.settings(machine, host)
    try:
        ports = read_ports(host)
    except CommandError as error:
        yield missing(machine.name, "ports", str(error).splitlines()[-1], "apt-get install iproute2 there")
        return
    answers = Reached(machine, host, ports, package.state == "ok", root.state == "ok")
    reached[machine.name] = answers
    speeds = {end[1]: cable.link for cable in cables for end in (cable.one, cable.other) if end[0] == machine.name}
    yield from port_checks.ports(answers, speeds)
    yield from port_checks.near(answers, cores)


def _testbed(
    testbed: Testbed, reached: Mapping[str, Reached], host_of: Callable[[Machine], MachineHost]
) -> Iterator[Row]:
    if testbed.kind == "sim":
        yield ok(testbed.name, "testbed", "simulated: nothing to be missing")
    elif testbed.rig is None:
        here = Machine(testbed.name, device_cores=testbed.device_cores, generator_cores=testbed.generator_cores)
        host = host_of(here)
        yield from host_checks.cores(here, read_processors(host))
        yield from switches(testbed, testbed.name, host)
    else:
        for name in testbed.rig.devices:
            device = reached.get(name)
            if device and device.package:
                yield from switches(testbed, f"{testbed.name} on {name}", device.host)
            else:
                yield note(testbed.name, "vswitches", f"not tried, as {name} is not reached or lacks the package")


def switches(testbed: Testbed, subject: str, host: MachineHost) -> Iterator[Row]:
    """Try the testbed's switches on the device's host, by the package there."""
    argv = [host.python, *CAPABILITIES, *testbed.vswitches]
    try:
        told = json.loads(host.run(argv, timeout_s=PROBE_DEADLINE_S).stdout)
    except CommandError as error:
        yield missing(
            subject, "vswitches", str(error).splitlines()[-1], "mend `vswitches`, or provision the host anew"
        )
        return
    for name, one in told.items():
        if one["found"]:
            yield ok(subject, name, one["found"])
        else:
            yield missing(subject, name, one["missing"], one["remedy"])
