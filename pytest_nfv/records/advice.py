"""What would have to change, derived from what was measured and from nothing else.

Every function returns sentences; none where the figures do not carry one.
"""

from __future__ import annotations

from pytest_nfv.model.bottleneck import GENERATOR, SWITCH, bottleneck
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.account import OFFERED, Account
from pytest_nfv.records.device import SATURATED, DeviceCores, device_cores, named
from pytest_nfv.records.measurement import RATED, Measurement
from pytest_nfv.records.waterfall import worst
from pytest_nfv.records.wording import digits, frames, percent, rate, span, times

# Time that the machine took from the device counts from here on; less is within what the kernel's ticks resolve.
TAKEN = 0.002

# A generator that waited for its core for this share of the time was kept from its work by others.
CROWDED = 0.05


def advice(measurement: Measurement, account: Account) -> list[str]:
    """Return what would have to change for the measurement's verdict, the most telling first."""
    if measurement.verdict is Verdict.INVALID:
        return _for_invalid(account)
    if measurement.kind == "latency":
        return _for_latency(measurement)
    if measurement.kind == "forwarding_rate" and measurement.verdict is not Verdict.FAIL:
        return []
    needed = _needed_pps(measurement)
    if measurement.verdict is Verdict.FAIL and needed is not None:
        return _for_failure(measurement, account, needed)
    if measurement.kind == "throughput":
        return _for_throughput(measurement, account)
    return _room_left(measurement, account)


def _needed_pps(measurement: Measurement) -> float | None:
    return measurement.threshold_pps if measurement.kind in RATED else measurement.target_pps


def _for_invalid(account: Account) -> list[str]:
    said = []
    if account.offered_share < OFFERED:
        said += _generator_limited(account)
    stalls = [t.generator for t in account.trials if t.generator.longest_stall_s > t.generator.stall_limit_s > 0]
    if stalls:
        longest = max(stalls, key=lambda health: health.longest_stall_s)
        pushed = sum(t.generator.involuntary_switches for t in account.trials)
        off = f"; it was pushed off its core {pushed} times" if pushed else ""
        said.append(
            f"The generator stood still for up to {span(longest.longest_stall_s)} where buffers hide "
            f"{span(longest.stall_limit_s)}{off}: keep other work away from its core, or lower the load."
        )
    overruns = sum(trial.generator.receive_overruns for trial in account.trials)
    if overruns:
        said.append(
            f"The generator's receive rings had no room {frames(overruns)} times: lower the load, "
            "or give the generator a core of its own."
        )
    return said + _taken(account)


def _generator_limited(account: Account) -> list[str]:
    reached, wanted = account.offered_pps, account.load_pps
    waited_s = sum(thread.run_delay_s for thread in account.threads("generator"))
    wall_s = sum(core.wall_s for core in account.cores("generator"))
    if waited_s > CROWDED * wall_s:
        return [
            f"The generator reached {rate(reached)} of {rate(wanted)} ({percent(account.offered_share)}), "
            f"waiting {span(waited_s)} of {span(wall_s)} for its core while others ran there: "
            "keep other work off that core."
        ]
    said = [
        f"The generator reached {rate(reached)} of {rate(wanted)} ({percent(account.offered_share)}): what the "
        f"device does at {rate(wanted)} is not known. Ask for {rate(reached)} at most, or use a faster kind of "
        "generator port."
    ]
    cores = [core for core in account.cores("generator") if account.sent]
    busy_s = sum(core.user_s + core.system_s + core.softirq_s for core in cores)
    given_s = sum(core.wall_s - core.steal_s for core in cores)
    if cores and busy_s >= SATURATED * given_s:
        said.append(
            f"Its core had nothing left: {span(busy_s / account.sent)} for each frame sent, "
            f"where {rate(wanted)} leaves {span(1 / (wanted * len(account.flows)))}."
        )
    steal_s = sum(core.steal_s for core in cores)
    if cores and steal_s > TAKEN * sum(core.wall_s for core in cores):
        said.append(f"The machine took its core for {span(steal_s)}: repeat where the machine is quieter.")
    return said


def _taken(account: Account) -> list[str]:
    device = device_cores(account)
    if device is None:
        return []
    if device.taken_s <= TAKEN * device.wall_s:
        return []
    came = round(device.taken_s * account.offered_pps * device.ways)
    return [
        f"The machine kept the device from its core for {span(device.taken_s)} (steal {span(device.steal_s)}, "
        f"others on its core {span(device.waited_s)}): {frames(came)} frames of this load came meanwhile, "
        f"{frames(account.lost)} were lost. Repeat where the machine is quieter."
    ]


def _for_failure(measurement: Measurement, account: Account, needed_pps: float) -> list[str]:
    device = device_cores(account)
    said = _pattern(measurement, account)
    told = _at_a_vnf(account)
    if told:
        return [*said, *told, *_taken(account)]
    if device is None:
        return [*said, _slower(measurement, account, needed_pps)]
    if device.saturated:
        said += _processor_bound(measurement, account, device, needed_pps)
    elif device.full:
        said.append(
            f"{named(device.full).capitalize()} had nothing left while others of {named(device.cores)} did: "
            "spread the load over them."
        )
    elif not _explained_by_machine(account, device):
        said += _not_processor_bound(account, device)
    return said + _taken(account)


def _at_a_vnf(account: Account) -> list[str]:
    """Say what a VNF lost, or was too slow for, or a link, where that is the worst place."""
    found = bottleneck(account.trials)
    if found is None:
        return []
    what = f"{frames(found.lost)} of {frames(found.offered)} frames"
    if found.cause == "slow link":
        return [
            f"The link behind {found.place} is slower than the load: {what} found no room in the queue before it."
        ]
    if found.component in (SWITCH, GENERATOR):
        return []
    if found.cause == "policy":
        why = " and ".join(found.drops)
        return [f"{found.component} dropped {what} itself ({why}): it does what it is told."]
    if found.cause == "counted":
        why = " and ".join(found.drops)
        return [f"{found.component} is where {what} were lost, {found.place} ({why}); it has no one cause."]
    if found.cause != "no room":
        return [f"{found.component} is where {what} were lost, {found.place}; no counter saw them."]
    said = f"{found.component} is the bottleneck: {what} found no room before it ({found.place})."
    if found.busy is None:
        return [said]
    if found.short_of_time:
        return [f"{said} It was busy {percent(found.busy)} of its time: it needs more of a core, or less to do."]
    if found.waited > CROWDED:
        wait = f"waited {percent(found.waited)} of the time for its core, which it shares"
        return [f"{said} It {wait}: give it one of its own, or a longer queue."]
    return [
        f"{said} It was busy {percent(found.busy)} of its time only: its queue is shorter than the load's bursts."
    ]


def _explained_by_machine(account: Account, device: DeviceCores) -> bool:
    return account.lost <= device.taken_s * account.offered_pps * device.ways


def _slower(measurement: Measurement, account: Account, needed_pps: float) -> str:
    reached = measurement.rate_pps if measurement.kind in RATED else account.forwarded_pps
    if not reached:
        return "Nothing came back: look for what keeps frames from being forwarded at all."
    return (
        f"The device forwarded {rate(reached)} and needs {rate(needed_pps)}: "
        f"{times(needed_pps / reached)} as much. Its processor time was not accounted, "
        "so that nothing says what limits it."
    )


def _processor_bound(
    measurement: Measurement, account: Account, device: DeviceCores, needed_pps: float
) -> list[str]:
    budget_s = device.budget_s(needed_pps)
    spent = (
        f"{named(device.cores).capitalize()} had nothing left: {span(device.frame_s)} for each frame forwarded, "
        f"where {rate(needed_pps)} leaves {span(budget_s)}."
    )
    if device.frame_s <= budget_s:
        return [f"{spent} In all of its time, undisturbed, it could do it."]
    ways = [f"{times(device.frame_s / budget_s)} faster per frame"]
    subject = measurement.subject
    size = device.frame_size_for(subject.link, needed_pps / measurement.line_rate_pps, subject.frame_size)
    if size is not None:
        ways.append(f"frames of at least {size} B (if a frame takes as long there)")
    ways.append(f"{device.cores_needed(needed_pps)} such cores (if the load spreads over them)")
    ways.append(f"a goal of at most {rate(account.forwarded_pps)}")
    return [spent, f"It takes {', or '.join(ways)}."]


def _not_processor_bound(account: Account, device: DeviceCores) -> list[str]:
    found = worst(account)
    place = f"look at {found[1].place}: {found[1].why}" if found else "no counter says where they were lost"
    return [
        f"{named(device.cores).capitalize()} was busy for {percent(device.busy)} of the time only, so that the "
        f"loss is not for want of processor time; {place}. A queue shorter than the load's bursts loses frames so."
    ]


def _pattern(measurement: Measurement, account: Account) -> list[str]:
    """Say whether every trial lost alike or a few lost much: want of capacity, or an event."""
    if measurement.kind != "gate":
        return []
    valid = [trial for trial in measurement.trials if trial.valid]
    losing = [trial for trial in valid if trial.lost > 0]
    if len(valid) < 2 or not losing:
        return []
    ratios = [trial.loss_ratio for trial in losing]
    if len(losing) == len(valid) and max(ratios) <= 2 * min(ratios):
        return [
            f"The loss is steady: {percent(min(ratios))} to {percent(max(ratios))} in each of {len(valid)} trials."
        ]
    worth_s = account.lost / (account.offered_pps * len(account.flows)) if account.offered_pps else 0.0
    low, high = percent(min(ratios)), percent(max(ratios))
    lost = low if low == high else f"{low} to {high}"
    return [
        f"The loss is uneven: {len(losing)} of {len(valid)} trials lost frames, {lost}; what was lost is "
        f"{span(worth_s)} of the load, which points at single events."
    ]


def _for_throughput(measurement: Measurement, account: Account) -> list[str]:
    found = rate(measurement.rate_pps or 0.0)
    if measurement.limited_by == "generator":
        return [
            f"The generator was the limit: the device does at least {found}. A faster kind of port finds more."
        ]
    if measurement.limited_by:
        return [f"The {measurement.limited_by} was the limit: the device does at least {found}."]
    device = device_cores(account)
    if device is None or not device.saturated:
        return []
    return [
        f"{named(device.cores).capitalize()} had nothing left at {rate(account.load_pps)}: "
        f"{span(device.frame_s)} for each frame forwarded."
    ]


def _for_latency(measurement: Measurement) -> list[str]:
    floors = [way.floor_ns for way in measurement.latency if way.floor_ns is not None]
    if not floors:
        return []
    said = [
        f"Of every figure, {span(max(floors) / 1e9)} is the generator's own path, measured without the device."
    ]
    for way in measurement.latency:
        low = [f"p{p:g}" for p, value in sorted(way.percentiles_ns.items()) if way.at_floor(value)]
        if low:
            resolution = f" (it varies by {span(way.resolution_ns / 1e9)} itself)" if way.resolution_ns else ""
            said.append(
                f"{way.direction}: {', '.join(low)} at the generator's own floor{resolution}: "
                "the device's share is too small to be told."
            )
    return said


def _room_left(measurement: Measurement, account: Account) -> list[str]:
    device = device_cores(account)
    if device is None or device.full or measurement.target_pps is None:
        return []  # a core that polls is always full: its use says nothing about room
    return [
        f"{named(device.cores).capitalize()} was busy for {percent(device.busy)} at "
        f"{span(device.frame_s)} a frame: by processor time alone there is room for "
        f"{digits(device.capacity_pps / measurement.target_pps, 3)} times this load."
    ]
