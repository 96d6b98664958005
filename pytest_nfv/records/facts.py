"""The facts of a measurement, a label and a text each: what was asked, offered, forwarded and lost."""

from __future__ import annotations

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.reference import Reference
from pytest_nfv.model.verdict import Verdict
from pytest_nfv.records.account import Account
from pytest_nfv.records.headline import of_line
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.text import paragraph
from pytest_nfv.records.wording import bit_rate, figure, frames, percent, rate, span
from pytest_nfv.units import PacketRate

_LABEL = 11


def fact_lines(one: Measurement, account: Account | None) -> list[str]:
    """Return the facts as wrapped lines."""
    subject = one.subject
    facts = [("measured", f"{subject.topology} on testbed {subject.testbed}, frames of {subject.frames}")]
    facts.append(("goal", _goal_text(one)))
    if account is not None:
        facts += _figures(one, account)
    facts += [("because", reason) for reason in one.reasons]
    facts += [("reference", beside(reference)) for reference in one.references]
    facts += [("note", note) for note in subject.notes]
    said = []
    for label, text in facts:
        said += paragraph(text, first=label.ljust(_LABEL))
    return said


def beside(reference: Reference) -> str:
    """Return a figure from elsewhere, and ours where it is another than the rate found."""
    what = f"{reference.what} " if reference.what else ""
    here = f"; here {figure(reference.ours, reference.unit)}" if reference.ours is not None else ""
    return f"{what}{figure(reference.value, reference.unit)} ({reference.source}){here}"


def _goal_text(one: Measurement) -> str:
    if one.kind == "latency":
        limits = ", ".join(f"p{p:g} below {limit:g} us" for p, limit in sorted(one.limits_us.items()))
        return f"latency at {rate(one.target_pps or 0.0)}" + (f": {limits}" if limits else "")
    rule = _rule_text(one.goal) if one.goal else ""
    if one.kind == "gate":
        target = one.target_pps or 0.0
        return f"{rate(target)} per direction ({of_line(target, one)}), {rule}"
    if one.kind == "forwarding_rate":
        target = one.target_pps or 0.0
        asked = f", at least {rate(one.threshold_pps)}" if one.threshold_pps is not None else ""
        length = f"; trials of {span(one.goal.trial_duration_s)}" if one.goal else ""
        load = f"up to {rate(target)} per direction offered ({of_line(target, one)})"
        return f"forwarding rate at maximum offered load{asked}: {load}{length}"
    least = f"at least {rate(one.threshold_pps)}" if one.threshold_pps is not None else "the highest load"
    return f"{least} per direction with {rule}; search {one.method}"


def _rule_text(goal: SearchGoal) -> str:
    loss = f"loss ratio up to {percent(goal.loss_ratio)}" if goal.loss_ratio else "no frame lost"
    more = f", of which up to {percent(goal.exceed_ratio)} may lose more" if goal.exceed_ratio else ""
    return f"{loss}; trials of {span(goal.trial_duration_s)}, {span(goal.duration_sum_s)} in all{more}"


def _figures(one: Measurement, account: Account) -> list[tuple[str, str]]:
    size = one.subject.sizes
    forwarded = account.forwarded_pps
    way = "per direction" if len(account.flows) > 1 else ""
    facts = []
    if one.kind == "throughput" and one.verdict is not Verdict.INVALID:
        upper = f", not {rate(one.upper_pps)}" if one.upper_pps is not None else ""
        facts.append(("found", f"{rate(one.rate_pps or 0.0)}: {rate(one.lower_pps or 0.0)} is sustained{upper}"))
    if one.kind == "forwarding_rate" and one.verdict is not Verdict.INVALID:
        facts.append(("found", f"{rate(one.rate_pps or 0.0)}, the median of the valid trials"))
    facts.append(
        (
            "offered",
            f"{rate(account.offered_pps)} {way}, {percent(account.offered_share)} of {rate(account.load_pps)}",
        )
    )
    on_wire = bit_rate(PacketRate(forwarded).l1(size).bps)
    line = percent(forwarded / one.line_rate_pps)
    facts.append(
        ("forwarded", f"{rate(forwarded)} {way}, {line} of {one.subject.link} line rate, {on_wire} on L1")
    )
    facts.append(
        (
            "lost",
            f"{frames(account.lost)} of {frames(account.sent)} frames, loss ratio {percent(account.loss_ratio)}"
            + _others(account),
        )
    )
    return [(label, " ".join(text.split()).replace(" ,", ",")) for label, text in facts]


def _others(account: Account) -> str:
    names = ("duplicated", "reordered", "corrupted", "foreign")
    counts = {name: sum(getattr(flow, name) for flow in account.flows) for name in names}
    not_sent = sum(flow.not_sent for flow in account.flows)
    words = [f"{frames(count)} {name}" for name, count in counts.items() if count]
    if not_sent:
        words.append(f"{frames(not_sent)} never sent")
    return f"; {', '.join(words)}" if words else ""
