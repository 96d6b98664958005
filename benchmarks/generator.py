"""The built-in generator beside C peers, by turns, on the same cores: the device on one, the sender on the other.

    python benchmarks/generator.py tx|loop|memif|veth|latency|all [--runs 5] [--seconds 2] [--json | --markdown]

Ours is the generator's own process, as a test run drives it: sequence number and time stamp in every frame, and
every octet of what comes back compared. A run in which a process waited for its core for more than 2 % of the time
is told as disturbed. Rates are Mpps; those of `loop` at full load are the sums of both directions. Root is needed
for `veth` alone. An editable installation (`pip install -e .`) is what finds the other modules here.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import rows_rings, rows_veth
from benchmarks.place import Place
from benchmarks.sampling import Row, json_row, markdown_head, markdown_row, plain_row
from pytest_nfv.errors import CapabilityMissing, NfvError

BENCHMARKS: dict[str, Callable[[Place], Iterator[Callable[[], Row]]]] = {
    "tx": rows_rings.tx,
    "loop": rows_rings.loop,
    "memif": rows_rings.memif,
    "veth": rows_veth.veth,
    "latency": rows_rings.latency,
}


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: accepted: a whole number >= 1")
    return int(text)


def duration(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.2 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text!r}: accepted: seconds from 0.2 to 600")
    return seconds


def cores(text: str) -> tuple[int, int]:
    words = text.split(",")
    if len(words) != 2 or not all(word.isdecimal() for word in words) or words[0] == words[1]:
        raise argparse.ArgumentTypeError(f"{text!r}: accepted: two cores, the device's and the generator's: 0,1")
    return int(words[0]), int(words[1])


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    allowed = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*BENCHMARKS, "all"], help="which rows")
    parser.add_argument("--runs", type=positive, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--seconds", type=duration, default=2.0, help="length of a run's window (default: 2)")
    parser.add_argument("--cores", type=cores, default=(allowed[0], allowed[-1]), help="device,generator")
    parser.add_argument("--allow-missing", action="store_true", help="leave out rows whose peer is not installed")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON lines")
    form.add_argument("--markdown", action="store_true", help="print a table, as docs/performance.md has it")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    if chosen.cores[0] == chosen.cores[1]:
        print("one core is not enough: device and generator take one each", file=sys.stderr)
        return 2
    shown = json_row if chosen.json else markdown_row if chosen.markdown else plain_row
    failed = False
    for line in markdown_head() if chosen.markdown else ():
        print(line)
    for name in BENCHMARKS if chosen.what == "all" else (chosen.what,):
        with tempfile.TemporaryDirectory(prefix="nfvb-") as folder:
            place = Place(Path(folder), chosen.cores[0], chosen.cores[1], chosen.runs, chosen.seconds)
            for row in BENCHMARKS[name](place):
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
