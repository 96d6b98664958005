"""What the plugin costs a pytest that does not use it: the same run with it and with `-p no:nfv`, in turn.

    python benchmarks/startup.py [--runs 15] [--json]

The limit is 10 ms (median difference).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_MS = 10.0


def run_ms(folder: Path, *options: str) -> float:
    """Return the wall time of one pytest of one trivial test, in ms."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    started = time.perf_counter()
    subprocess.run(argv, check=True, cwd=folder, capture_output=True, env=environment)
    return (time.perf_counter() - started) * 1e3


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
    with_plugin = statistics.median(ours for ours, _ in pairs)
    without = statistics.median(peer for _, peer in pairs)
    differences = sorted(ours - peer for ours, peer in pairs)
    extra = statistics.median(differences)
    row = {
        "name": "startup",
        "ours": round(with_plugin, 1),
        "peer": round(without, 1),
        "ratio": round(with_plugin / without, 4),
        "unit": "ms",
        "spread": [round(differences[0], 1), round(differences[-1], 1)],
    }
    if chosen.json:
        print(json.dumps(row))
    else:
        print(f"with the plugin {with_plugin:.1f} ms, with -p no:nfv {without:.1f} ms (medians of {chosen.runs})")
        print(f"difference, pair by pair: median {extra:.1f} ms, {differences[0]:.1f} to {differences[-1]:.1f} ms")
        print(f"limit {LIMIT_MS:g} ms: {'kept' if extra <= LIMIT_MS else 'BROKEN'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
