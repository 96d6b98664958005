"""What the plugin costs a pytest that does not use it: the same run with it and with `-p no:nfv`, in turn.

    python benchmarks/startup.py [--runs 15] [--json]

The limit is 10 ms (median difference of pairs). Processor time is told beside wall time: on a shared machine it is
the steadier of the two.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_MS = 10.0


def run_ms(folder: Path, *options: str) -> tuple[float, float]:
    """Return wall and processor time of one pytest of one trivial test, in ms."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, check=True, cwd=folder, capture_output=True, env=environment)
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s * 1e3, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        (folder / "pytest.ini").write_text("[pytest]\n")
        run_ms(folder)
        run_ms(folder, "-p", "no:nfv")
        pairs = [(run_ms(folder), run_ms(folder, "-p", "no:nfv")) for _ in range(chosen.runs)]
    for place, kind in enumerate(("wall", "processor")):
        ours = [one[place] for one, _ in pairs]
        peer = [other[place] for _, other in pairs]
        _print(kind, ours, peer, chosen.json)
    return 0


def _print(kind: str, ours: list[float], peer: list[float], as_json: bool) -> None:
    differences = sorted(one - other for one, other in zip(ours, peer, strict=True))
    extra = statistics.median(differences)
    with_plugin, without = statistics.median(ours), statistics.median(peer)
    row = {
        "name": f"startup {kind} time",
        "ours": round(with_plugin, 1),
        "peer": round(without, 1),
        "ratio": round(with_plugin / without, 4),
        "unit": "ms",
        "spread": [round(differences[0], 1), round(differences[-1], 1)],
    }
    if as_json:
        print(json.dumps(row))
        return
    print(
        f"{kind}: {with_plugin:.1f} ms with the plugin, {without:.1f} ms with -p no:nfv (medians of {len(ours)})"
    )
    print(f"  difference, pair by pair: median {extra:.1f} ms, {differences[0]:.1f} to {differences[-1]:.1f} ms")
    print(f"  limit {LIMIT_MS:g} ms: {'kept' if extra <= LIMIT_MS else 'BROKEN'}")


if __name__ == "__main__":
    sys.exit(main())
