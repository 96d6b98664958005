"""The record's JSON: round trip, units in keys, and what a reader says about a bad one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.model.trial import Direction, FlowCounts, GuestUse, TrialResult, TrialSpec
from pytest_nfv.model.verdict import Ruling, Verdict
from pytest_nfv.records.errors import RecordError
from pytest_nfv.records.measurement import Measurement
from pytest_nfv.records.reading import Node
from pytest_nfv.records.schema import SCHEMA, Entry, Record, Run
from pytest_nfv.records.trial_json import decode_trial, encode_trial

if TYPE_CHECKING:
    from tests.unit.records.conftest import Samples

KINDS = ("passed", "failed", "invalid", "throughput", "latency", "simulated")
UNITS = ("_s", "_ns", "_us", "_pps", "_frames", "_octets", "_count", "_ratio")


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            # The inside of these is numbers under names of places and percentiles; the unit is the outer key's.
            inner = key if key.endswith(("percentiles_ns", "drops_frames", "limits_us")) else name
            yield from leaves(one, inner)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, key)
    else:
        yield key, value


@pytest.mark.parametrize("kind", KINDS)
def test_measurement_survives_the_file(samples: Samples, kind: str) -> None:
    one: Measurement = getattr(samples, kind)()
    assert Measurement.of(json.loads(json.dumps(one.to_json()))) == one


def test_what_guests_did_survives_the_file_and_older_records_have_none(samples: Samples) -> None:
    trial = replace(samples.trial(64, 1000.0), guests=(GuestUse("vnf0", 0.1, 0.2, 0.3, 0.4, 0.05),))
    written = json.loads(json.dumps(encode_trial(trial)))
    assert decode_trial(Node(written)) == trial
    del written["guests"]
    assert decode_trial(Node(written)) == replace(trial, guests=())
    written["guests"] = [{"name": "vnf0"}]
    with pytest.raises(RecordError, match=r"guests\[0\]\.user_s"):
        decode_trial(Node(written))


def test_record_survives_the_file(samples: Samples) -> None:
    record = samples.record()
    assert Record.loads(record.dumps()) == record
    assert json.loads(record.dumps())["schema"] == SCHEMA


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_has_its_unit_in_the_key(samples: Samples, kind: str) -> None:
    one: Measurement = getattr(samples, kind)()
    numbers = {
        key
        for key, value in leaves(one.to_json())
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    assert numbers - {"core"}, "there are numbers"
    assert {key for key in numbers if not key.endswith(UNITS)} == {"core"}


counts = st.integers(min_value=0, max_value=10**12)
seconds = st.floats(min_value=0, max_value=1e6)


@given(counts, counts, counts, seconds, st.lists(st.text(), max_size=3), st.booleans())
def test_any_trial_survives_the_file(
    intended: int, sent: int, received: int, settle_s: float, invalid: list[str], simulated: bool
) -> None:
    way = Direction(3, 12)
    trial = TrialResult(
        spec=TrialSpec(64, 1e6, 1.0, (way,)),
        flows=(FlowCounts(way, intended, sent, received, duplicated=received),),
        offered_for_s=settle_s,
        settle_s=settle_s,
        invalid=tuple(invalid),
        simulated=simulated,
    )
    assert decode_trial(Node(json.loads(json.dumps(encode_trial(trial))))) == trial


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(data: dict[str, Any]) -> None:
        *way, last = path.split(".")
        at: Any = data
        for key in way:
            at = at[int(key)] if isinstance(at, list) else at[key]
        if value is KeyError:
            del at[last]
        else:
            at[last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("run.id", KeyError, "run.id is missing"),
        ("run.id", "../x", "run id '../x'; accepted: letters"),
        ("run.started_at", "2025-06-15", "started_at '2025-06-15'; accepted: such as"),
        ("run.started_at", "yesterday", "started_at 'yesterday'"),
        ("run.simulated", 1, "run.simulated is 1; accepted: true or false"),
        ("plan", "all", "plan is 'all'; accepted: a list"),
        ("results.0.outcome", "good", "results[0].outcome is 'good'; accepted: passed"),
        ("results.0.measurements.0.kind", "speed", "results[0].measurements[0].kind is 'speed'; accepted: gate"),
        ("results.0.measurements.0.verdict", "MAYBE", "accepted: PASS, FAIL, INVALID"),
        ("results.0.measurements.0.target_pps", "fast", "target_pps is 'fast'; accepted: a finite number"),
        ("results.0.measurements.0.subject.frame_size_octets", 12, "frame size 12"),
        ("results.0.measurements.0.subject.link", "10Gig", "link '10Gig'"),
        ("results.0.measurements.0.goal.loss_ratio", 2, "loss ratio 2"),
        ("results.0.measurements.0.trials.0.rate_pps", 0, "trials[0]: offered load 0"),
        ("results.0.measurements.0.trials.0.flows", [], "accepted: at least one flow"),
        ("results.0.measurements.0.trials.0.offered_for_s", -1, "accepted: seconds"),
        ("results.0.measurements.0.trials.0.directions.0", "0-1", "accepted: a direction"),
        ("results.0.measurements.0.trials.0.flows.0.sent_frames", 1.5, "sent_frames is 1.5; accepted: a whole"),
        ("results.0.measurements.0.trials.0.cores.0.wall_s", 0, "wall_s is 0; accepted: seconds, above 0"),
        ("results.0.measurements.0.limits_us", {"p99": 1}, "percentiles from 0 to 100 as keys, not 'p99'"),
    ],
)
def test_a_bad_value_is_named(samples: Samples, path: str, value: Any, says: str) -> None:
    data = samples.record().to_json()
    parts = path.split(".")
    if parts[-1].isdecimal():
        change(".".join(parts[:-1]), [value])(data)
    else:
        change(path, value)(data)
    with pytest.raises(RecordError) as caught:
        Record.loads(json.dumps(data), source="old/record.json")
    assert says in str(caught.value)
    assert str(caught.value).startswith("old/record.json: ")


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "\0"])
def test_a_document_that_is_not_json_is_named(text: str) -> None:
    with pytest.raises(RecordError, match=r"r\.json: not JSON .*accepted"):
        Record.loads(text, source="r.json")


def test_a_newer_schema_says_what_to_do(samples: Samples) -> None:
    text = samples.record().dumps().replace(SCHEMA, "pytest-nfv/2")
    with pytest.raises(RecordError, match=r"'pytest-nfv/2', written by a newer pytest-nfv.*update pytest-nfv"):
        Record.loads(text)


@pytest.mark.parametrize("schema", ["pytest-nfv", "pytest-nfv/0", "pytest-nfv/x", "other/1"])
def test_another_schema_is_refused(samples: Samples, schema: str) -> None:
    with pytest.raises(RecordError, match=r"schema is .*; accepted: pytest-nfv/1"):
        Record.loads(samples.record().dumps().replace(SCHEMA, schema))


def test_keys_of_a_later_version_are_left_alone(samples: Samples) -> None:
    record = samples.record()
    data = record.to_json()
    data["weather"] = "fair"
    data["results"][0]["measurements"][0]["trials"][0]["moon"] = {"phase": 3}
    assert Record.loads(json.dumps(data)) == record


def test_a_value_that_is_not_finite_is_not_written(samples: Samples) -> None:
    run = Run("a", "2025-01-01T00:00:00+00:00", {"ratio": float("nan")})
    with pytest.raises(RecordError, match="cannot be written as JSON"):
        samples.record(run=run).dumps()


def test_an_outcome_that_is_none_is_refused() -> None:
    with pytest.raises(RecordError, match="outcome 'fine' of test_x; accepted: passed, failed"):
        Entry("test_x", "fine")


def test_a_record_with_simulated_figures_is_marked(samples: Samples) -> None:
    assert samples.record(samples.simulated()).run.simulated
    assert not samples.record(samples.passed()).run.simulated


def test_throughput_is_judged_by_what_is_required(samples: Samples) -> None:
    found = samples.throughput(rate_pps=755_000)
    assert found.verdict is None
    assert found.required(at_least_pps=755_000).verdict is Verdict.PASS
    missed = found.required(at_least_pps=755_001)
    assert missed.verdict is Verdict.FAIL
    assert missed.reasons == ("throughput 755,000 pps is below the required 755,001 pps",)


def test_latency_is_judged_by_what_is_required(samples: Samples) -> None:
    found = samples.latency()
    assert found.required(limits_us={99.0: 31.5}).verdict is Verdict.PASS
    missed = found.required(limits_us={50.0: 20, 99.0: 31})
    assert missed.verdict is Verdict.FAIL
    assert missed.reasons == ("latency p99 is 31.5 us, above the required 31 us",)


def test_a_percentile_with_too_few_samples_is_known_where_even_the_maximum_is_below(samples: Samples) -> None:
    assert samples.latency().required(limits_us={99.999: 413}).verdict is Verdict.PASS
    unknown = samples.latency().required(limits_us={99.999: 411})
    assert unknown.verdict is Verdict.INVALID
    assert unknown.reasons == ("latency p99.999 takes 1,000,000 samples, and 100,000 were taken",)
    missed = samples.latency().required(limits_us={50.0: 1, 99.999: 411})
    assert missed.verdict is Verdict.FAIL


def test_an_invalid_measurement_stays_invalid_whatever_is_required(samples: Samples) -> None:
    one = samples.invalid().required(at_least_pps=1.0)
    assert one.verdict is Verdict.INVALID


def test_a_search_that_gave_up_is_invalid(samples: Samples) -> None:
    from pytest_nfv.model.measurement import Throughput
    from pytest_nfv.units import PacketRate

    trials = (samples.trial(64, 1e6, lost=5), samples.trial(64, 5e5, invalid=("counters disagree",)))
    found = Throughput(samples.subject(64), samples.goal, "rfc2544", PacketRate(0), 0.0, None, trials)
    one = Measurement.from_result(found)
    assert (one.verdict, one.reasons) == (Verdict.INVALID, ("counters disagree",))
    told = Measurement.from_result(found, ruling=Ruling(Verdict.FAIL, ("nothing is sustained",)))
    assert (told.verdict, told.reasons) == (Verdict.FAIL, ("nothing is sustained",))
