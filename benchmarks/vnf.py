"""What engines of network functions reach on one core of their own, at 64 B, by turns with a peer.

    python benchmarks/vnf.py vhost|veth|all [--runs 5] [--seconds 2] [--only L3Fwd] [--json | --markdown]

`vhost`: the numpy engine between two vhost-user ports, beside DPDK's testpmd `io` in its place. `veth`: XDP
programs and the numpy engine over AF_XDP, beside the kernel's bridge, IP forwarding and nftables. The generator
has the other core. Rates are Mpps of frames that came out again; those of `vhost` are the sums of both directions.
Root is needed for `veth` alone.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import rows_vnf, rows_vnf_veth
from benchmarks.generator import cores, duration, positive
from benchmarks.place import Place
from benchmarks.sampling import Row, json_row, markdown_head, markdown_row, plain_row
from pytest_nfv.errors import CapabilityMissing, NfvError

BENCHMARKS: dict[str, Callable[[Place, str], Iterator[Callable[[], Row]]]] = {
    "vhost": rows_vnf.vhost,
    "veth": rows_vnf_veth.veth,
}


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    allowed = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*BENCHMARKS, "all"], help="which rows")
    parser.add_argument("--runs", type=positive, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--seconds", type=duration, default=2.0, help="length of a run's window (default: 2)")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows with this text in their names")
    parser.add_argument("--cores", type=cores, default=(allowed[0], allowed[-1]), help="function,generator")
    parser.add_argument("--allow-missing", action="store_true", help="leave out rows whose peer is not installed")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON lines")
    form.add_argument("--markdown", action="store_true", help="print a table")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    if chosen.cores[0] == chosen.cores[1]:
        print("one core is not enough: function and generator take one each", file=sys.stderr)
        return 2
    shown = json_row if chosen.json else markdown_row if chosen.markdown else plain_row
    failed = False
    for line in markdown_head() if chosen.markdown else ():
        print(line)
    for name in BENCHMARKS if chosen.what == "all" else (chosen.what,):
        with tempfile.TemporaryDirectory(prefix="nfvb-") as folder:
            place = Place(Path(folder), chosen.cores[0], chosen.cores[1], chosen.runs, chosen.seconds)
            for row in BENCHMARKS[name](place, chosen.only):
                try:
                    print(shown(row()), flush=True)
                except CapabilityMissing as missing:
                    print(f"{name}: left out: {missing}", file=sys.stderr)
                    failed |= not chosen.allow_missing
                except NfvError as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all is put back
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
