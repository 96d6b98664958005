"""One measurement as the record keeps it: gate, throughput, forwarding rate or latency, with all its trials.

`Measurement.from_result` takes what a test got, `to_json` and `of` carry it through a file. Terminal, reports and
comparison all work on this one value, so that they cannot say different things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.measurement import ForwardingRate, Gate, LatencyResult, Subject, Throughput
from pytest_nfv.model.mix import Mix
from pytest_nfv.model.reference import UNITS, Reference
from pytest_nfv.model.trial import Latency, TrialResult, samples_for
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.records.reading import Node
from pytest_nfv.records.trial_json import decode_latency, decode_trial, encode_latency, encode_trial
from pytest_nfv.units import Link, line_rate

NOT_THE_DEVICE = ("link", "generator", "machine")

KINDS = ("gate", "throughput", "forwarding_rate", "latency")
RATED = ("throughput", "forwarding_rate")
"""Kinds whose result is a rate."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one call of a test measured.

    Rates are per direction.

    Attributes:
        kind: `gate`, `throughput`, `forwarding_rate` or `latency`.
        goal: None for latency.
        verdict: None where a number was measured and nothing asked of it.
        reasons: why the verdict, the most telling first.
        target_pps: a gate's load, the load at which latency was taken, or the maximum offered load that a
            forwarding rate belongs to; None for a throughput.
        threshold_pps: what a rate has to reach; limits_us: what a latency percentile has to stay below.
        rate_pps: the throughput or forwarding rate found; None where none was.
        lower_pps, upper_pps, method, limited_by: as in `model.measurement.Throughput`.
        latency: one summary per direction.
        references: figures to show beside it.
    """

    kind: str
    subject: Subject
    goal: SearchGoal | None
    verdict: Verdict | None
    reasons: tuple[str, ...]
    trials: tuple[TrialResult, ...]
    target_pps: float | None = None
    threshold_pps: float | None = None
    rate_pps: float | None = None
    lower_pps: float | None = None
    upper_pps: float | None = None
    method: str = ""
    limited_by: str = ""
    latency: tuple[Latency, ...] = ()
    limits_us: Mapping[float, float] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()

    @property
    def line_rate_pps(self) -> float:
        """Line rate of the subject's link at its frame size."""
        return line_rate(self.subject.link, self.subject.sizes).pps

    @property
    def reference(self) -> Reference | None:
        """The figure that stands beside the rate found, the first one; None without any."""
        return next((one for one in self.references if one.of_rate), None)

    @property
    def simulated(self) -> bool:
        """Whether any part of it is from the simulated device."""
        return self.subject.simulated or any(trial.simulated for trial in self.trials)

    @classmethod
    def from_result(
        cls,
        result: Gate | Throughput | ForwardingRate | LatencyResult,
        *,
        ruling: Ruling | None = None,
    ) -> Measurement:
        """Take what a test was given.

        Args:
            result: of any kind.
            ruling: the verdict where the caller knows it. A gate brings its own; for the others the default is
                INVALID where they end in an invalid trial (the search or its repeats gave up there), else none.
        """
        made: Measurement = replace(_OF[type(result)](result), references=tuple(result.references))
        own = ruling or (result.ruling if isinstance(result, Gate) else _given_up(made))
        return made if own is None else replace(made, verdict=own.verdict, reasons=own.reasons)

    def required(
        self, *, at_least_pps: float | None = None, limits_us: Mapping[float, float] | None = None
    ) -> Measurement:
        """Return the same measurement, judged by a requirement; an INVALID one stays so.

        A throughput that something other than the device kept below it is INVALID, too: nothing says that it is
        not reached.
        """
        limits = dict(limits_us or {})
        judged = replace(self, threshold_pps=at_least_pps, limits_us=limits)
        if self.verdict is Verdict.INVALID:
            return judged
        reasons = _missed(judged)
        limit = self.limited_by if self.limited_by in NOT_THE_DEVICE else ""
        if self.kind == "forwarding_rate" and at_least_pps is not None and self._offered_pps < at_least_pps:
            limit = "generator"
        untold = _untold(judged)
        if untold and not reasons:
            return replace(judged, verdict=Verdict.INVALID, reasons=untold)
        if reasons and limit:
            said = f"the {limit} was the limit: at least that much is reached, more was not learnt"
            return replace(judged, verdict=Verdict.INVALID, reasons=(*reasons, said))
        return replace(judged, verdict=Verdict.FAIL if reasons else Verdict.PASS, reasons=reasons)

    @property
    def _offered_pps(self) -> float:
        """What was offered per direction, the median of the valid trials; 0 without any."""
        return median([trial.offered_pps for trial in self.trials if trial.valid] or [0.0])

    @classmethod
    def of(cls, value: Measurement | Mapping[str, Any]) -> Measurement:
        """Take a measurement or its JSON.

        Raises:
            RecordError: a key is missing, or a value is not of its kind or out of range.
        """
        return value if isinstance(value, Measurement) else decode_measurement(Node(value, source="measurement"))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        goal, subject = self.goal, self.subject
        return {
            "kind": self.kind,
            "subject": {
                "testbed": subject.testbed,
                "topology": subject.topology,
                "vswitch": subject.vswitch,
                "link": subject.link,
                "frame_size_octets": subject.frame_size,
                "mix": None if subject.mix is None else _encode_mix(subject.mix),
                "flows_count": subject.flows,
                "simulated": subject.simulated,
                "notes": list(subject.notes),
            },
            "goal": None if goal is None else {key: getattr(goal, key) for key in _GOAL},
            "verdict": None if self.verdict is None else str(self.verdict),
            "reasons": list(self.reasons),
            **{key: getattr(self, key) for key in _RATES},
            "method": self.method,
            "limited_by": self.limited_by,
            "limits_us": {f"{p:g}": limit for p, limit in sorted(self.limits_us.items())},
            "reference": self.reference and {"source": self.reference.source, "rate_pps": self.reference.value},
            "references": [{key: getattr(one, key) for key in _REFERENCE} for one in self.references],
            "latency": [encode_latency(one) for one in self.latency],
            "trials": [encode_trial(trial) for trial in self.trials],
        }


def decode_measurement(node: Node) -> Measurement:
    """Read what `Measurement.to_json` wrote.

    Raises:
        RecordError: a key is missing, or a value is not of its kind or out of range.
    """
    rates = {key: node.key(key).maybe(Node.number) for key in _RATES}
    verdict = node.key("verdict").maybe(lambda one: Verdict(one.one_of(*Verdict)))
    return Measurement(
        kind=node.key("kind").one_of(*KINDS),
        subject=_subject(node.key("subject")),
        goal=node.key("goal").maybe(_goal),
        verdict=verdict,
        reasons=node.key("reasons").texts(),
        trials=tuple(decode_trial(one) for one in node.key("trials").items()),
        method=node.key("method").text(),
        limited_by=node.key("limited_by").text(),
        latency=tuple(decode_latency(one) for one in node.key("latency").items()),
        limits_us=node.key("limits_us").percentiles(),
        references=_references(node),
        **rates,
    )


_GOAL = ("loss_ratio", "exceed_ratio", "trial_duration_s", "duration_sum_s")
_RATES = ("target_pps", "threshold_pps", "rate_pps", "lower_pps", "upper_pps")


_REFERENCE = ("source", "value", "unit", "what", "ours")


def _references(node: Node) -> tuple[Reference, ...]:
    """Read the figures beside; a record from before there could be several has one at most, of the rate."""
    several = node.later_key("references")
    if several.value is not None:
        return tuple(_reference(one) for one in several.items())
    one = node.key("reference").maybe(
        lambda one: Reference(one.key("source").text(), one.key("rate_pps").number())
    )
    return () if one is None else (one,)


def _reference(node: Node) -> Reference:
    return Reference(
        source=node.key("source").text(),
        value=node.key("value").number(),
        unit=node.key("unit").one_of(*UNITS),
        what=node.key("what").text(),
        ours=node.key("ours").maybe(Node.number),
    )


def _goal(node: Node) -> SearchGoal:
    values = {key: node.key(key).number() for key in _GOAL}
    return node.made(lambda: SearchGoal(**values))


def _encode_mix(mix: Mix) -> dict[str, Any]:
    return {"name": mix.name, "octets": list(mix.sizes), "weights": list(mix.weights)}


def _mix(node: Node) -> Mix:
    sizes = tuple(one.count() for one in node.key("octets").items())
    weights = tuple(one.number() for one in node.key("weights").items())
    return node.made(lambda: Mix(node.key("name").text(), sizes, weights))


def _subject(node: Node) -> Subject:
    link, frame_size = node.key("link"), node.key("frame_size_octets")
    link.made(lambda: Link.of(link.text()))
    frame_size.made(lambda: line_rate(link.text(), frame_size.count()))
    return Subject(
        testbed=node.key("testbed").text(),
        topology=node.key("topology").text(),
        vswitch=node.key("vswitch").text(),
        link=link.text(),
        frame_size=frame_size.count(),
        mix=node.later_key("mix").maybe(_mix),
        flows=node.later_key("flows_count").maybe(Node.count) or 1,
        simulated=node.key("simulated").flag(),
        notes=node.key("notes").texts(),
    )


def _from_gate(gate: Gate) -> Measurement:
    return Measurement("gate", gate.subject, gate.goal, None, (), gate.trials, target_pps=gate.target.pps)


def _from_throughput(found: Throughput) -> Measurement:
    return Measurement(
        "throughput",
        found.subject,
        found.goal,
        None,
        (),
        found.trials,
        rate_pps=found.rate.pps,
        lower_pps=found.lower_pps,
        upper_pps=found.upper_pps,
        method=found.method,
        limited_by=found.limited_by,
    )


def _from_forwarding_rate(found: ForwardingRate) -> Measurement:
    return Measurement(
        "forwarding_rate",
        found.subject,
        found.goal,
        None,
        (),
        found.trials,
        target_pps=found.offered.pps,
        rate_pps=found.rate.pps,
    )


def _from_latency(result: LatencyResult) -> Measurement:
    return Measurement(
        "latency",
        result.subject,
        None,
        None,
        (),
        result.trials,
        target_pps=result.offered.pps,
        latency=result.latency,
    )


_OF: dict[type, Any] = {
    Gate: _from_gate,
    Throughput: _from_throughput,
    ForwardingRate: _from_forwarding_rate,
    LatencyResult: _from_latency,
}


def _given_up(made: Measurement) -> Ruling | None:
    last = made.trials[-1] if made.trials else None
    if last is not None and not last.valid:
        return Ruling(Verdict.INVALID, last.invalid)
    if made.kind == "latency" and not made.latency:
        return Ruling(Verdict.INVALID, ("no frame came back to take a latency from",))
    return None


def _missed(made: Measurement) -> tuple[str, ...]:
    reasons = []
    if made.threshold_pps is not None and (made.rate_pps or 0.0) < made.threshold_pps:
        reasons.append(
            f"{made.kind.replace('_', ' ')} {made.rate_pps or 0.0:,.0f} pps is below the required "
            f"{made.threshold_pps:,.0f} pps"
        )
    for percentile, limit_us in made.limits_us.items():
        told = [one.percentiles_ns[percentile] for one in made.latency if percentile in one.percentiles_ns]
        worst_us = max(told, default=0.0) / 1e3
        if worst_us > limit_us:
            reasons.append(f"latency p{percentile:g} is {worst_us:.1f} us, above the required {limit_us:g} us")
    return tuple(reasons)


def _untold(made: Measurement) -> tuple[str, ...]:
    """Return which limits nothing is known about: too few samples for the percentile, and some above the limit."""
    return tuple(
        f"latency p{percentile:g} takes {samples_for(percentile):,} samples, and {one.samples:,} were taken"
        for percentile, limit_us in made.limits_us.items()
        for one in made.latency
        if percentile not in one.percentiles_ns and one.max_ns > limit_us * 1e3
    )
