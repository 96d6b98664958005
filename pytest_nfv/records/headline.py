"""A measurement in one line."""

from __future__ import annotations

from pytest_nfv.model.trial import FlowCounts
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.account import OFFERED, Account, telling
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.waterfall import Step, steps
from pytest_nfv.records.wording import percent, rate, span


def headline_of(one: Measurement) -> str:
    """Return verdict, figure, goal, and where frames were lost or why nothing was learnt."""
    words = _WORDS[one.kind]
    verdict = str(one.verdict or "measured") + (" (simulated)" if one.simulated else "")
    return f"{verdict}: {words(one, telling(one))}"


def of_line(pps: float, one: Measurement) -> str:
    """Return what a rate is on the subject's link: `1GbE line rate, 128 B`, `37.2 % of 1GbE line rate, 64 B`."""
    share = pps / one.line_rate_pps
    link = f"{one.subject.link} line rate" if share == 1 else f"{percent(share)} of {one.subject.link} line rate"
    return f"{link}, {one.subject.frames}"


def where_lost(account: Account) -> str:
    """Return the place where the worst direction lost most: `s0 rx (veth ring full)`; "" where nothing tells."""
    found = _worst_place(account)
    return _named(found[1]) if found else ""


def lost_of(account: Account) -> str:
    """Return how much the worst direction lost and where; each part where one place does not have it all.

    `10 % lost at s0 rx (veth ring full)`; `18.7 % lost, 15.9 % at v2 tx (ovs_tx_failure_drops), 2.8 % elsewhere`.
    """
    said, found = f"{percent(account.loss_ratio)} lost", _worst_place(account)
    if found is None:
        return said
    flow, step = found
    if step.lost >= flow.lost:
        return f"{said} at {_named(step)}"
    here, elsewhere = step.lost / flow.sent, (flow.lost - step.lost) / flow.sent
    return f"{said}, {percent(here)} at {_named(step)}, {percent(elsewhere)} elsewhere"


def _worst_place(account: Account) -> tuple[FlowCounts, Step] | None:
    flow = max(account.flows, key=lambda one: one.loss_ratio)
    places = [step for step in steps(account, flow) if step.lost > 0]
    return (flow, max(places, key=lambda step: step.lost)) if places else None


def _named(step: Step) -> str:
    main = max(step.drops, key=lambda reason: step.drops[reason], default="")
    return step.place.partition(" (")[0] + (f" ({main})" if main else "")


def _gate(one: Measurement, account: Account | None) -> str:
    target = one.target_pps or 0.0
    goal = f"{rate(target)} ({of_line(target, one)})"
    if account is None:
        why = f": {one.reasons[0]}" if one.reasons else ""
        return f"{goal}: no trial was run{why}"
    if one.verdict is Verdict.INVALID:
        if account.offered_share < OFFERED:
            return f"the generator offered {rate(account.offered_pps)} of {goal}: {percent(account.offered_share)}"
        return f"at {goal}: {_why(one, account)}"
    if one.verdict is Verdict.FAIL:
        return f"forwarded {rate(account.forwarded_pps)} of {goal}: {lost_of(account)}"
    lost = f"{percent(account.loss_ratio)} lost" if account.lost else "nothing lost"
    count = len(account.trials)
    return f"forwarded {goal}: {lost} in {count} trial{'s' if count > 1 else ''}"


def _throughput(one: Measurement, account: Account | None) -> str:
    if one.verdict is Verdict.INVALID:
        return f"no throughput ({one.subject.frames}): {_why(one, account)}"
    found = one.rate_pps or 0.0
    text = f"throughput {rate(found)}"
    if one.threshold_pps is not None:
        sign = "<" if found < one.threshold_pps else ">="
        text += f" {sign} {rate(one.threshold_pps)}"
    text += f" ({of_line(found, one)})"
    place = where_lost(account) if account is not None and one.upper_pps is not None else ""
    limit = (
        f"limited by the {one.limited_by}" if one.limited_by else (f"above it loss at {place}" if place else "")
    )
    return f"{text}: {limit}" if limit else text


def _forwarding_rate(one: Measurement, account: Account | None) -> str:
    load = f"{rate(one.target_pps or 0.0)} ({of_line(one.target_pps or 0.0, one)})"
    if one.verdict is Verdict.INVALID or account is None:
        return f"no forwarding rate at up to {load}: {_why(one, account)}"
    text = f"forwarding rate {rate(one.rate_pps or 0.0)}"
    if one.threshold_pps is not None:
        sign = "<" if (one.rate_pps or 0.0) < one.threshold_pps else ">="
        text += f" {sign} {rate(one.threshold_pps)}"
    lost = lost_of(account) if account.lost else "nothing lost"
    return f"{text} at {rate(account.offered_pps)} offered of {load}: {lost}"


def _latency(one: Measurement, account: Account | None) -> str:
    load = one.target_pps or 0.0
    at = f"at {rate(load)} ({of_line(load, one)})"
    if one.verdict is Verdict.INVALID or not one.latency:
        return f"no latency {at}: {_why(one, account)}"
    kept = sorted(set.intersection(*(set(way.percentiles_ns) for way in one.latency)))
    shown = [p for p in kept if p in (50.0, 99.0) or p in one.limits_us]
    texts = [f"p{p:g} {span(max(way.percentiles_ns[p] for way in one.latency) / 1e9)}" for p in shown]
    limits = [f"p{p:g} < {limit:g} us" for p, limit in sorted(one.limits_us.items())]
    asked = f"; required {', '.join(limits)}" if limits else ""
    floor = floor_text(one)
    trip = "round trip " if all(way.way == "round trip" for way in one.latency) else ""
    return f"{trip}latency {', '.join(texts)} {at}{f'; {floor}' if floor else ''}{asked}"


def floor_text(one: Measurement) -> str:
    """Return what the generator adds to a latency by itself, which stands beside each figure; "" where unknown."""
    floors = [way.floor_ns for way in one.latency if way.floor_ns is not None]
    if not floors:
        return ""
    floor = f"generator's floor {span(max(floors) / 1e9)}"
    below = all(way.at_floor(way.percentiles_ns[50.0]) for way in one.latency if 50.0 in way.percentiles_ns)
    return f"p50 is at the {floor}" if below else floor


def _why(one: Measurement, account: Account | None) -> str:
    """Return what was wrong with the last trial; a measurement's own reasons begin with a count of such trials."""
    last = account.trials[-1].invalid if account is not None else ()
    return next(iter((*last, *one.reasons)), "no reason was kept")


_WORDS = {"gate": _gate, "throughput": _throughput, "forwarding_rate": _forwarding_rate, "latency": _latency}
