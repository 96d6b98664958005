"""`python -m pytest_nfv testbed ...`: make a testbed file, and see whether a lab is as it says."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pytest_nfv.errors import NfvError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand and its own ones."""
    testbed = commands.add_parser("testbed", help="make a testbed file, and check a lab against it")
    actions = testbed.add_subparsers(required=True, metavar="ACTION")
    discover = actions.add_parser("discover", help="print a first version of a host's part of a testbed file")
    discover.add_argument("host", metavar="HOST", help="`local`, what ssh(1) takes, or a host of --testbed")
    add_file(discover)
    discover.add_argument("--name", default="", help="what the file is to call it; default: from HOST")
    discover.set_defaults(command=_discover)
    check = actions.add_parser("check", help="say what of a testbed file works, what is missing and how to get it")
    check.add_argument("file", metavar="FILE", type=Path)
    check.add_argument(
        "name", metavar="NAME", nargs="?", default="", help="one testbed; default: all, and all hosts"
    )
    add_ssh_config(check)
    check.set_defaults(command=_check)
    schema = actions.add_parser("schema", help="print every key of a testbed file")
    schema.set_defaults(command=_schema)


def add_file(parser: argparse.ArgumentParser) -> None:
    """Add the options by which HOST is found."""
    parser.add_argument("--testbed", metavar="FILE", type=Path, help="file that HOST may be declared in")
    add_ssh_config(parser)


def ready(options: argparse.Namespace) -> str:
    """Return what `ready` says on HOST.

    Raises:
        CommandError: the package is not there, or of another version.
        DeploymentError: no connection.
    """
    from pytest_nfv.testbeds.hosts import hosts, named
    from pytest_nfv.testbeds.ready import ready as ready_there

    machine = named(options.host, options.testbed, "")
    cores = {"device": options.device_cores, "generator": options.generator_cores}
    more = [f"--{role}-cores={listed}" for role, listed in cores.items() if listed]
    more += [word for interface in options.interface for word in ("--interface", interface)]
    with hosts(options.ssh_config) as host_of:
        return ready_there(machine, host_of(machine), [*more, *(["--json"] if options.json else [])])


def add_ssh_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that --nfv-ssh-config is for pytest."""
    parser.add_argument(
        "--ssh-config",
        metavar="FILE",
        type=Path,
        default=os.environ.get("PYTEST_NFV_SSH_CONFIG") or None,
        help="read instead of ~/.ssh/config, as ssh -F does [$PYTEST_NFV_SSH_CONFIG]",
    )


def _discover(options: argparse.Namespace) -> None:
    from pytest_nfv.hosts.nic_ports import read_ports
    from pytest_nfv.hosts.processors import read_processors
    from pytest_nfv.testbeds.draft import draft
    from pytest_nfv.testbeds.hosts import hosts, named

    machine = named(options.host, options.testbed, options.name)
    with hosts(options.ssh_config) as host_of:
        host = host_of(machine)
        print(draft(machine.name, machine.address, read_ports(host), read_processors(host)), end="")


def _check(options: argparse.Namespace) -> None:
    from pytest_nfv.model.testbed_file import read
    from pytest_nfv.testbeds.check import check
    from pytest_nfv.testbeds.hosts import hosts
    from pytest_nfv.testbeds.rows import failed, table

    rows = []
    with hosts(options.ssh_config) as host_of:
        for row in check(read(options.file), options.name, host_of):
            rows.append(row)
            if sys.stderr.isatty():
                print(f"\r{row.subject}: {row.what}\033[K", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(table(rows))
    if failed(rows):
        raise NfvError(f"{options.file}: {failed(rows)} things that a run needs are missing")


def _schema(options: argparse.Namespace) -> None:
    from pytest_nfv.testbeds.schema import text

    print(text(), end="")
