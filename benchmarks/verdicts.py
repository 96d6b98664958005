"""How often gates and searches are wrong, and how much trial time they take, on the simulated device.

Usage: python benchmarks/verdicts.py [--seeds N] [--json]

The truth is the simulated device's mean capacity. A gate is wrong when it fails a load of 98 % of it or less, or
passes one of 102 % or more; loads between are nobody's error. A search is wrong when its result is further from
the capacity than its own resolution, and badly wrong when it is further than 2 %.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.trial import TrialResult
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.search.bounds import RESOLUTION, Bounds
from pytest_nfv.search.gate import sustains
from pytest_nfv.search.sim import SimulatedDevice
from pytest_nfv.search.stats import median
from pytest_nfv.search.table import SEARCHES
from pytest_nfv.units import line_rate

FRAME_SIZE = 64
CAPACITY_PPS = 12.5e6
TOLERANCE = 0.02
GOOD_LOADS = (0.90, 0.95, 0.98)
BAD_LOADS = (1.02, 1.05, 1.10)
LINK_PPS = line_rate("10GbE", FRAME_SIZE).pps
BOUNDS = Bounds(floor_pps=LINK_PPS / 100, ceiling_pps=LINK_PPS)

DEVICES = {
    "steady": Simulation(CAPACITY_PPS),
    "noise 0.3 %": Simulation(CAPACITY_PPS, noise=0.003),
    "noise 1 %": Simulation(CAPACITY_PPS, noise=0.01),
    "noise 0.3 %, burst every 40 s": Simulation(CAPACITY_PPS, noise=0.003, burst_every_s=40.0),
    "noise 1 %, burst every 4 s": Simulation(CAPACITY_PPS, noise=0.01, burst_every_s=4.0),
}

GOALS = {
    "default": SearchGoal(),
    "strict, 3 of 1 s": SearchGoal(exceed_ratio=0.0),
    "RFC 2544, 60 s": SearchGoal(0.0, 0.0, 60.0, 60.0),
    "TST009, 2 of 60 s": SearchGoal(0.0, 0.5, 60.0, 120.0),
    "NDR, 21 of 1 s": SearchGoal(0.0, 0.5, 1.0, 21.0),
    "PDR 0.5 %, 21 of 1 s": SearchGoal(0.005, 0.5, 1.0, 21.0),
}


@dataclass(frozen=True, slots=True)
class GateQuality:
    """Attributes: ratios are wrong verdicts over verdicts; `trial_s` is the mean offered time of one gate."""

    name: str
    runs: int
    false_fail_ratio: float
    false_pass_ratio: float
    trial_s: float


@dataclass(frozen=True, slots=True)
class SearchQuality:
    """Attributes: errors are relative to the capacity; `trial_s` is the mean offered time of one search."""

    name: str
    runs: int
    beyond_resolution_ratio: float
    beyond_2_percent_ratio: float
    median_error: float
    worst_error: float
    trial_s: float


def seconds(trials: Iterable[TrialResult]) -> float:
    return sum(trial.spec.duration_s for trial in trials)


def devices(simulation: Simulation, seeds: int) -> Iterator[SimulatedDevice]:
    for seed in range(seeds):
        yield SimulatedDevice(replace(simulation, seed=seed), FRAME_SIZE)


def gate_quality(name: str, simulation: Simulation, goal: SearchGoal, seeds: int) -> GateQuality:
    def verdicts(loads: Sequence[float]) -> tuple[list[Verdict], float]:
        found, spent_s = [], 0.0
        for device in devices(simulation, seeds):
            for load in loads:
                ruling, trials = sustains(device, load * CAPACITY_PPS, goal, retry_invalid=0)
                found.append(ruling.verdict)
                spent_s += seconds(trials)
        return found, spent_s

    good, good_s = verdicts(GOOD_LOADS)
    bad, bad_s = verdicts(BAD_LOADS)
    runs = len(good) + len(bad)
    return GateQuality(
        name=name,
        runs=runs,
        false_fail_ratio=good.count(Verdict.FAIL) / len(good),
        false_pass_ratio=bad.count(Verdict.PASS) / len(bad),
        trial_s=(good_s + bad_s) / runs,
    )


def search_quality(name: str, method: str, simulation: Simulation, goal: SearchGoal, seeds: int) -> SearchQuality:
    errors, spent_s = [], 0.0
    for device in devices(simulation, seeds):
        outcome = SEARCHES[method](device, BOUNDS, goal, 0)
        errors.append(outcome.rate_pps / CAPACITY_PPS - 1)
        spent_s += seconds(outcome.trials)
    return SearchQuality(
        name=name,
        runs=seeds,
        beyond_resolution_ratio=sum(abs(error) > RESOLUTION for error in errors) / seeds,
        beyond_2_percent_ratio=sum(abs(error) > TOLERANCE for error in errors) / seeds,
        median_error=median(errors),
        worst_error=max(errors, key=abs),
        trial_s=spent_s / seeds,
    )


def gates(seeds: int) -> Iterator[tuple[str, str, GateQuality]]:
    for device, simulation in DEVICES.items():
        for label, goal in GOALS.items():
            yield device, label, gate_quality(f"gate/{label}/{device}", simulation, goal, seeds)


def searches(seeds: int) -> Iterator[tuple[str, str, SearchQuality]]:
    goal = SearchGoal()
    for device, simulation in DEVICES.items():
        for method in SEARCHES:
            yield device, method, search_quality(f"search/{method}/{device}", method, simulation, goal, seeds)


def percent(value: float) -> str:
    return f"{value * 100:.2f} %"


def print_gates(rows: Iterable[tuple[str, str, GateQuality]]) -> None:
    print("| device | goal | false FAIL | false PASS | trial seconds |\n|---|---|---:|---:|---:|")
    for device, label, row in rows:
        wrong = f"{percent(row.false_fail_ratio)} | {percent(row.false_pass_ratio)}"
        print(f"| {device} | {label} | {wrong} | {row.trial_s:.1f} |")


def print_searches(rows: Iterable[tuple[str, str, SearchQuality]]) -> None:
    print(
        f"| device | search | beyond {RESOLUTION * 100:g} % | beyond {TOLERANCE * 100:g} % | median error "
        "| worst error | trial seconds |\n|---|---|---:|---:|---:|---:|---:|"
    )
    for device, method, row in rows:
        wrong = f"{percent(row.beyond_resolution_ratio)} | {percent(row.beyond_2_percent_ratio)}"
        errors = f"{row.median_error * 100:+.2f} % | {row.worst_error * 100:+.2f} %"
        print(f"| {device} | `{method}` | {wrong} | {errors} | {row.trial_s:.1f} |")


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: accepted: a whole number >= 1")
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--seeds", type=positive, default=500, help="simulated devices of each kind (default: 500)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of tables")
    arguments = parser.parse_args()
    sections: tuple[Callable[[int], Iterator[tuple[str, str, GateQuality | SearchQuality]]], ...] = (
        gates,
        searches,
    )
    if arguments.json:
        for section in sections:
            for _, _, row in section(arguments.seeds):
                print(json.dumps(asdict(row)), flush=True)
        return
    print_gates(gates(arguments.seeds))
    print()
    print_searches(searches(arguments.seeds))


if __name__ == "__main__":
    main()
