"""What it costs to run commands on a host: this machine, a namespace, another machine by SSH.

    python benchmarks/hosts.py local|namespace|ssh|lines|trial|facts|all [--runs 5] [--json | --markdown]

`local`, `namespace`, `ssh`: 100 commands (`true`) one after the other, over one connection, beside 100 of plain
`ssh` with ControlMaster, whose connection stands, too. `lines`: the median of 200 round trips of a line to
`cat` in the background, as a generator is asked, beside the same through plain `ssh`. `trial`: what a trial
takes beside its load, device and generator on two hosts by SSH, beside both on this machine. `facts`: a host's
facts by SSH over a connection that stands, beside the limit; with what connecting takes. The far host is a
namespace of this machine with an sshd of its own (`tests/functional/ssh_lab.py`); root is needed. A run is
`disturbed` where the host kept more than 2 % of its cores from the machine; others' work in the machine does
not show.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

from benchmarks.deploy import taken_s
from benchmarks.generator import positive
from benchmarks.sampling import Row, Sample, in_turns, json_row, markdown_head, markdown_row, plain_row
from benchmarks.trials import beside_the_load, on_a_lab, on_this_machine
from pytest_nfv.errors import CapabilityMissing, NfvError
from pytest_nfv.hosts.facts import read_facts
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Host, MachineHost
from pytest_nfv.hosts.run_id import new_run_id
from tests.functional.ssh_lab import SshLab, ssh_lab

COMMANDS, LINES = 100, 200
FACTS_S = 1.0
PEER = "ssh, ControlMaster"


@contextmanager
def _namespace() -> Iterator[Host]:
    run_id = new_run_id()
    lab = Lab(LocalHost(run_id), run_id)
    try:
        yield lab.namespace("gen")
    finally:
        lab.close()


def _ssh(lab: SshLab, *words: str) -> list[str]:
    control = ["-o", "ControlMaster=auto", "-o", f"ControlPath={lab.folder}/control", "-o", "ControlPersist=60"]
    return ["ssh", "-F", str(lab.config), *control, "dut", *words]


def _sample(work: Callable[[], float | None]) -> Sample:
    """Take the time of `work`, or what it returns."""
    taken, started = taken_s(), time.perf_counter()
    figure = work()
    spent_s = time.perf_counter() - started
    return Sample(spent_s if figure is None else figure, (taken_s() - taken) / spent_s, "none")


def commands(host: Host) -> None:
    for _ in range(COMMANDS):
        host.run(["true"])


def plain_commands(lab: SshLab) -> None:
    for _ in range(COMMANDS):
        subprocess.run(_ssh(lab, "true"), check=True, stdin=subprocess.DEVNULL)


def round_trips(stdin: IO[str], stdout: IO[str]) -> float:
    """Return the median in ms."""
    taken = []
    for number in range(LINES):
        started = time.perf_counter()
        stdin.write(f'{{"op": "step", "number": {number}}}\n')
        stdin.flush()
        stdout.readline()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e3


def lines(host: Host) -> float:
    process = host.start(["cat"])
    try:
        return round_trips(process.stdin, process.stdout)
    finally:
        process.stop()


def plain_lines(lab: SshLab) -> float:
    pipe = subprocess.PIPE
    with subprocess.Popen(_ssh(lab, "cat"), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        return round_trips(process.stdin, process.stdout)


def _read_facts(host: MachineHost) -> None:
    read_facts(host)


def facts(lab: SshLab) -> Sample:
    host = lab.ssh("dut", python=sys.executable)
    try:
        connecting = time.perf_counter()
        host.reconnect()
        connected = time.perf_counter()
        sample = _sample(partial(_read_facts, host))
    finally:
        host.close()
    return Sample(sample.figure, sample.waited, "none", more={"connect, s": connected - connecting})


def row(what: str, runs: int, lab: SshLab) -> Row:
    """Take the samples of a row; a first run of each side, which fills caches and connects, is not counted."""
    if what == "facts":
        facts(lab)
        both = in_turns(runs, partial(facts, lab), lambda: Sample(FACTS_S, 0.0, "none"))
        return Row("facts of a host by SSH", "s", "the limit", "<= 1 s", tuple(both[0]), tuple(both[1]))
    if what == "trial":
        with on_a_lab(lab) as far_one, on_this_machine() as here:
            far_trial, own_trial = partial(beside_the_load, far_one), partial(beside_the_load, here)
            return replace(
                _row("a trial beside its load", "ms", runs, far_trial, own_trial), against="this machine"
            )
    far = lab.ssh("dut")
    try:
        if what == "lines":
            return _row("a line there and back by SSH", "ms", runs, partial(lines, far), partial(plain_lines, lab))
        plain = partial(plain_commands, lab)
        if what == "namespace":
            with _namespace() as namespace:
                return _row(f"{COMMANDS} commands, namespace", "s", runs, partial(commands, namespace), plain)
        host = LocalHost() if what == "local" else far
        return _row(f"{COMMANDS} commands, {what}", "s", runs, partial(commands, host), plain)
    finally:
        far.close()


def _row(
    name: str, unit: str, runs: int, ours: Callable[[], float | None], plain: Callable[[], float | None]
) -> Row:
    ours()
    plain()
    both = in_turns(runs, partial(_sample, ours), partial(_sample, plain))
    return Row(name, unit, PEER, "", tuple(both[0]), tuple(both[1]))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*WHAT, "all"], help="which rows")
    parser.add_argument("--runs", type=positive, default=5, help="runs of each side (default: 5)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON lines")
    form.add_argument("--markdown", action="store_true", help="print a table")
    return parser.parse_args(argv)


WHAT = ("local", "namespace", "ssh", "lines", "trial", "facts")


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    shown: Callable[[Row], str] = json_row if chosen.json else markdown_row if chosen.markdown else plain_row
    for line in markdown_head() if chosen.markdown else ():
        print(line)
    try:
        if os.geteuid() != 0:
            raise CapabilityMissing("root", "a far host of our own takes namespaces", "run as root")
        with tempfile.TemporaryDirectory() as folder, ssh_lab(Path(folder)) as lab:
            for what in WHAT if chosen.what == "all" else (chosen.what,):
                print(shown(row(what, chosen.runs, lab)), flush=True)
    except NfvError as error:
        print(f"hosts: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
