"""Hosts by what a testbed file, or a command line, says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.model.machine import Machine
from pytest_nfv.model.testbed_file import read

LOCAL = "local"


@contextmanager
def hosts(ssh_config: Path | None) -> Iterator[Callable[[Machine], MachineHost]]:
    """Yield what connects to machines; connections are closed at the end."""
    with ExitStack() as stack:

        def host_of(machine: Machine) -> MachineHost:
            if not machine.address:
                return LocalHost()
            from pytest_nfv.hosts.ssh import SshHost

            host = SshHost(machine.address, name=machine.name, python=machine.python, config_file=ssh_config)
            stack.callback(host.close)
            return host

        yield host_of


def named(word: str, file: Path | None, name: str) -> Machine:
    """Return the machine that a command line means.

    Args:
        word: `local`, a host of the testbed file, or what ssh(1) takes.
        file: the testbed file, where there is one.
        name: what to call it, where that was said.

    Raises:
        ConfigurationError: it is none of them.
    """
    from pytest_nfv.testbeds.draft import host_name

    known = read(file).machines if file else {}
    if word in known:
        return known[word]
    if word == LOCAL:
        host = LocalHost().read_text("/proc/sys/kernel/hostname").strip()
        return Machine(name or host_name(host))
    try:
        return Machine(name or host_name(word), address=word)
    except ConfigurationError as error:
        accepted = ", ".join((LOCAL, *known))
        raise ConfigurationError(f"host {word!r}: {error}; or one of {accepted}") from error
