"""The shapes of the papers' findings, as questions to what was measured: pure, and each answer a text.

A figure is the machine's; a shape holds on any machine, if it holds. "" says that it does, any other text what
does not. Figures of a shared machine scatter, so that each shape has a tolerance, and medians are asked about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from pytest_nfv import TrialResult
from pytest_nfv.model.bottleneck import component_of


@dataclass(frozen=True, slots=True)
class Took:
    """One round's latency: median and least, in seconds."""

    median_s: float
    least_s: float


MUCH = 1.5
"""Rates of equal deployments on a shared machine differed by up to a third from one minute to the next."""


def lost_before_the_vnf(trials: Sequence[TrialResult]) -> str:
    """S3: of what was lost, more than half was lost before the VNF took it in."""
    lost = sum(trial.lost for trial in trials)
    before = sum(map(lost_before, trials))
    if 2 * before > lost:
        return ""
    return f"{before:,} of {lost:,} lost frames were lost before the VNF; expected: more than half"


def lost_before(trial: TrialResult) -> int:
    """Return how many frames a trial lost between the generator and its VNFs' own counters."""
    taken = 0
    for way in {flow.direction for flow in trial.flows}:
        places = [hop for hop in trial.hops if hop.direction == way]
        taken += next((hop.frames for hop in places if component_of(hop.place).startswith("vnf")), 0)
    return trial.sent - taken


def more_changes_little(plain_pps: Sequence[float], more_pps: Sequence[float]) -> str:
    """S3: a resource that is not the bottleneck neither helps nor harms much."""
    ratio = median(more_pps) / median(plain_pps)
    if 1 / MUCH <= ratio <= MUCH:
        return ""
    return f"with more of it {ratio:.2f} times the rate; expected: {1 / MUCH:.2f} to {MUCH:g} times"


def helps(plain_pps: Sequence[float], more_pps: Sequence[float], least: float = 1.2) -> str:
    """S3: the resource that is the bottleneck helps."""
    ratio = median(more_pps) / median(plain_pps)
    return "" if ratio >= least else f"with more of it {ratio:.2f} times the rate; expected: at least {least:g}"


def falls_with_size(share_by_size: Mapping[int, float], tolerance: float = 0.25) -> str:
    """S4: at line rate the VNF's part of a core falls as frames grow, and never rises by more than the tolerance.

    The smallest size must take more than the greatest by more than the tolerance, too.
    """
    sizes = sorted(share_by_size)
    shares = [share_by_size[size] for size in sizes]
    wrong = [
        f"{after} B take {share_by_size[after]:.1%} of a core, {before} B {share_by_size[before]:.1%}"
        for before, after in pairwise(sizes)
        if share_by_size[after] > share_by_size[before] * (1 + tolerance)
    ]
    if shares[0] <= shares[-1] * (1 + tolerance):
        wrong.append(f"{sizes[0]} B take {shares[0]:.1%} of a core, no more than {sizes[-1]} B: {shares[-1]:.1%}")
    return "; ".join(wrong)


def no_faster(one_pps: Sequence[float], three_pps: Sequence[float]) -> str:
    """S5: a chain of three forwards no more than one VNF."""
    one, three = median(one_pps), median(three_pps)
    return "" if three <= one else f"three VNFs forwarded {three:,.0f} pps, one {one:,.0f} pps"


def no_more_than_its_parts(one_pps: float, together_pps: Mapping[int, float], *, one_core: bool = False) -> str:
    """S7: n pairs beside each other forward in all no more than n times what one does alone.

    Where all of the device has `one_core`, that is spent already: no more than one does.
    """
    wrong = [
        f"{n} pairs forwarded {pps:,.0f} pps in all, one alone {one_pps:,.0f} pps"
        for n, pps in together_pps.items()
        if pps > (1 if one_core else n) * one_pps * MUCH
    ]
    return "; ".join(wrong)


def alike(pairs_pps: Sequence[float], least: float = 0.5) -> str:
    """S7: pairs with the same function and load get alike: none less than a half of what another gets."""
    if min(pairs_pps) >= least * max(pairs_pps):
        return ""
    return f"of equal pairs one forwarded {min(pairs_pps):,.0f} pps and another {max(pairs_pps):,.0f} pps"


def linear(one_pps: float, together_pps: Mapping[int, float], least: float = 0.75) -> str:
    """S7: with cores of their own, n pairs forward in all what n times one does."""
    wrong = [
        f"{n} pairs forwarded {pps / one_pps:.2f} times what one did; expected: at least {least * n:.2f}"
        for n, pps in together_pps.items()
        if pps < least * n * one_pps
    ]
    return "; ".join(wrong)


def falls_then_rises(idle_s: float, best_s: float, overload_s: float, least: float = 1.1) -> str:
    """S8: latency is higher at next to no load than at the best load between, and higher in overload as well."""
    wrong = [
        f"{where} latency is {value * 1e6:.1f} us and {best_s * 1e6:.1f} us at the best load between; "
        f"expected: at least {least:g} times as much"
        for where, value in (("at next to no load", idle_s), ("in overload", overload_s))
        if value < least * best_s
    ]
    return "; ".join(wrong)


def takes_longer(one: Sequence[Took], three: Sequence[Took]) -> str:
    """S9: a chain of three takes longer than one VNF, by its median in most rounds.

    Whatever else runs on a machine makes medians longer, by more than a VNF takes, and leaves the least alone:
    that decides where as many rounds say yes as no.
    """
    longer = sum(after.median_s > before.median_s for before, after in zip(one, three, strict=True))
    medians = [median(took.median_s for took in rounds) for rounds in (one, three)]
    least = [min(took.least_s for took in rounds) for rounds in (one, three)]
    if 2 * longer > len(one) or (2 * longer == len(one) and least[1] > least[0]):
        return ""
    return (
        f"in {longer} of {len(one)} rounds three VNFs took longer than one; medians "
        f"{medians[1] * 1e6:.1f} us (at least {least[1] * 1e6:.1f}) and "
        f"{medians[0] * 1e6:.1f} us (at least {least[0] * 1e6:.1f})"
    )


def less_than_alone(chain_s: float, alone_s: Sequence[float]) -> str:
    """S9: a chain takes less than its VNFs one by one, added up: the way in and out is gone once."""
    if chain_s <= sum(alone_s):
        return ""
    return f"the chain took {chain_s * 1e6:.1f} us, its VNFs alone {sum(alone_s) * 1e6:.1f} us in all"


def polls(part_of_a_core: float, least: float = 0.8) -> str:
    """T6: what polls wants a whole core, whatever the load; a trial's ends, where little runs, are part of it."""
    return (
        ""
        if part_of_a_core >= least
        else f"it wanted {part_of_a_core:.1%} of a core; expected: at least {least:.0%}"
    )


def saves(part_of_a_core: float, most: float = 0.5) -> str:
    """T6: what is woken by frames costs next to nothing where there are few."""
    return "" if part_of_a_core <= most else f"it used {part_of_a_core:.1%} of a core; expected: up to {most:.0%}"
