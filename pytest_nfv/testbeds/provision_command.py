"""`python -m pytest_nfv provision`: this package onto a far host."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.testbeds.commands import add_ssh_config


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("provision", help="put this package into a virtual environment on a far host")
    parser.add_argument("host", metavar="HOST", help="what ssh(1) takes, or a host of --testbed")
    parser.add_argument("--testbed", metavar="FILE", type=Path, help="file that HOST may be declared in")
    parser.add_argument("--place", metavar="DIR", default="", help="where; default: where runs look for it")
    parser.add_argument("--remove", action="store_true", help="take it away again")
    add_ssh_config(parser)
    parser.set_defaults(command=_provision)


def _provision(options: argparse.Namespace) -> None:
    from pytest_nfv.hosts.provision import PLACE, provision, remove
    from pytest_nfv.hosts.ssh import SshHost
    from pytest_nfv.testbeds.hosts import named

    machine = named(options.host, options.testbed, "")
    if not machine.address:
        raise ConfigurationError(f"host {options.host!r} is this machine; accepted: one that is reached by SSH")
    place = options.place or machine.python.removesuffix("/bin/python") or PLACE
    host = SshHost(machine.address, name=machine.name, config_file=options.ssh_config)
    try:
        (remove if options.remove else provision)(host, place, print)
    finally:
        host.close()
