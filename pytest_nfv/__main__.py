"""`python -m pytest_nfv`: housekeeping beside pytest."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing, ConfigurationError, NfvError
from pytest_nfv.testbeds import commands as testbed_commands
from pytest_nfv.testbeds import provision_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; 0 is success, 1 a failure that is explained on stderr."""
    parser = argparse.ArgumentParser(prog="pytest-nfv", description="Housekeeping beside pytest.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    reap = commands.add_parser("reap", help="remove what runs that were killed left behind")
    reap.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    reap.add_argument("--run", default="", metavar="RUN", help="end this run first, where it still lives")
    reap.set_defaults(command=_reap)
    facts = commands.add_parser("facts", help="print what matters about this machine, as JSON")
    facts.set_defaults(command=_facts)
    ready = commands.add_parser(
        "ready", help="say what on a host will spoil a measurement, and what to do about it"
    )
    ready.add_argument("host", metavar="HOST", nargs="?", default="", help="what ssh(1) takes, or of --testbed")
    testbed_commands.add_file(ready)
    for role in ("device", "generator"):
        ready.add_argument(
            f"--{role}-cores", metavar="LIST", default="", help="as 2-3,8; default: as a run chooses"
        )
    ready.add_argument("--interface", action="append", default=[], help="that frames go through; may be repeated")
    ready.add_argument("--json", action="store_true", help="print it as JSON")
    ready.set_defaults(command=_ready)
    found = commands.add_parser("capabilities", help="try what this machine can do, by the names of --nfv-require")
    found.add_argument("names", nargs="*", metavar="NAME", help="only these")
    found.add_argument(
        "--json", action="store_true", help="as JSON: what was found, or is missing and how to get it"
    )
    found.set_defaults(command=_capabilities)
    limits = commands.add_parser("limits", help="print what the generator can offer, as kept from earlier runs")
    limits.add_argument("--forget", action="store_true", help="forget it, so that it is measured again")
    limits.set_defaults(command=_limits)
    reference = commands.add_parser("reference", help="print the reference of options, markers and fixtures")
    reference.add_argument("--check", metavar="FILE", help="fail where FILE says something else")
    reference.set_defaults(command=_reference)
    testbed_commands.add(commands)
    provision_command.add(commands)
    options = parser.parse_args(argv)
    try:
        options.command(options)
    except NfvError as error:
        print(f"pytest-nfv: {error}", file=sys.stderr)
        return 1
    return 0


def _reap(options: argparse.Namespace) -> None:
    from pytest_nfv.hosts.reap import reap

    found = reap(dry_run=options.dry_run, run_id=options.run)
    for thing in found:
        print(f"{'would remove' if options.dry_run else 'removed'} {thing}")
    if not found:
        print("nothing to remove")


def _facts(options: argparse.Namespace) -> None:
    from pytest_nfv.hosts.facts import read_facts
    from pytest_nfv.hosts.local import LocalHost

    print(json.dumps(read_facts(LocalHost()).to_json(), indent=2))


def _ready(options: argparse.Namespace) -> None:
    if options.host:
        print(testbed_commands.ready(options), end="")
        return
    from pytest_nfv.deployment.readiness import compact, lines
    from pytest_nfv.deployment.ready import of_this_machine, roles_named

    roles = roles_named(options.device_cores, options.generator_cores)
    found = of_this_machine(roles, tuple(options.interface))
    if options.json:
        print(json.dumps([one.to_json() for one in found], indent=2))
    else:
        print("\n".join([compact(found), *lines(found)]))


def _capabilities(options: argparse.Namespace) -> None:
    from pytest_nfv.deployment.capabilities import known, probe

    unknown = [name for name in options.names if name not in known()]
    if unknown:
        raise ConfigurationError(f"unknown capability {unknown[0]!r}; known: {', '.join(known())}")
    told = {}
    for name in options.names or known():
        try:
            told[name] = {"found": probe(name), "missing": "", "remedy": ""}
        except CapabilityMissing as missing:
            told[name] = {"found": "", "missing": missing.missing, "remedy": missing.remedy}
    if options.json:
        print(json.dumps(told, indent=2))
        return
    for name, one in told.items():
        no = f"no   {known()[name]}: {one['missing']}; {one['remedy']}"
        print(f"{name:16} " + (f"yes  {one['found']}" if one["found"] else no))


def _limits(options: argparse.Namespace) -> None:
    from pytest_nfv.deployment.limits import Limits, cache_file
    from pytest_nfv.units import PacketRate

    limits = Limits(cache_file())
    if options.forget:
        print(f"forgot {limits.forget()}")
        return
    for key, limit in limits.all():
        print(f"{PacketRate(limit.pps)}, measured {limit.date}")
        for name, value in key.items():
            print(f"  {name:10} {value}")


def _reference(options: argparse.Namespace) -> None:
    from pytest_nfv.plugin.reference import text

    made = text()
    if not options.check:
        print(made, end="")
    elif Path(options.check).read_text(encoding="utf-8") != made:
        raise ConfigurationError(
            f"{options.check} is not what the code says; accepted: the output of `python -m pytest_nfv reference`"
        )


if __name__ == "__main__":
    sys.exit(main())
