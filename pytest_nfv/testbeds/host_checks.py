"""What a run needs of each host: a way in, this package, rights, cores, and the settings that it may change."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_nfv import __version__
from pytest_nfv.errors import CommandError, DeploymentError
from pytest_nfv.hosts.processors import Processors
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.model.machine import Machine
from pytest_nfv.testbeds.rows import Row, missing, note, ok

VERSION = ("-c", "import pytest_nfv; print(pytest_nfv.__version__)")
_CPU = "/sys/devices/system/cpu"
_SETTINGS = {
    "cpu-frequency": (f"{_CPU}/cpu0/cpufreq/scaling_max_freq",),
    "governor": (f"{_CPU}/cpu0/cpufreq/scaling_available_governors",),
    "turbo": (f"{_CPU}/intel_pstate/no_turbo", f"{_CPU}/cpufreq/boost"),
    "c-states": (f"{_CPU}/cpu0/cpuidle/state0/disable",),
    "smt": (f"{_CPU}/smt/control",),
    "irq-affinity": ("/proc/irq/default_smp_affinity",),
    "huge-pages": ("/proc/sys/vm/nr_hugepages",),
}
"""Files of which one must be there. Settings of ports have none: each driver says what it can, when asked."""


def reached(machine: Machine, host: MachineHost) -> Row:
    """Check that commands run there; by SSH this takes a host key that is known."""
    where = f"`ssh {machine.address}`" if machine.address else "this machine"
    try:
        name = host.run(["uname", "-nr"]).stdout.strip()
    except DeploymentError as error:
        return missing(machine.name, "reached", _last(error), f"try {where}, which says more with -v")
    return ok(
        machine.name, "reached", f"{name}, by {where}; its key is known" if machine.address else f"{name}, {where}"
    )


def package(machine: Machine, host: MachineHost) -> Row:
    """Check that its interpreter has this package, of this version."""
    remedy = f"python -m pytest_nfv provision {machine.address}"
    try:
        found = host.run([host.python, *VERSION]).stdout.strip()
        said = f"pytest-nfv {found} on Python {host.python_version()}, {host.python}"
    except CommandError as error:
        return missing(machine.name, "package", f"no pytest-nfv at {host.python} ({_last(error)})", remedy)
    if found != __version__:
        return missing(machine.name, "package", f"{said}, where this is {__version__}", remedy)
    return ok(machine.name, "package", said)


def rights(machine: Machine, host: MachineHost) -> Row:
    """Check for root, which moves ports and changes settings."""
    user = host.run(["id", "-u"]).stdout.strip()
    if user == "0":
        return ok(machine.name, "rights", "root")
    remedy = f'ssh = "root@{machine.address.rpartition("@")[2]}"' if machine.address else "run pytest as root"
    return missing(machine.name, "rights", f"user {user}, who may not move ports between namespaces", remedy)


def cores(machine: Machine, found: Processors) -> Iterator[Row]:
    """Check the cores that the file names."""
    for key, named in (("device_cores", machine.device_cores), ("generator_cores", machine.generator_cores)):
        gone = [core for core in named if core not in found.online]
        wrong = [core for core in named if machine.core_nodes.get(core) not in (None, found.node_of(core))]
        if gone:
            have = f"accepted: of {', '.join(map(str, found.online))}"
            yield missing(machine.name, key, f"core {gone[0]} is not online", have)
        elif wrong:
            node = found.node_of(wrong[0])
            said = f"core {wrong[0]} is on NUMA node {node}, not {machine.core_nodes[wrong[0]]}"
            yield missing(machine.name, key, said, f"write it under {node}")
        elif named:
            yield ok(machine.name, key, ", ".join(map(str, named)))
        else:
            yield note(machine.name, key, "none named: chosen among all", f"`testbed discover` names {key}")
    yield from _shared(machine, found)


def _shared(machine: Machine, found: Processors) -> Iterator[Row]:
    named = (*machine.device_cores, *machine.generator_cores)
    for core in named:
        others = [other for other in named if other > core and other in found.siblings.get(core, ())]
        if others:
            said = f"cores {core} and {others[0]} are threads of one physical core and slow each other down"
            yield note(machine.name, "SMT", said, "name one of them")


def settings(machine: Machine, host: MachineHost) -> Iterator[Row]:
    """Check that what may be changed is there to be changed."""
    paths = [path for setting in sorted(machine.may_change) for path in _SETTINGS.get(setting, ())]
    there = host.read_texts(paths)
    for setting in sorted(machine.may_change & set(_SETTINGS)):
        have = [path for path in _SETTINGS[setting] if path in there]
        if have and not (setting == "smt" and there[have[0]].strip() == "notsupported"):
            yield ok(machine.name, setting, there[have[0]].strip() or have[0])
        else:
            said = f"not there to be changed ({' or '.join(_SETTINGS[setting])})"
            yield note(machine.name, setting, said, "a virtual machine often has none; firmware may hide it")


def huge_pages(machine: Machine, found: Processors) -> Row:
    """Say how many huge pages there are, which switches with DPDK take."""
    pages = {kib: 0 for _, kib in found.huge_pages or {}}
    for (_, kib), count in (found.huge_pages or {}).items():
        pages[kib] += count
    said = ", ".join(f"{count} of {kib // 1024} MiB" for kib, count in pages.items() if count)
    if said:
        return ok(machine.name, "huge pages", said)
    return note(
        machine.name, "huge pages", "none", "as root a run asks the kernel; sooner: sysctl vm.nr_hugepages=1024"
    )


def _last(error: DeploymentError) -> str:
    """Return an error's last line, which is the tool's own."""
    return str(error).splitlines()[-1]
