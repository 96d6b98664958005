"""What the plugin costs a pytest that does not use it: the same run with it and with `-p no:nfv`, in turn.

    python benchmarks/startup.py [--runs 61] [--json]

The limit is 10 ms (median difference of pairs, each pair in the other order than the last). The median's 95 %
interval, by order statistics, says whether the limit is kept, broken, or whether the machine is too noisy to tell.
"""

from __future__ import annotations

import argparse
import json
import math
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


def pair(folder: Path, *, plugin_first: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the times of a run with the plugin and of one without."""
    if plugin_first:
        ours = run_ms(folder)
        return ours, run_ms(folder, "-p", "no:nfv")
    peer = run_ms(folder, "-p", "no:nfv")
    return run_ms(folder), peer


def interval(ordered: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median of a sorted sample (binomial, normal approximation)."""
    half, middle = 0.98 * math.sqrt(len(ordered)), (len(ordered) - 1) / 2
    return ordered[max(0, math.floor(middle - half))], ordered[min(len(ordered) - 1, math.ceil(middle + half))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=61)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        (folder / "pytest.ini").write_text("[pytest]\n")
        run_ms(folder)
        run_ms(folder, "-p", "no:nfv")
        pairs = [pair(folder, plugin_first=number % 2 == 0) for number in range(chosen.runs)]
    for place, kind in enumerate(("wall", "processor")):
        ours = [one[place] for one, _ in pairs]
        peer = [other[place] for _, other in pairs]
        _print(kind, ours, peer, chosen.json)
    return 0


def _print(kind: str, ours: list[float], peer: list[float], as_json: bool) -> None:
    differences = sorted(one - other for one, other in zip(ours, peer, strict=True))
    extra, (low, high) = statistics.median(differences), interval(differences)
    verdict = "kept" if high <= LIMIT_MS else "BROKEN" if low > LIMIT_MS else "undecided: too noisy a machine"
    with_plugin, without = statistics.median(ours), statistics.median(peer)
    row = {
        "name": f"startup {kind} time",
        "ours": round(with_plugin, 1),
        "peer": round(without, 1),
        "ratio": round(with_plugin / without, 4),
        "unit": "ms",
        "difference": round(extra, 1),
        "spread": [round(low, 1), round(high, 1)],
    }
    if as_json:
        print(json.dumps(row))
        return
    print(
        f"{kind}: {with_plugin:.1f} ms with the plugin, {without:.1f} ms with -p no:nfv (medians of {len(ours)})"
    )
    print(
        f"  difference, pair by pair: median {extra:.1f} ms (95 %: {low:.1f} to {high:.1f}), all "
        f"{differences[0]:.1f} to {differences[-1]:.1f} ms"
    )
    print(f"  limit {LIMIT_MS:g} ms: {verdict}")


if __name__ == "__main__":
    sys.exit(main())
