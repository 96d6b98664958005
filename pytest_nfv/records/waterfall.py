"""Where the frames went, place by place, in the counters' own words."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_nfv.model.bottleneck import GENERATOR, component_of
from pytest_nfv.model.trial import Direction, FlowCounts, Hop
from pytest_nfv.records.account import Account
from pytest_nfv.records.text import table
from pytest_nfv.records.wording import frames, numbered, rate


@dataclass(frozen=True, slots=True)
class Step:
    """One place on the way.

    Attributes:
        lost: frames that the place before passed and this one did not; below zero where it saw more.
        drops: of these, frames that a counter here saw dropped, by reason.
    """

    place: str
    frames: int
    lost: int
    drops: dict[str, int]

    @property
    def unseen(self) -> int:
        """Frames lost here that no counter saw."""
        return max(0, self.lost - sum(self.drops.values()))

    @property
    def why(self) -> str:
        """What the counters say about the loss."""
        if self.lost < 0:
            return f"{frames(-self.lost)} more than the place before counted"
        words = [
            name if count == self.lost else f"{name} {frames(count)}"
            for name, count in self.drops.items()
            if count
        ]
        if self.unseen and self.drops:
            words.append(f"{frames(self.unseen)} seen by no counter")
        return "; ".join(words) or ("seen by no counter" if self.lost else "")


def steps(account: Account, flow: FlowCounts) -> tuple[Step, ...]:
    """Return one direction's way from the generator's own count to what it got back; empty without counters."""
    hops = account.way(flow.direction)
    if not hops:
        return ()
    if component_of(hops[0].place) != GENERATOR:
        hops = (Hop(flow.direction, f"generator port {flow.direction.tx} tx", flow.sent), *hops)
    made, before = [], hops[0].frames
    for hop in hops:
        made.append(Step(hop.place, hop.frames, before - hop.frames, dict(hop.drops)))
        before = hop.frames
    return tuple(made)


def worst(account: Account) -> tuple[Direction, Step] | None:
    """Return the place where most frames were lost; None where nothing was, or no counter tells."""
    every = [(flow.direction, step) for flow in account.flows for step in steps(account, flow) if step.lost > 0]
    return max(every, key=lambda one: one[1].lost, default=None)


def waterfall_lines(account: Account) -> list[str]:
    """Return the waterfall of every direction."""
    lines = []
    for flow in account.flows:
        way = steps(account, flow)
        if not way:
            continue
        direction = f"port {flow.direction.tx} to port {flow.direction.rx}"
        lines.append(f"  where the frames went, {direction} ({numbered(account.numbers)})")
        rows = [
            [
                step.place,
                frames(step.frames),
                rate(step.frames / account.offered_for_s) if account.offered_for_s else "",
                f"{-step.lost:+,}" if step.lost else "",
                step.why,
            ]
            for step in way
        ]
        lines += table((), rows, left=(0,), indent=4)
    return lines
