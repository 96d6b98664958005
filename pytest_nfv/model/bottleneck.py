"""Where frames are lost, and for want of what: from the counters of trials and nothing else.

Between two places on a direction's way there is a queue. What has no room in it is lost for want of speed of
whoever empties it: `s2 tx (to vnf0)` drops what vnf0 was too slow for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_nfv.model.accounts import OTHER
from pytest_nfv.model.trial import Direction, ThreadUse, TrialResult

SWITCH, GENERATOR = "switch", "generator"
BUSY = 0.9
"""A component that worked, or waited for its core, for this part of the time had no more to give."""

# A host's name stands before the place, and may be any: only whole places and names of threads are taken for ours.
_AT_GENERATOR = re.compile(r"generator port \d+ [rt]x")
_AT_VNF = re.compile(r"(vnf\d+)(?:\.\d+)? nic\d+ [rt]x")
_TO_VNF = re.compile(r" tx \(to (vnf\d+)\)$")
_OUT = re.compile(r" tx(?: \(out of the switch\))?$")
_OF_VNF = re.compile(r"(vnf\d+)(?:\.\d+)? ")
LINK_QUEUE = "link queue full"
"""The reason of frames that a queue before a link dropped: it carries no more."""
_ROOM = re.compile(
    r"full|guest drops|missed|no room|overrun|failure|no mbuf|tx_dropped|rx_dropped|not taken by the far end"
)
_POLICY = re.compile(r"policy|no_route|ttl|malformed|rule|qos_drops|mtu_exceeded")
_UNSEEN = re.compile(r"^on the wire")  # a difference between two hosts' counters, and no counter of its own


def component_of(place: str) -> str:
    """Return what counts at a hop's place: `switch`, `generator`, or a VNF's name."""
    if _AT_GENERATOR.fullmatch(place):
        return GENERATOR
    return found[1] if (found := _AT_VNF.fullmatch(place)) else SWITCH


def behind(place: str) -> str:
    """Return what empties the queue that a hop's place puts frames into; where it takes them in, itself.

    What goes `to the next host` is the next switch's to take.
    """
    if component_of(place) != SWITCH:
        return SWITCH if place.endswith(" tx") else component_of(place)
    if found := _TO_VNF.search(place):
        return found[1]
    return GENERATOR if _OUT.search(place) else SWITCH


def component_of_thread(thread: ThreadUse) -> str:
    """Return whose a thread is: `switch`, `generator`, a VNF's name; `other` if none of the trial's."""
    if thread.role == OTHER:
        return OTHER
    if thread.role == GENERATOR:
        return GENERATOR
    return found[1] if (found := _OF_VNF.match(thread.name)) else SWITCH


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The place where most frames of a direction were lost.

    Attributes:
        direction: the way; place: the hop; component: what the loss is the doing of.
        offered: frames of the direction; lost: frames lost here.
        drops: of these, by reason, as counters say.
        cause: `policy`, it was told to; `no room`, a queue was full; `slow link`, that before a link that carries
            no more; `counted`, a counter saw them, which has no one cause; `unseen`, none did.
        busy: part of the time that the component worked or waited for its core, the busiest of its threads; None
            where nothing was accounted.
        waited: part of the time that it waited for its core while others had it, the thread that waited most.
    """

    direction: Direction
    place: str
    component: str
    offered: int
    lost: int
    drops: Mapping[str, int] = field(default_factory=dict)
    cause: str = "unseen"
    busy: float | None = None
    waited: float = 0.0

    @property
    def share(self) -> float:
        """Lost here over offered, 0 to 1."""
        return self.lost / self.offered if self.offered else 0.0

    @property
    def short_of_time(self) -> bool:
        """Whether the component had no processor time left."""
        return self.cause == "no room" and self.busy is not None and self.busy >= BUSY

    def __str__(self) -> str:
        why = ", ".join(f"{reason} {count:,}" for reason, count in self.drops.items()) or "seen by no counter"
        said = f"{self.component}: {self.lost:,} of {self.offered:,} frames lost at {self.place} ({why})"
        if self.cause == "no room" and self.busy is not None:
            said += f"; it was busy {self.busy:.0%} of its time, and waited for its core {self.waited:.0%}"
        return said


def bottleneck(trials: Sequence[TrialResult]) -> Bottleneck | None:
    """Return the worst place of trials at one load, summed; None where nothing was lost or no counter tells."""
    found = [one for way in _ways(trials) if (one := _worst(way, trials)) is not None]
    return max(found, key=lambda one: one.lost, default=None)


def _ways(trials: Sequence[TrialResult]) -> list[Direction]:
    return list(dict.fromkeys(flow.direction for trial in trials for flow in trial.flows))


def _worst(way: Direction, trials: Sequence[TrialResult]) -> Bottleneck | None:
    offered = sum(flow.sent for trial in trials for flow in trial.flows if flow.direction == way)
    before, most = offered, (0, "", dict[str, int]())
    for place, frames, drops in _summed(way, trials):
        lost = before - frames
        if lost > most[0] and not (component_of(place) == GENERATOR and place.endswith(" tx")):
            most = (lost, place, drops)
        before = frames
    lost, place, drops = most
    if not lost:
        return None
    cause = _cause(drops)
    component = behind(place) if cause == "no room" else component_of(place)
    busy, waited = _busy(component, trials), _waited(component, trials)
    return Bottleneck(way, place, component, offered, lost, drops, cause, busy, waited)


def _summed(way: Direction, trials: Sequence[TrialResult]) -> list[tuple[str, int, dict[str, int]]]:
    frames: dict[str, int] = {}
    drops: dict[str, dict[str, int]] = {}
    for hop in (hop for trial in trials for hop in trial.hops if hop.direction == way):
        frames[hop.place] = frames.get(hop.place, 0) + hop.frames
        for reason, count in hop.drops.items():
            at = drops.setdefault(hop.place, {})
            at[reason] = at.get(reason, 0) + count
    return [(place, count, drops.get(place, {})) for place, count in frames.items()]


def _cause(drops: Mapping[str, int]) -> str:
    if not drops:
        return "unseen"
    reason = max(drops, key=lambda one: drops[one])
    if LINK_QUEUE in reason:
        return "slow link"
    if _POLICY.search(reason):
        return "policy"
    if _UNSEEN.search(reason):
        return "unseen"
    return "no room" if _ROOM.search(reason) else "counted"


def _busy(component: str, trials: Sequence[TrialResult]) -> float | None:
    """Return the busiest thread's part of the time in which frames were offered.

    A thread's waits for its core count as work; of one that polls, only while it had frames: as it says itself, or
    by its part of looks that found some.
    Accounts go on until the counters are at rest: what was worked off then came before.
    """
    busy: dict[str, float] = {}
    of: dict[str, float] = {}
    for trial in trials:
        for one in (thread for thread in trial.threads if component_of_thread(thread) == component):
            part = 1.0 if one.worked_s is None or not one.cpu_s else one.worked_s / one.cpu_s
            held_s = part * (one.cpu_s + one.run_delay_s) if one.held_s is None else one.held_s
            busy[one.name] = busy.get(one.name, 0.0) + held_s
            of[one.name] = of.get(one.name, 0.0) + _offered_s(trial)
    return max((min(1.0, busy[name] / of[name]) for name in busy if of[name] > 0), default=None)


def _waited(component: str, trials: Sequence[TrialResult]) -> float:
    offered_s = sum(_offered_s(trial) for trial in trials)
    waits: dict[str, float] = {}
    for one in (
        thread for trial in trials for thread in trial.threads if component_of_thread(thread) == component
    ):
        waits[one.name] = waits.get(one.name, 0.0) + one.run_delay_s
    return min(1.0, max(waits.values()) / offered_s) if waits and offered_s else 0.0


def _offered_s(trial: TrialResult) -> float:
    """Return for how long frames were offered while cores were accounted."""
    return min(max((core.wall_s for core in trial.cores), default=0.0), trial.offered_for_s)
