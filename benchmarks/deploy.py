"""How long it takes to deploy and to tear down: a VNF of each kind of host, and many namespaces.

    python benchmarks/deploy.py namespace|lxc|vm|bridge|all [--runs 5] [--json | --markdown]

`namespace`, `lxc`, `vm`: a PVP with L2Fwd on linux-bridge, from its placement until its addresses are learnt, and
until all of it is gone again; the run's agent stands, as it does for all tests of a run but the first, and what it
takes itself is told beside. `bridge`: 100 network namespaces, each with an interface on one bridge, beside the
same made with iproute2. Where there is no peer, it is the limit. After each run it is looked for what is left: any
namespace, process, control group, file, mount or interface is an error. Root is needed. A run is `disturbed` where
the host kept more than 2 % of its cores from the machine; others' work in the machine does not show.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.generator import positive
from benchmarks.sampling import Row, Sample, in_turns, json_row, markdown_head, markdown_row, plain_row
from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.plan import place
from pytest_nfv.errors import CapabilityMissing, DeploymentError, NfvError
from pytest_nfv.hosts import cgroups, remains
from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.marks import runtime_directory
from pytest_nfv.hosts.run_id import new_run_id
from pytest_nfv.model.chain import PVP
from pytest_nfv.model.nf import L2Fwd
from pytest_nfv.model.testbed import built_in
from pytest_nfv.model.vnf import VNF

LIMITS_S = {"namespace": 0.5, "lxc": 1.0, "vm": 10.0, "bridge": 10.0}
STATIONS = 100
MTU = 1500


@contextmanager
def _lab(spent: dict[str, float]) -> Iterator[Lab]:
    """Begin a run and end it; raise where anything of it is left."""
    run_id = new_run_id()
    started = time.perf_counter()
    lab = Lab(LocalHost(run_id), run_id)
    spent["run begun, s"] = time.perf_counter() - started
    try:
        yield lab
    finally:
        ending = time.perf_counter()
        lab.close()
        spent["run ended, s"] = time.perf_counter() - ending
    if left := _left(run_id):
        raise DeploymentError(f"run {run_id} left behind: {', '.join(left)}")


def _left(run_id: str) -> list[str]:
    mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    return [
        *map(str, remains.namespaces_of(run_id)),
        *(f"process {pid}" for pid in remains.processes_of(run_id)),
        *map(str, cgroups.groups_of(run_id)),
        *(str(path) for path in runtime_directory().iterdir() if run_id in path.name),
        *(line for line in mounts if run_id in line),
        *(name for name in os.listdir("/sys/class/net") if run_id in name),
    ]


def taken_s() -> float:
    """Return the time that the machine's host has kept from its cores so far (proc(5), steal)."""
    ticks = int(Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[8])
    return ticks / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)


def pvp(host: str) -> Sample:
    """Deploy a PVP on a lab that stands, and take it down."""
    spent: dict[str, float] = {}
    allowed = os.sched_getaffinity(0)
    topology = PVP("linux-bridge", VNF(L2Fwd(), host=host))
    placement = place(topology, built_in()["local"], sorted(allowed))
    try:
        os.sched_setaffinity(0, allowed - set(placement.device_cores) or allowed)  # as in a test run
        with _lab(spent) as lab:
            taken, started = taken_s(), time.perf_counter()
            deployment = Deployment(placement, lab)
            standing = time.perf_counter()
            deployment.close()
            gone = time.perf_counter()
            share = (taken_s() - taken) / (gone - started)
            if left := remains.namespaces_of(lab.run_id):
                raise DeploymentError(f"the deployment left behind: {', '.join(map(str, left))}")
    finally:
        os.sched_setaffinity(0, allowed)
    parts = {"deploy, s": standing - started, "tear down, s": gone - standing}
    return Sample(gone - started, share, "none", more=parts | spent)


def stations() -> Sample:
    """Make namespaces with an interface on one bridge, and remove them."""
    spent: dict[str, float] = {}
    with _lab(spent) as lab:
        taken, started = taken_s(), time.perf_counter()
        switch = lab.namespace("switch")
        spaces = [lab.namespace("station") for _ in range(STATIONS)]
        ports = [f"p{number}" for number in range(STATIONS)]
        for number, (port, space) in enumerate(zip(ports, spaces, strict=True)):
            ends = (f"02:6e:70:00:00:{number:02x}", f"02:6e:70:00:01:{number:02x}")
            lab.veth(VethEnd(switch, port, ends[0]), VethEnd(space, "eth0", ends[1]), MTU)
        lab.bridge(switch, "br0", "02:6e:70:00:02:00", ports)
        links = lab.links(switch)
        if not all(links[port].carrier and links[port].master == "br0" for port in ports):
            raise DeploymentError("not every port is up and on the bridge")
        standing = time.perf_counter()
        for space in (switch, *spaces):  # all links go with the first: one by one, each would take 30 ms
            lab.remove(space)
        gone = time.perf_counter()
        share = (taken_s() - taken) / (gone - started)
    parts = {"deploy, s": standing - started, "tear down, s": gone - standing}
    return Sample(gone - started, share, "none", more=parts | spent)


def iproute2() -> Sample:
    """Make the same with `ip`, a process for all namespaces and one for all links, and remove it."""
    run_id = new_run_id()
    names = [f"nfv-{run_id}-{number}" for number in range(STATIONS + 1)]
    switch, spaces = names[0], names[1:]
    links = ["link add br0 type bridge", "link set br0 up"]
    for number, space in enumerate(spaces):
        links.append(f"link add p{number} mtu {MTU} type veth peer name eth0 mtu {MTU} netns {space}")
        links.append(f"link set p{number} master br0 up")
    started = time.perf_counter()
    try:
        _ip([], [f"netns add {name}" for name in names])
        _ip(["-n", switch], links)
        for space in spaces:
            _ip(["-n", space], ["link set eth0 up"])
    finally:
        _ip(["-force"], [f"netns delete {name}" for name in names])
    gone = time.perf_counter()
    if left := _left(run_id):
        raise DeploymentError(f"iproute2 left behind: {', '.join(left)}")
    return Sample(gone - started, 0.0, "none")


def _ip(options: Sequence[str], lines: Sequence[str]) -> None:
    argv = ["ip", *options, "-batch", "-"]
    told = subprocess.run(argv, input="\n".join(lines) + "\n", text=True, capture_output=True, check=False)
    if told.returncode:
        raise DeploymentError(f"{' '.join(argv)}: {told.stderr.strip()}")


def row(what: str, runs: int) -> Row:
    """Take the samples of a row: its first run, which also fills caches, is not counted."""
    if os.geteuid() != 0:
        raise CapabilityMissing("root", "threads and containers of a device cannot be pinned", "run as root")
    limit = LIMITS_S[what]
    goal = f"<= {limit:g} s"
    if what == "bridge":
        stations()
        both = in_turns(runs, stations, iproute2)
        return Row(f"{STATIONS} namespaces on one bridge", "s", "iproute2", goal, tuple(both[0]), tuple(both[1]))
    pvp(what)
    both = in_turns(runs, partial(pvp, what), lambda: Sample(limit, 0.0, "none"))
    return Row(f"PVP, linux-bridge, {what}", "s", "the limit", goal, tuple(both[0]), tuple(both[1]))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*LIMITS_S, "all"], help="which rows")
    parser.add_argument("--runs", type=positive, default=5, help="runs of each side (default: 5)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON lines")
    form.add_argument("--markdown", action="store_true", help="print a table")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    shown: Callable[[Row], str] = json_row if chosen.json else markdown_row if chosen.markdown else plain_row
    failed = False
    for line in markdown_head() if chosen.markdown else ():
        print(line)
    for what in LIMITS_S if chosen.what == "all" else (chosen.what,):
        try:
            print(shown(row(what, chosen.runs)), flush=True)
        except NfvError as error:
            print(f"{what}: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all is put back
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
